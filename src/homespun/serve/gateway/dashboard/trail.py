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
    newest = sa.select(tables.requests).order_by(r.time.desc(), r.id.desc()).limit(LOOKED_AT)
    if before is not None:
        newest = newest.where(sa.or_(r.time < before[0], sa.and_(r.time == before[0], r.id < before[1])))
        newest = newest.where(r.time <= before[0])  # implied; it lets the index on time be used
    looked = newest.subquery()
    query = sa.select(*(looked.c[name] for name in SHOWN)).order_by(looked.c.time.desc(), looked.c.id.desc())
    for name in FILTERS:
        if value := filters.get(name):
            query = query.where(looked.c[name] == value)
    if text := filters.get("text"):
        query = query.where(
            sa.or_(looked.c.id == text, looked.c.error.contains(text, autoescape=True), looked.c.conversation == text)
        )
    rows = [_dollars(row) for row in connection.execute(query.limit(PAGE)).mappings()]
    last = _last(connection, newest, rows)
    return {"rows": rows, "next": last}


def _last(connection: Connection, newest: "sa.Select[Any]", rows: list[dict[str, Any]]) -> list[Any] | None:
    """Time and id after which a further search goes on."""
    if len(rows) == PAGE:
        return [rows[-1]["time"], rows[-1]["id"]]
    end = newest.with_only_columns(tables.requests.c.time, tables.requests.c.id)
    at = connection.execute(end.limit(1).offset(LOOKED_AT - 1)).first()
    return None if at is None else list(at)


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
