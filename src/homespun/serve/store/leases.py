"""Leases in the database: how workers share what a limit allows without asking for each request.

A meter counts one window of a limit: what is spent, and what is reserved, which is the sum of the leases that workers
hold on it. A lease is only ever raised by an update that adds no more than ``amount − spent − reserved``, so that
spent and reserved together stay within the amount whatever workers do at the same time, and wherever one dies.
A lease is written as what it is to be, never as a difference, so that a transaction of unknown outcome may be repeated.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, delete, select, tuple_, update

from homespun.serve.store.marks import WANTED, bump
from homespun.serve.store.tables import leases, limits, meters, workers
from homespun.serve.store.upsert import insert

Place = tuple[str, int]
"""A limit's id and the start of a window."""
SHARE = 8
"""A lease grows by at most one part in so many of what is left, unless a request needs more."""
_CHUNK = 500
_MOVE = (
    update(meters)
    .where(meters.c.limit_id == bindparam("b_limit"), meters.c.window == bindparam("b_window"))
    .values(spent=meters.c.spent + bindparam("b_spent"), reserved=meters.c.reserved + bindparam("b_reserved"))
)
_REMOVE = delete(leases).where(
    leases.c.worker == bindparam("b_worker"),
    leases.c.limit_id == bindparam("b_limit"),
    leases.c.window == bindparam("b_window"),
)


@dataclass(slots=True)
class Asking:
    """What a worker wants of a meter."""

    place: Place
    asked: int
    """What the requests that wait need together."""
    least: int
    """What the smallest of them needs."""
    wished: int
    """What would keep the worker from asking again soon."""


@dataclass(slots=True)
class Grant:
    """What it got."""

    amount: int
    """Added to the lease; 0: denied."""
    left: int
    """What is neither spent nor reserved."""
    others: int
    """What other workers hold."""
    wanted: int
    """The meter's count of unmet wishes."""


def held(connection: Connection, worker: str) -> dict[Place, int]:
    """The leases of a worker, as the database has them."""
    query = select(leases.c.limit_id, leases.c.window, leases.c.amount).where(leases.c.worker == worker)
    return {(row.limit_id, row.window): row.amount for row in connection.execute(query)}


def lock(connection: Connection, places: Collection[Place]) -> None:
    """Makes the meters that are missing and locks them all, in one order for everybody: nobody waits in a ring."""
    if not (wanted := sorted(places)):
        return
    fresh = [{"limit_id": limit, "window": start, "spent": 0, "reserved": 0, "wanted": 0} for limit, start in wanted]
    connection.execute(insert(connection, meters).on_conflict_do_nothing(), fresh)
    if connection.dialect.name == "postgresql":
        for start in range(0, len(wanted), _CHUNK):
            connection.execute(
                select(meters.c.spent)
                .where(tuple_(meters.c.limit_id, meters.c.window).in_(wanted[start : start + _CHUNK]))
                .order_by(meters.c.limit_id, meters.c.window)
                .with_for_update()
            )


def move(connection: Connection, worker: str, targets: Mapping[Place, int], spent: Mapping[Place, int]) -> None:
    """Books what was spent, and sets leases to what is still held of them; the meters are locked.

    Args:
        connection: A transaction.
        worker: Whose leases.
        targets: What each lease is to be.
        spent: What to add to each meter's spent.
    """
    own = held(connection, worker)
    changes = {place: target - own.get(place, 0) for place, target in targets.items()}
    touched = {place for place, change in changes.items() if change} | {place for place, sum in spent.items() if sum}
    if touched:
        connection.execute(
            _MOVE,
            [
                _named(place) | {"b_spent": spent.get(place, 0), "b_reserved": changes.get(place, 0)}
                for place in touched
            ],
        )
    _write(connection, worker, {place: targets[place] for place, change in changes.items() if change})


def raise_leases(
    connection: Connection, worker: str, asking: Sequence[Asking], own: Mapping[Place, int]
) -> dict[Place, Grant]:
    """Reserves more of some meters, all of which are locked.

    Args:
        connection: A transaction.
        worker: For whom.
        asking: What it wants.
        own: What it holds of each.

    Returns:
        What it got. A limit that no longer is is left out.
    """
    grants: dict[Place, Grant] = {}
    raised: dict[Place, int] = {}
    for wish in asking:
        mine = own.get(wish.place, 0)
        grant = _reserve(connection, wish, mine)
        if grant is None:
            continue
        grants[wish.place] = grant
        if grant.amount:
            raised[wish.place] = mine + grant.amount
        elif wish.asked and grant.others > 0:
            connection.execute(update(meters).where(*_is(wish.place)).values(wanted=meters.c.wanted + 1))
            grant.wanted += 1
            bump(connection, WANTED)
    _write(connection, worker, raised)
    return grants


def wanted(connection: Connection, places: Collection[Place]) -> dict[Place, int]:
    """How often each meter left a wish unmet."""
    found: dict[Place, int] = {}
    ids = sorted({limit for limit, _ in places})
    for start in range(0, len(ids), _CHUNK):
        query = select(meters.c.limit_id, meters.c.window, meters.c.wanted).where(
            meters.c.limit_id.in_(ids[start : start + _CHUNK]), meters.c.wanted > 0
        )
        found.update({(row.limit_id, row.window): row.wanted for row in connection.execute(query)})
    return {place: count for place, count in found.items() if place in places}


def release(connection: Connection, worker: str, now: float) -> int:
    """Gives back all that a worker holds, and marks it as ended; only for one that is dead.

    Returns:
        How many leases it had.
    """
    own = held(connection, worker)
    lock(connection, own)
    move(connection, worker, dict.fromkeys(own, 0), {})
    connection.execute(update(workers).where(workers.c.id == worker, workers.c.ended.is_(None)).values(ended=now))
    return len(own)


def _reserve(connection: Connection, wish: Asking, mine: int) -> Grant | None:
    query = (
        select(meters.c.spent, meters.c.reserved, meters.c.wanted, limits.c.amount)
        .join(limits, limits.c.id == meters.c.limit_id)
        .where(*_is(wish.place))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    left = row.amount - row.spent - row.reserved
    more = min(max(wish.asked, min(wish.wished, left // SHARE)), left)
    grant = Grant(0, left, row.reserved - mine, row.wanted)
    if more < max(1, wish.least):
        return grant
    within = meters.c.spent + meters.c.reserved + more <= row.amount
    done = connection.execute(
        update(meters).where(*_is(wish.place), within).values(reserved=meters.c.reserved + more)
    )  # fmt: skip
    if done.rowcount:
        grant.amount, grant.left = more, left - more
    return grant


def _write(connection: Connection, worker: str, amounts: Mapping[Place, int]) -> None:
    kept = [
        {"worker": worker, "limit_id": limit, "window": start, "amount": amount}
        for (limit, start), amount in amounts.items()
        if amount
    ]
    gone = [_named(place) for place, amount in amounts.items() if not amount]
    if kept:
        statement = insert(connection, leases)
        index = [leases.c.worker, leases.c.limit_id, leases.c.window]
        connection.execute(
            statement.on_conflict_do_update(index_elements=index, set_={"amount": statement.excluded.amount}), kept
        )
    if gone:
        connection.execute(_REMOVE, [row | {"b_worker": worker} for row in gone])


def _is(place: Place) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return meters.c.limit_id == place[0], meters.c.window == place[1]


def _named(place: Place) -> dict[str, str | int]:
    return {"b_limit": place[0], "b_window": place[1]}
