"""The store of the battle room: sessions, events, runs, interactions, pictures and votes, which only grow."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, func, select

from homespun.serve.store.arena.ballots import Cast, Rehearsed, rehearse
from homespun.serve.store.arena.scribe import Scribe
from homespun.serve.store.arena.types import (
    Blob,
    Event,
    Interaction,
    Receipt,
    RunRow,
    SessionRow,
    Side,
    Vote,
    VoteRefused,
    values,
)
from homespun.serve.store.arena_tables import (
    arena_blobs,
    arena_events,
    arena_interactions,
    arena_looks,
    arena_runs,
    arena_sessions,
    arena_votes,
)
from homespun.serve.store.database import Database, DatabaseError
from homespun.serve.store.upsert import insert

Row = TypeVar("Row")


class ArenaStore:
    """Writes by group commit, reads on the same connection, or on another so that long reads hold up no vote.

    Args:
        database: Migrated.
        reader: The same database once more, for reading; default the first.
    """

    def __init__(self, database: Database, reader: Database | None = None) -> None:
        self.database, self._reader = database, reader or database
        self._scribe = Scribe(database)

    async def start(self) -> None:
        """Begins to write; goes once through a vote, so that the first is as quick as any."""
        with suppress(Rehearsed, DatabaseError):  # a database that is away is whoever's who needs it
            await self.database.run(rehearse)
        await self._scribe.start()

    async def close(self) -> None:
        """Writes what waits, and ends; the databases stay open."""
        await self._scribe.close()

    # --- sessions and what happens in them ----------------------------------------------------------------------

    async def save_session(self, session: SessionRow) -> None:
        """Keeps a session; one that is there already stays as it is.

        Raises:
            DatabaseError: the database is away.
        """
        await self._keep(arena_sessions, [values(session)])

    async def session(self, id: str) -> SessionRow | None:
        """One session."""
        found = await self._read(SessionRow, select(arena_sessions).where(arena_sessions.c.id == id))
        return found[0] if found else None

    async def sessions(self, *, limit: int = 100, since: float = 0.0) -> list[SessionRow]:
        """Sessions opened at or after a time, the newest first."""
        columns = arena_sessions.c
        query = select(arena_sessions).where(columns.created >= since)
        return await self._read(SessionRow, query.order_by(columns.created.desc(), columns.id).limit(limit))

    async def add_event(self, session: str, number: int, kind: str, time: float, body: Mapping[str, Any],
                        side: Side | None = None) -> None:  # fmt: skip
        """Adds one event.

        Raises:
            DatabaseError: its number is taken or there is no such session (``refused``), or the database is away.
        """
        await self.add_events([Event(session=session, number=number, time=time, kind=kind, side=side, body=body)])

    async def add_events(self, events: Sequence[Event]) -> None:
        """Adds events, all or none.

        Raises:
            DatabaseError: as `add_event`.
        """
        rows = [values(event) for event in events]
        if rows:
            await self._scribe.write(lambda connection: _done(connection.execute(arena_events.insert(), rows)))

    async def events(self, session: str, after: int = 0) -> list[Event]:
        """Events of a session with a greater number, in order."""
        columns = arena_events.c
        query = select(arena_events).where(columns.session == session, columns.number > after)
        return await self._read(Event, query.order_by(columns.number))

    # --- runs ---------------------------------------------------------------------------------------------------

    async def add_run(self, run: RunRow, blobs: Sequence[Blob] = ()) -> None:
        """Keeps a run that is over, with its pictures; one that is there already stays as it is.

        Raises:
            DatabaseError: there is no such session (``refused``), or the database is away.
        """
        await self._with_blobs(arena_runs, values(run), blobs)

    async def add_looks(self, run: str, screenshots: Sequence[Mapping[str, Any]], blobs: Sequence[Blob] = ()) -> None:
        """Keeps pictures of a run's page that were taken after the run was kept; once for a run.

        Raises:
            DatabaseError: there is no such run (``refused``), or the database is away.
        """
        await self._with_blobs(arena_looks, {"run": run, "screenshots": list(screenshots)}, blobs)

    async def _with_blobs(self, table: Table, row: dict[str, Any], blobs: Sequence[Blob]) -> None:
        pictures = [{"hash": blob.hash, "type": blob.type, "content": blob.content} for blob in blobs]

        def keep(connection: Connection) -> None:
            if pictures:
                connection.execute(insert(connection, arena_blobs).on_conflict_do_nothing(), pictures)
            connection.execute(insert(connection, table).on_conflict_do_nothing(), row)

        await self._scribe.write(keep)

    async def run(self, run: str) -> RunRow | None:
        """One run, with the pictures of its page."""
        found = await self._runs(select(arena_runs).where(arena_runs.c.run == run))
        return found[0] if found else None

    async def runs(self, session: str) -> list[RunRow]:
        """Runs of a session, the oldest first, with the pictures of their pages."""
        columns = arena_runs.c
        return await self._runs(
            select(arena_runs).where(columns.session == session).order_by(columns.created, columns.run)
        )

    async def _runs(self, query: Select[Any]) -> list[RunRow]:
        def read(connection: Connection) -> list[RunRow]:
            rows = [RunRow(**row) for row in connection.execute(query).mappings()]
            looks = select(arena_looks).where(arena_looks.c.run.in_([row.run for row in rows]))
            later = {look.run: look.screenshots for look in connection.execute(looks)}
            return [replace(row, screenshots=later[row.run]) if row.run in later else row for row in rows]

        return await self._reader.run(read, read_only=True)

    async def add_interactions(self, run: str, records: Sequence[Interaction]) -> int:
        """Adds what a user did in a run's app; returns how many of them there are now.

        Raises:
            DatabaseError: there is no such run (``refused``), or the database is away.
        """
        rows = [values(item) for item in records]

        def add(connection: Connection) -> int:
            mine = select(func.count()).select_from(arena_interactions).where(arena_interactions.c.run == run)
            there = connection.scalar(mine) or 0
            numbered = [{**row, "run": run, "number": there + place} for place, row in enumerate(rows, 1)]
            if numbered:
                connection.execute(arena_interactions.insert(), numbered)
            return there + len(numbered)

        return await self._scribe.write(add)

    async def interactions(self, run: str) -> list[Interaction]:
        """What users did in a run's app, in order."""
        columns = arena_interactions.c
        query = select(columns.time, columns.type, columns.payload).where(columns.run == run).order_by(columns.number)
        return await self._read(Interaction, query)

    async def add_blob(self, blob: Blob) -> str:
        """Keeps a picture; returns its hash."""
        await self._keep(arena_blobs, [{"hash": blob.hash, "type": blob.type, "content": blob.content}])
        return blob.hash

    async def blob(self, hash: str) -> Blob | None:
        """A picture by its hash."""
        query = select(arena_blobs.c.type, arena_blobs.c.content).where(arena_blobs.c.hash == hash)
        found = await self._read(Blob, query)
        return found[0] if found else None

    # --- votes --------------------------------------------------------------------------------------------------

    async def vote(self, vote: Vote, events: Sequence[Event] = ()) -> Receipt:
        """Takes a vote; comes back when it is on disk.

        Args:
            vote: The same id and content again is the same vote.
            events: Written with it, if it is new: both or neither.

        Raises:
            VoteRefused: no such session, which has a vote already, or the id stands for another vote.
            DatabaseError: the database is away. The vote may be sent again.
        """
        said = await self._scribe.vote(Cast(vote, events))
        if isinstance(said, VoteRefused):
            raise said
        return said

    async def vote_of(self, session: str) -> Vote | None:
        """The vote of a session."""
        found = await self._read(Vote, select(arena_votes).where(arena_votes.c.session == session))
        return found[0] if found else None

    async def votes(self, after: float | None = None) -> list[Vote]:
        """Votes, or those given later than a time, the oldest first."""
        columns = arena_votes.c
        query = select(arena_votes) if after is None else select(arena_votes).where(columns.time > after)
        return await self._read(Vote, query.order_by(columns.time, columns.id))

    async def count_votes(self) -> int:
        """How many there are."""
        query = select(func.count()).select_from(arena_votes)
        return await self._reader.run(lambda connection: connection.scalar(query) or 0, read_only=True)

    async def _keep(self, table: Table, rows: list[dict[str, Any]]) -> None:
        await self._scribe.write(
            lambda connection: _done(connection.execute(insert(connection, table).on_conflict_do_nothing(), rows))
        )

    async def _read(self, kind: type[Row], query: Any) -> list[Row]:
        def read(connection: Connection) -> list[Row]:
            return [kind(**row) for row in connection.execute(query).mappings()]

        return await self._reader.run(read, read_only=True)


def _done(_: object) -> None:
    return None
