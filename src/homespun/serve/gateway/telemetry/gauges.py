"""What is read rather than counted: requests at work, breakers, limits, alarms, disagreement of judges."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from homespun.serve.gateway.telemetry.metrics import ALARMS, BREAKER, DISAGREEMENT, LIMIT_LEFT, METRICS, Labels
from homespun.serve.store import keys, tables

GaugeRows = dict[str, dict[Labels, float]]
STATES = {"closed": 0.0, "half_open": 1.0, "open": 2.0}
"""A breaker's state as a number."""
DAY = 86_400.0
RIGHT = 0.5
"""Score from which a label says that an answer is right."""


def breakers(health: Iterable[Mapping[str, Any]]) -> GaugeRows:
    """The breakers of a fleet."""
    return {BREAKER.name: {(str(row["target"]),): STATES.get(str(row["breaker"]), 0.0) for row in health}}


def from_database(connection: Connection, now: float | None = None) -> GaugeRows:
    """Limits, alarms and disagreement, read by index."""
    now = time.time() if now is None else now
    return {
        LIMIT_LEFT.name: _limits_left(connection, now),
        ALARMS.name: _alarms(connection),
        DISAGREEMENT.name: _disagreement(connection, now),
    }


def _limits_left(connection: Connection, now: float) -> dict[Labels, float]:
    limits = [keys.Limit(*row) for row in connection.execute(sa.select(tables.limits))]
    return {
        (used["subject_kind"], used["subject"], used["unit"], used["period"]): (
            used["left"] / used["amount"] if used["amount"] else 0.0
        )
        for used in keys.usage(connection, limits, now)
    }


def _alarms(connection: Connection) -> dict[Labels, float]:
    alarms = tables.alarms
    query = sa.select(alarms.c.kind, sa.func.count()).where(alarms.c.cleared.is_(None)).group_by(alarms.c.kind)
    return {(kind,): float(number) for kind, number in connection.execute(query)}


def _disagreement(connection: Connection, now: float) -> dict[Labels, float]:
    """Pairs of labels on the same answer, one by a judge, one by a validator or a person."""
    judge, other = tables.labels.alias("judge"), tables.labels.alias("other")
    same = sa.and_(judge.c.request_id == other.c.request_id, judge.c.arm == other.c.arm)
    differ = sa.case(((judge.c.score >= RIGHT) != (other.c.score >= RIGHT), 1.0), else_=0.0)
    query = (
        sa.select(sa.func.avg(differ))
        .select_from(judge.join(other, same))
        .where(judge.c.time >= now - DAY, judge.c.source == "judge", other.c.source.in_(("validator", "feedback")))
    )
    share = connection.scalar(query)
    return {} if share is None else {(): float(share)}


def merged(parts: Iterable[Mapping[str, Iterable[tuple[Iterable[str | int], float]]]]) -> GaugeRows:
    """Gauges of several workers as one, each by its own rule."""
    gathered: dict[str, dict[Labels, list[float]]] = {}
    for part in parts:
        for name, rows in part.items():
            for labels, value in rows:
                gathered.setdefault(name, {}).setdefault(tuple(labels), []).append(value)
    rules = {metric.name: metric.merge for metric in METRICS if metric.kind == "gauge"}
    return {
        name: {labels: float(rules[name](values)) for labels, values in rows.items()}
        for name, rows in gathered.items()
        if name in rules
    }
