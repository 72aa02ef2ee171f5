"""Requests summed by bucket of time, so that a month of them can be shown without reading a month of rows each time.

Buckets are summed over the index on time, as many in one query as pass quickly. A bucket that lies far enough back is
kept, since requests are put on the books when they end; a recent one is asked for anew. The database's thread, which
also settles requests, is never held for longer than about `HOLD_SECONDS` and one bucket: a long window that is seen for
the first time fills up over several looks, the newest buckets first, and says how far it is.
"""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Float, Integer

from homespun.serve.gateway.dashboard.windows import WINDOWS, Window, WindowName
from homespun.serve.store import tables

T = TypeVar("T")
LATENCIES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 40.0, 80.0, 160.0, 320.0)
"""Upper bounds of the classes of seconds from which quantiles are interpolated; the last class is open."""
SETTLED_SECONDS = 330.0
"""A request has ended, and is in the database, so long after it began (timeouts.total and a margin)."""
KEEP_SECONDS = 600.0
"""A kept bucket is counted anew after this long, for rows that a restart brought in late."""
HOLD_SECONDS = 0.1
QUICK_SECONDS = 0.05
LOOK_SECONDS = 0.4
"""One look at a window takes about this long at most, ready or not."""


class Group(NamedTuple):
    """Requests of one bucket that are alike."""

    target: str | None
    route: str
    outcome: str
    tiers: int
    """How many targets were asked for the answer, judges left out."""
    latency: int
    """Class of seconds, an index of `LATENCIES`."""
    requests: int
    nanodollars: int
    input_tokens: int
    output_tokens: int
    compared: int
    """Requests for which the strongest target's cost is known; the fields below are over these."""
    spent: int
    reference: int
    spent_squares: float
    reference_squares: float
    products: float


class Rolled(NamedTuple):
    """A window's buckets, oldest first."""

    start: int
    window: Window
    buckets: list[list[Group]]
    counted: float
    """Share of the buckets that have been counted; the others are empty here."""


class Runs(Protocol):
    """The database, as far as it is needed."""

    def run(self, fn: Callable[[Connection], T], *, read_only: bool = False) -> Awaitable[T]:
        """Awaits what ``fn``, called with a connection in the database's thread, returns."""
        ...


async def read(database: Runs, fn: Callable[[Connection], T]) -> T:
    """What ``fn`` reads; it must not write."""
    return await database.run(fn, read_only=True)


def groups(connection: Connection, start: int, length: int, number: int) -> list[list[Group]]:
    """The groups of ``number`` buckets in a row, each ``length`` seconds long, the first from ``start`` on."""
    r = tables.requests.c
    known = r.reference_nanodollars.is_not(None)
    spent, reference = sa.cast(r.nanodollars, Float), sa.cast(r.reference_nanodollars, Float)
    latency = sa.case(*((r.seconds <= bound, at) for at, bound in enumerate(LATENCIES)), else_=len(LATENCIES))
    bucket = sa.cast(sa.func.floor((r.time - start) / length), Integer)
    keys = (bucket, r.target, r.route, r.outcome, sa.func.json_array_length(r.tiers, type_=Integer), latency)

    def over_known(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.coalesce(sa.func.sum(sa.case((known, value), else_=None)), 0)

    sums = (
        sa.func.count(), sa.func.sum(r.nanodollars), sa.func.sum(r.input_tokens), sa.func.sum(r.output_tokens),
        sa.func.count(r.reference_nanodollars), over_known(r.nanodollars), sa.func.sum(r.reference_nanodollars),
        over_known(spent * spent), over_known(reference * reference), over_known(spent * reference),
    )  # fmt: skip
    columns = [column.label(f"c{at}") for at, column in enumerate((*keys, *sums))]
    query = sa.select(*columns).where(r.time >= start, r.time < start + number * length)
    found: list[list[Group]] = [[] for _ in range(number)]
    for row in connection.execute(query.group_by(*columns[: len(keys)])):
        whole, squares = row[6:13], row[13:]
        found[row[0]].append(Group._make([*row[1:6], *(int(v or 0) for v in whole), *(float(v) for v in squares)]))
    return found


class Rollup:
    """The buckets that were counted so far, by length and start."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], tuple[float, list[Group]]] = {}

    async def look(self, database: Runs, name: WindowName, now: float | None = None) -> Rolled:
        """A window up to now, as far as it can be had in a moment."""
        now = time.time() if now is None else now
        window = WINDOWS[name]
        start = window.start(now)
        starts = [start + at * window.bucket for at in range(window.buckets)]
        self._forget(window, start)
        missing = [s for s in reversed(starts) if not self._fresh(window, s, now)]
        until = time.monotonic() + LOOK_SECONDS
        while missing and time.monotonic() < until:
            counted = await read(database, partial(_count, starts=missing, length=window.bucket))
            for bucket, found in counted.items():
                self._kept[window.bucket, bucket] = (now, found)
            missing = [s for s in missing if not self._fresh(window, s, now)]
        known = [self._kept.get((window.bucket, s)) for s in starts]
        share = sum(entry is not None for entry in known) / len(known)
        return Rolled(start, window, [[] if entry is None else entry[1] for entry in known], share)

    def _fresh(self, window: Window, start: int, now: float) -> bool:
        entry = self._kept.get((window.bucket, start))
        if entry is None:
            return False
        closed = start + window.bucket + SETTLED_SECONDS < entry[0]
        return now - entry[0] < (KEEP_SECONDS if closed else window.bucket / 60)

    def _forget(self, window: Window, start: int) -> None:
        for key in [key for key in self._kept if key[0] == window.bucket and key[1] < start]:
            del self._kept[key]


def _count(connection: Connection, starts: list[int], length: int) -> dict[int, list[Group]]:
    """Counts buckets, newest first as ``starts`` is, in queries that double while they are quick."""
    until = time.monotonic() + HOLD_SECONDS
    found: dict[int, list[Group]] = {}
    at, most = 0, 4
    while at < len(starts) and time.monotonic() < until:
        begun, number = time.monotonic(), _in_a_row(starts[at : at + most], length)
        first = starts[at + number - 1]
        for bucket, content in enumerate(groups(connection, first, length, number)):
            found[first + bucket * length] = content
        at += number
        most = max(1, most * 2 if time.monotonic() - begun < QUICK_SECONDS else most // 2)
    return found


def _in_a_row(starts: list[int], length: int) -> int:
    """How many of the first lie side by side."""
    return next((n for n in range(1, len(starts)) if starts[n] != starts[0] - n * length), len(starts))


def quantile(classes: dict[int, int], share: float) -> float | None:
    """Seconds under which that share of requests lies, linear within its class; ``None`` of none.

    Args:
        classes: How many requests are in each class of `LATENCIES`.
        share: 0 to 1.
    """
    total = sum(classes.values())
    if total == 0:
        return None
    wanted, below = share * total, 0
    for at in range(len(LATENCIES) + 1):
        number = classes.get(at, 0)
        if number and below + number >= wanted:
            if at == len(LATENCIES):
                return LATENCIES[-1]
            low = LATENCIES[at - 1] if at else 0.0
            return low + (LATENCIES[at] - low) * (wanted - below) / number
        below += number
    return LATENCIES[-1]
