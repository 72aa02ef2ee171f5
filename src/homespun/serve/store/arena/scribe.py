"""Group commit: what many ask to be written at once goes into one transaction, and is acknowledged after its commit.

A commit costs an fsync, milliseconds; 200 voters one after the other would wait for 200 of them. While one transaction
is under way the next gathers, so that everybody waits for two at most.

What one of them may not write is refused to it alone: the transaction is then undone, and its parts go one by one.
Votes go last, all in one statement.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

from homespun.serve.store.arena.ballots import Cast, record
from homespun.serve.store.arena.types import Receipt, VoteRefused
from homespun.serve.store.database import Database, DatabaseError

T = TypeVar("T")
Job = Callable[[Connection], Any]
Waiting = tuple[asyncio.Future[Any], Job | Cast]
MOST = 500
"""Jobs in one transaction."""


class Scribe:
    """Writes for many, one transaction after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[Waiting] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begins to write."""
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="homespun-scribe")

    async def close(self) -> None:
        """Writes what waits, and ends."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Runs a job in the next transaction; comes back after its commit.

        A job may run twice, if its first transaction was undone. If the awaiting task is cancelled, a job that has
        begun goes on.

        Raises:
            DatabaseError: it is not written, or the database broke in the middle of its commit.
        """
        return await self._submit(job)

    async def vote(self, cast: Cast) -> Receipt | VoteRefused:
        """The same for a vote.

        Raises:
            DatabaseError: as `write`.
        """
        return await self._submit(cast)

    async def _submit(self, job: Job | Cast) -> Any:
        if self._stopping or self._task is None:
            raise DatabaseError("is closed", self._database.where)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, job))
        self._wake.set()
        return await future

    async def _work(self) -> None:
        while self._waiting or not self._stopping:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            await self._write([(future, job) for future, job in batch if not future.done()])

    async def _write(self, batch: list[Waiting]) -> None:
        if not batch:
            return
        try:
            found = await self._database.run(lambda connection: _run(connection, [job for _, job in batch]))
        except Exception as error:
            if len(batch) > 1 and (not isinstance(error, DatabaseError) or error.refused):
                for single in batch:
                    await self._write([single])
                return
            for future, _ in batch:
                _fail(future, error)
            return
        for (future, _), value in zip(batch, found, strict=True):
            if not future.done():
                future.set_result(value)


def _run(connection: Connection, jobs: list[Job | Cast]) -> list[Any]:
    found = [None if isinstance(job, Cast) else job(connection) for job in jobs]
    places = [place for place, job in enumerate(jobs) if isinstance(job, Cast)]
    casts = [job for job in jobs if isinstance(job, Cast)]
    for place, said in zip(places, record(connection, casts) if casts else [], strict=True):
        found[place] = said
    return found


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
