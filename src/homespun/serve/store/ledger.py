"""One transaction of a worker: new entries become rows, what they cost moves from reserved to spent, leases change.

All of it or nothing, so that the ledger and the meters always agree. Which entries are new is decided by the ids that
the ledger has, so that a batch whose outcome is unknown (the connection broke at the commit, the process died after
it) is simply booked again.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, Table, delete, not_, select, update

from homespun.serve.store import journal, keys, leases, marks, rows, tables
from homespun.serve.store.leases import Asking, Grant, Place

Entry = Mapping[str, Any]
_STRIDE = 32
_KEPT_SECONDS = 2 * 86_400.0
"""Meters of past minutes and hours are kept so long."""


class DoubledError(Exception):
    """Some entries of the batch are on the books already: look which."""


@dataclass(slots=True)
class Tally:
    """What a batch of entries comes to."""

    settled: dict[str, Entry] = field(default_factory=dict[str, Entry])
    """Settled requests by id."""
    notes: list[Entry] = field(default_factory=list[Entry])
    damaged: int = 0
    spent: dict[Place, int] = field(default_factory=dict[Place, int])
    """What requests that are new to the ledger cost, per meter."""
    fresh: dict[Place, int] = field(default_factory=dict[Place, int])
    """How much of the leases these have used up."""

    def covered(self) -> dict[Place, int]:
        """How much of the leases all requests of the batch have used up."""
        sums: dict[Place, int] = {}
        for entry in self.settled.values():
            for limit, start, _, covered in entry["charges"]:
                sums[limit, start] = sums.get((limit, start), 0) + covered
        return sums


@dataclass(slots=True)
class Work:
    """What a worker brings to a transaction."""

    worker: str
    stretch: tuple[int, int, int] | None
    """Where entries of its journal lie that are not booked yet: descriptor, from where, to where at most."""
    most: int
    """Bytes of them to take."""
    holding: dict[Place, int]
    """What it holds of each lease that it touched, before the costs of those entries are taken off."""
    asking: list[Asking]
    watched: dict[Place, int] | None
    """Leases that it could give back, with the count of unmet wishes that it knows of; ``None``: do not look."""
    keys_version: int
    careful: bool
    """Whether entries may be on the books already."""
    beat: bool
    """Whether to tell that it lives."""
    clean: bool
    """Whether to clear away old meters."""
    now: float

    @property
    def idle(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.stretch or self.holding or self.asking or self.beat or self.clean)


@dataclass(slots=True)
class Done:
    """What came of it."""

    covered: dict[Place, int]
    grants: dict[Place, Grant]
    recalled: dict[Place, int]
    """Leases that somebody else wants something of, with the count of unmet wishes."""
    marks: dict[str, int]
    registry: keys.Registry | None
    """Keys and limits, where they changed."""
    damaged: int
    read: int
    """Bytes that were booked."""


def transact(connection: Connection, work: Work) -> Done:
    """Does a worker's work in one transaction.

    Raises:
        DoubledError: an entry is on the books already and ``work.careful`` is not set.
    """
    seen = marks.read(connection)
    data = b"" if work.stretch is None else journal.read(*work.stretch, work.most)
    tally = read(data)
    post(connection, tally, careful=work.careful)
    covered = tally.covered()
    places = {*work.holding, *tally.spent, *(wish.place for wish in work.asking)}
    grants: dict[Place, Grant] = {}
    if places:
        leases.lock(connection, places)
        targets = targets_of(work.holding, covered)
        leases.move(connection, work.worker, targets, tally.spent)
        grants = leases.raise_leases(connection, work.worker, work.asking, targets)
    if work.beat:
        connection.execute(update(tables.workers).where(_worker == work.worker).values(heartbeat=work.now))
    if work.clean:
        _clean(connection, work.now)
    registry = keys.load(connection) if seen.get(marks.KEYS, 0) != work.keys_version else None
    return Done(covered, grants, _recalled(connection, work.watched), seen, registry, tally.damaged, len(data))


def read(data: bytes) -> Tally:
    """Sorts the entries of a stretch of the journal; beginnings are of no interest once they are over."""
    tally = Tally()
    for number, entry in enumerate(journal.entries(data)):
        if number % _STRIDE == 0:
            time.sleep(0)  # lets the event loop have the interpreter, which it else waits milliseconds for
        if entry is None:
            tally.damaged += 1
        elif entry[0] == journal.SETTLE:
            settled = orjson.loads(entry[1])
            tally.settled[settled["row"]["id"]] = settled
        elif entry[0] == journal.NOTE:
            tally.notes.append(orjson.loads(entry[1]))
    return tally


def post(connection: Connection, tally: Tally, *, careful: bool) -> int:
    """Inserts the rows, and adds up in the tally what they cost.

    Returns:
        How many requests were new.

    Raises:
        DoubledError: a request is on the books already and ``careful`` is not set.
    """
    old = rows.known(connection, tally.settled) if careful else set[str]()
    for id, entry in tally.settled.items():
        for limit, start, charge, covered in () if id in old else entry["charges"]:
            place = (limit, start)
            tally.spent[place] = tally.spent.get(place, 0) + charge
            tally.fresh[place] = tally.fresh.get(place, 0) + covered
    fresh = _shaped(tables.requests, (entry["row"] for id, entry in tally.settled.items() if id not in old))
    if rows.insert_new(connection, tables.requests, fresh) != len(fresh):
        raise DoubledError
    calls = (
        rows.attempt_row(id, attempt) for id, entry in tally.settled.items() for attempt in entry.get("attempts", ())
    )
    rows.insert_new(connection, tables.attempts, _shaped(tables.attempts, calls))
    decisions = (entry["decision"] for entry in tally.settled.values() if entry.get("decision"))
    rows.insert_new(connection, tables.decisions, _shaped(tables.decisions, decisions))
    for name, table in rows.NOTABLE.items():
        noted = (note["row"] for note in tally.notes if note["table"] == name)
        rows.insert_new(connection, table, _shaped(table, noted))
    return len(fresh)


def _shaped(table: Table, found: Iterable[Entry]) -> list[tuple[Any, ...]]:
    shaped: list[tuple[Any, ...]] = []
    for row in found:
        if len(shaped) % _STRIDE == 0:
            time.sleep(0)
        shaped.append(rows.shape(table, row))
    return shaped


def targets_of(holding: Mapping[Place, int], covered: Mapping[Place, int]) -> dict[Place, int]:
    """What each lease is to be once the batch is booked."""
    return {place: max(0, amount - covered.get(place, 0)) for place, amount in holding.items()}


def _recalled(connection: Connection, watched: Mapping[Place, int] | None) -> dict[Place, int]:
    if not watched:
        return {}
    counts = leases.wanted(connection, watched)
    return {place: count for place, count in counts.items() if count != watched[place]}


_worker = tables.workers.c.id


def _clean(connection: Connection, now: float) -> None:
    """Clears away meters of minutes and hours long past, and workers that ended a month ago."""
    meters, limits, workers = tables.meters, tables.limits, tables.workers
    long = select(limits.c.id).where(not_(limits.c.period.in_(("minute", "hour"))))
    past = (meters.c.window > 0, meters.c.window < now - _KEPT_SECONDS, meters.c.reserved == 0)
    connection.execute(delete(meters).where(*past, not_(meters.c.limit_id.in_(long))))
    connection.execute(delete(workers).where(workers.c.ended < now - 30 * 86_400))
