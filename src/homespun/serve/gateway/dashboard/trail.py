"""Single requests: the newest that fit a filter, and one with everything that is known of its way."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from homespun.serve.gateway.types import NANO
from homespun.serve.store import tables

PAGE = 50
LOOKED_AT = 20_000
"""Requests that one search goes through; where to go on is told."""
FILTERS = ("model", "target", "route", "outcome", "key_id")
SHOWN = (
    "id", "time", "model", "target", "route", "tiers", "confidence", "status", "outcome", "error", "cache",
    "input_tokens", "output_tokens", "nanodollars", "seconds",
)  # fmt: skip


def recent(
    connection: Connection, filters: Mapping[str, str | None], before: tuple[float, str] | None
) -> dict[str, Any]:
    """The newest requests that fit, `PAGE` at most.

    Args:
        connection: To the database.
        filters: Wanted values of `FILTERS`; ``None`` fits all. ``text`` is looked for in ids and errors.
        before: Time and id of the request after which to go on.

    Returns:
        ``rows``, and ``next``: where to go on, or ``None`` at the end.
    """
    r = tables.requests.c
    reachable: list[sa.ColumnElement[bool]] = []
    if before is not None:
        reachable = [r.time <= before[0], sa.or_(r.time < before[0], r.id < before[1])]
    times = sa.select(r.time).where(*reachable).order_by(r.time.desc())
    end = connection.scalar(times.offset(LOOKED_AT - 1).limit(1))
    fits = [r[name] == value for name in FILTERS if (value := filters.get(name))]
    if text := filters.get("text"):
        fits.append(sa.or_(r.id == text, r.conversation == text, r.error.contains(text, autoescape=True)))
    if end is not None:
        fits.append(r.time >= end)
    query = sa.select(*(r[name] for name in SHOWN)).where(*reachable, *fits).order_by(r.time.desc(), r.id.desc())
    rows = [_dollars(row) for row in connection.execute(query.limit(PAGE)).mappings()]
    if len(rows) == PAGE:
        return {"rows": rows, "next": [rows[-1]["time"], rows[-1]["id"]]}
    return {"rows": rows, "next": None if end is None else [end, ""]}  # no id is before the empty one


def one(connection: Connection, request_id: str) -> dict[str, Any] | None:
    """A request with its decision, attempts and labels; ``None``: there is none. The prompt's text is not in it."""
    request = _rows(connection, tables.requests, tables.requests.c.id == request_id)
    if not request:
        return None
    decisions = _rows(connection, tables.decisions, tables.decisions.c.request_id == request_id)
    attempts, labels, keys = tables.attempts.c, tables.labels.c, tables.keys.c
    key = connection.scalar(sa.select(keys.name).where(keys.id == request[0]["key_id"]))
    decision = {name: value for name, value in decisions[0].items() if name != "prompt"} if decisions else None
    called = sorted(_rows(connection, tables.attempts, attempts.request_id == request_id), key=_when)
    return {
        "request": {**_dollars(request[0]), "key": key},
        "decision": decision,
        "attempts": [_dollars(row) for row in called],
        "labels": sorted(_rows(connection, tables.labels, labels.request_id == request_id), key=_when),
    }


def _when(row: Mapping[str, Any]) -> float:
    return float(row["time"])


def _rows(connection: Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.select(table).where(where)).mappings()]


def _dollars(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The row with money in dollars."""
    told: dict[str, Any] = dict(row)
    for name in ("nanodollars", "reference_nanodollars"):
        if name in told:
            value = told.pop(name)
            told[name.replace("nano", "")] = None if value is None else value / NANO
    return told
