"""Votes into the database: each once by its id, one for a session, many in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from homespun.serve.store.arena.types import Event, Receipt, Vote, VoteRefused, clean, values
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
    new = _insert(connection, [cast.vote for cast in first.values()])
    written = [cast for key, cast in first.items() if key in new]
    if events := [values(event) for cast in written for event in cast.events]:
        connection.execute(arena_events.insert(), events)
    fresh = {id(cast) for cast in written}
    others = [cast.vote for cast in casts if id(cast) not in fresh and cast.vote.session in known]
    there = _there(connection, others)
    return [_said(cast.vote, id(cast) in fresh, known, there) for cast in casts]


def _insert(connection: Connection, votes: list[Vote]) -> set[str]:
    """Ids of those that were new."""
    if not votes:
        return set()
    statement = insert(connection, arena_votes).on_conflict_do_nothing().returning(arena_votes.c.id)
    return set(connection.scalars(statement, [values(vote) for vote in votes]))


def _there(connection: Connection, votes: list[Vote]) -> dict[str, Vote]:
    if not votes:
        return {}
    columns = arena_votes.c
    mine = or_(columns.id.in_([vote.id for vote in votes]), columns.session.in_([vote.session for vote in votes]))
    rows = connection.execute(select(arena_votes).where(mine)).mappings()
    return {row["id"]: Vote(**row) for row in rows}


def _said(vote: Vote, fresh: bool, known: set[str], there: dict[str, Vote]) -> Receipt | VoteRefused:
    if fresh:
        return Receipt(stored(vote))
    if vote.session not in known:
        return VoteRefused("no_session", "there is no such session")
    if vote.id not in there:
        return VoteRefused("voted", "this session has its vote already")
    if there[vote.id].says() != stored(vote).says():
        return VoteRefused("different", "a vote with this id says something else", "a new id")
    return Receipt(there[vote.id], repeated=True)


def stored(vote: Vote) -> Vote:
    """The vote as it is read back."""
    found: dict[str, Any] = values(vote)
    return Vote(**{**found, "aspects": clean(dict(vote.aspects)), "covariates": clean(dict(vote.covariates))})
