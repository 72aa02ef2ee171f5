"""Votes into the database: each once by its id, one for a session, many in one statement."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, or_, select, text

from homespun.serve.store.arena.types import Event, Receipt, SessionRow, Vote, VoteRefused, values
from homespun.serve.store.arena_tables import arena_events, arena_sessions, arena_votes
from homespun.serve.store.upsert import insert


@dataclass(frozen=True)
class Cast:
    """A vote, with the events that are to be written with it if it is new."""

    vote: Vote
    events: Sequence[Event] = ()


def record(connection: Connection, casts: Sequence[Cast]) -> list[Receipt | VoteRefused]:
    """Writes votes; says for each what became of it.

    A vote whose id is there already with the same content is acknowledged again. Of several for one session the first
    is taken.
    """
    ids = {cast.vote.session for cast in casts}
    known = set(connection.scalars(select(arena_sessions.c.id).where(arena_sessions.c.id.in_(ids))))
    first: dict[str, Cast] = {}
    for cast in casts:
        if cast.vote.session in known:
            first.setdefault(cast.vote.id, cast)
    rows = {key: values(cast.vote) for key, cast in first.items()}
    new = _insert(connection, list(rows.values()))
    written = [cast for key, cast in first.items() if key in new]
    _write(connection, arena_events, [values(event) for cast in written for event in cast.events])
    fresh = {id(cast): Receipt(Vote(**rows[cast.vote.id])) for cast in written}
    others = [cast.vote for cast in casts if id(cast) not in fresh and cast.vote.session in known]
    there = _there(connection, others)
    return [fresh.get(id(cast)) or _said(cast.vote, known, there) for cast in casts]


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> set[str]:
    """Ids of those that were new."""
    if not rows:
        return set()
    if connection.dialect.name == "postgresql":
        returned = f"{_from_json(arena_votes)} ON CONFLICT DO NOTHING RETURNING id"
        return set(connection.scalars(text(returned), {"rows": json.dumps(rows)}))
    statement = insert(connection, arena_votes).on_conflict_do_nothing().returning(arena_votes.c.id)
    return set(connection.scalars(statement, rows))


def _write(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows and connection.dialect.name == "postgresql":
        connection.execute(text(_from_json(table)), {"rows": json.dumps(rows)})
    elif rows:
        connection.execute(table.insert(), rows)


@cache
def _from_json(table: Table) -> str:
    """An INSERT of rows that come as one text: a parameter for each of their values costs PostgreSQL's driver more
    than all the rest of a vote.
    """
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    rows = f"json_populate_recordset(CAST(NULL AS {table.name}), CAST(:rows AS json))"
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {rows}"


def _there(connection: Connection, votes: list[Vote]) -> dict[str, Vote]:
    if not votes:
        return {}
    columns = arena_votes.c
    mine = or_(columns.id.in_([vote.id for vote in votes]), columns.session.in_([vote.session for vote in votes]))
    rows = connection.execute(select(arena_votes).where(mine)).mappings()
    return {row["id"]: Vote(**row) for row in rows}


def _said(vote: Vote, known: set[str], there: dict[str, Vote]) -> Receipt | VoteRefused:
    if vote.session not in known:
        return VoteRefused("no_session", "there is no such session")
    if vote.id not in there:
        return VoteRefused("voted", "this session has its vote already")
    if there[vote.id].says() != stored(vote).says():
        return VoteRefused("different", "a vote with this id says something else", "a new id")
    return Receipt(there[vote.id], repeated=True)


def stored(vote: Vote) -> Vote:
    """The vote as it is read back."""
    return Vote(**values(vote))


class Rehearsed(Exception):
    """Undoes the transaction of a rehearsal."""


def rehearse(connection: Connection) -> None:
    """Goes once through all that the first votes would else wait for (statements are compiled), and keeps nothing.

    Raises:
        Rehearsed: always, so that the transaction is undone.
    """
    names = [f"rehearsal-{uuid.uuid4()}" for _ in range(3)]
    rows = [SessionRow(id=name, created=0.0, mode="battle", environment="auto", model_a="a", model_b="b", voter="")
            for name in names]  # fmt: skip
    connection.execute(arena_sessions.insert(), [values(row) for row in rows])
    casts = [
        Cast(
            Vote(id=str(uuid.uuid4()), session=name, time=0.0, mode="battle", winner="tie", voter="", address_hash="",
                 model_a="a", model_b="b"),
            [Event(session=name, number=1, time=0.0, kind="vote")],
        )
        for name in names
    ]  # fmt: skip
    record(connection, casts[:1])  # one alone and several at once are statements of their own
    record(connection, casts)
    raise Rehearsed
