"""Entries of the journal become rows: every column checked, so that no row can be refused by the database.

An entry is written before its row is inserted, so that there is nobody left to complain to: text loses its NUL,
which PostgreSQL does not take, numbers are clamped to their column, and what is missing where something must be is
empty or zero.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
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
    columns = _columns(table)
    values: list[Any] = list(map(row.get, columns.names))
    for index, what in columns.fixes(tuple(map(type, values))):
        if what is _TEXT:
            if "\0" in values[index]:
                values[index] = values[index].replace("\0", "\ufffd")
        elif what is _WHOLE:
            if not -columns.most[index] <= values[index] <= columns.most[index]:
                values[index] = _whole(values[index], columns.most[index])
        else:
            convert, empty = columns.rules[index]
            values[index] = empty if values[index] is None else convert(values[index])
    return tuple(values)


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
    new, start, postgresql = 0, 0, connection.dialect.name == "postgresql"
    for size in _SIZES:
        statement = _statement(table, size, postgresql)
        while len(rows) - start >= size:
            values = tuple(chain.from_iterable(rows[start : start + size]))
            new += connection.exec_driver_sql(statement, values).rowcount
            start += size
    return new


def known(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of the requests that are on the books already."""
    column, wanted, found = tables.requests.c.id, list(ids), set[str]()
    for start in range(0, len(wanted), _CHUNK):
        found.update(connection.execute(select(column).where(column.in_(wanted[start : start + _CHUNK]))).scalars())
    return found


_SIZES = (64, 8, 1)
"""Rows of a statement. One by one, the interpreter would change hands at every row, and the event loop wait."""


@cache
def _statement(table: Table, size: int, postgresql: bool) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join(["%s" if postgresql else "?"] * len(table.columns))
    rows = ", ".join([f"({marks})"] * size)
    return f'INSERT INTO "{table.name}" ({names}) VALUES {rows} ON CONFLICT DO NOTHING'


_TEXT, _WHOLE, _ANY = "text", "whole", "any"


class _Columns:
    """The columns of a table. What to look at in a row depends on the types in it, of which few mixes occur."""

    def __init__(self, table: Table) -> None:
        self.names = [column.name for column in table.columns]
        self.rules = [_rule(column) for column in table.columns]
        self.most = [2**63 - 1 if isinstance(column.type, BigInteger) else 2**31 - 1 for column in table.columns]
        self._native = [_NATIVE.get(type(column.type)) for column in table.columns]
        self._fixes: dict[tuple[type, ...], list[tuple[int, str]]] = {}

    def fixes(self, types: tuple[type, ...]) -> list[tuple[int, str]]:
        """Which columns to look at, and how, in a row of these types."""
        if (found := self._fixes.get(types)) is None:
            found = [(index, what) for index, kind in enumerate(types) if (what := self._what(index, kind))]
            if len(self._fixes) < 1000:
                self._fixes[types] = found
        return found

    def _what(self, index: int, kind: type) -> str | None:
        if kind is type(None) and self.rules[index][1] is None:
            return None
        if kind is not self._native[index]:
            return _ANY
        return _TEXT if kind is str else _WHOLE if kind is int else None


_NATIVE: dict[type, type] = {Text: str, Boolean: bool, BigInteger: int, Integer: int, Float: float}


@cache
def _columns(table: Table) -> _Columns:
    return _Columns(table)


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
