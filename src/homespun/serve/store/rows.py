"""Entries of the journal become rows: every column checked, so that no row can be refused by the database.

An entry is written before its row is inserted, so that there is nobody left to complain to: text loses its NUL,
which PostgreSQL does not take, numbers are clamped to their column, and what is missing where something must be is
empty or zero.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import JSON, BigInteger, Boolean, Column, Connection, Float, Integer, Table, Text, select

from homespun.serve.store import tables

NOTABLE: dict[str, Table] = {
    table.name: table for table in (tables.attempts, tables.decisions, tables.labels, tables.alarms)
}
"""Tables that rows may be noted for."""
_CHUNK = 500
Row = Mapping[str, Any]


def shape(table: Table, row: Row) -> tuple[Any, ...]:
    """The values of a row in the order of the table's columns."""
    return tuple(
        default if (value := row.get(name)) is None else convert(value) for name, convert, default in _columns(table)
    )


def attempt_row(request_id: str, attempt: Row) -> dict[str, Any]:
    """An Attempt as it lies in the journal, flattened for its table."""
    usage = attempt.get("usage") or {}
    return {
        **attempt,
        "request_id": request_id,
        "input_tokens": usage.get("input"),
        "cached_tokens": usage.get("cached"),
        "output_tokens": usage.get("output"),
        "estimated": usage.get("estimated"),
    }


def insert_new(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> int:
    """Inserts the rows whose key is not there yet; returns how many that were."""
    if not rows:
        return 0
    done = connection.exec_driver_sql(_statement(table, connection.dialect.name == "postgresql"), list(rows))
    return done.rowcount


def known(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of the requests that are on the books already."""
    column, wanted, found = tables.requests.c.id, list(ids), set[str]()
    for start in range(0, len(wanted), _CHUNK):
        found.update(connection.execute(select(column).where(column.in_(wanted[start : start + _CHUNK]))).scalars())
    return found


@cache
def _statement(table: Table, postgresql: bool) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join(["%s" if postgresql else "?"] * len(table.columns))
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING'


@cache
def _columns(table: Table) -> list[tuple[str, Callable[[Any], Any], Any]]:
    return [(column.name, *_rule(column)) for column in table.columns]


def _rule(column: Column[Any]) -> tuple[Callable[[Any], Any], Any]:
    empty: Any
    match column.type:
        case JSON():
            convert, empty = _json, "[]"
        case Text():
            convert, empty = _text, ""
        case Boolean():
            convert, empty = bool, False
        case BigInteger():
            convert, empty = _big, 0
        case Integer():
            convert, empty = _small, 0
        case Float():
            convert, empty = _real, 0.0
        case _:
            raise TypeError(f"column {column} has a type that the books do not know")
    return convert, None if column.nullable else empty


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _big(value: Any) -> int:
    return _whole(value, 2**63 - 1)


def _small(value: Any) -> int:
    return _whole(value, 2**31 - 1)


def _whole(value: Any, most: int) -> int:
    try:
        return max(-most, min(most, int(value)))
    except (TypeError, ValueError, OverflowError):
        return 0


def _real(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0
