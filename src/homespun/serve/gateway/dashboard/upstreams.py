"""Which upstreams are slow or failing: what the fleet says of each, and its newest calls."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from homespun.serve.store import tables

CALLS = 1000
"""The newest calls of each target that are looked at."""
HOUR = 3600.0
FAILED = ("error", "cut", "timeout")
"""Outcomes that are the upstream's fault; a cancelled call is not."""
SLOW_SECONDS = 30.0
"""Ninety-fifth percentile from which a target is called slow."""
FAILING_SHARE = 0.05
LEAST = 5
"""Calls before a share of failures means anything."""


def upstreams(connection: Connection, targets: Sequence[str], now: float) -> list[dict[str, Any]]:
    """Of each target the calls of the last hour, `CALLS` at most; in the order given."""
    return [_upstream(connection, target, now - HOUR) for target in targets]


def _upstream(connection: Connection, target: str, start: float) -> dict[str, Any]:
    a = tables.attempts.c
    query = (
        sa.select(a.outcome, a.status, a.error, a.seconds, a.first_byte_seconds)
        .where(a.target == target, a.time >= start)
        .order_by(a.time.desc())
        .limit(CALLS)
    )
    rows = connection.execute(query).all()
    failures = [row for row in rows if row.outcome in FAILED]
    seconds = sorted(row.seconds for row in rows if row.outcome == "ok")
    first = sorted(row.first_byte_seconds for row in rows if row.first_byte_seconds is not None)
    reasons = Counter(str(row.status) if row.status and row.status >= 400 else row.outcome for row in failures)
    return {
        "target": target,
        "calls": len(rows),
        "failures": len(failures),
        "p50": _at(seconds, 0.5),
        "p95": _at(seconds, 0.95),
        "first_chunk_p95": _at(first, 0.95),
        "reasons": reasons.most_common(3),
        "last_error": failures[0].error if failures else None,
    }


def _at(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def with_health(rows: list[dict[str, Any]], health: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Joins what the fleet says, and a word for the whole: open, failing, slow, ok, or idle."""
    states = {str(state["target"]): state for state in health}
    for row in rows:
        state = states.get(row["target"], {})
        row["breaker"] = state.get("breaker", "closed")
        row["health"] = dict(state)
        row["state"] = _word(row)
    return rows


def _word(row: Mapping[str, Any]) -> str:
    if row["breaker"] != "closed":
        return "open"
    if row["calls"] == 0:
        return "idle"
    if row["failures"] > FAILING_SHARE * row["calls"] and row["calls"] >= LEAST:
        return "failing"
    return "slow" if (row["p95"] or 0.0) >= SLOW_SECONDS else "ok"
