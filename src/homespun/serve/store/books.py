"""The books of one worker: who may ask, how much, and what it cost.

Requests are let through from leases (`escrow`) and written to a journal (`journal`) without waiting for anything; a
clerk brings the journal to the database about ten times a second, and renews leases and keys on the way. While the
database is away requests are still served from what is leased, and the journal grows until it is back.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from homespun.errors import ConfigError
from homespun.serve.gateway.types import Attempt, new_id
from homespun.serve.store import journal, keys, refusal, rows, workers
from homespun.serve.store.clerk import Clerk
from homespun.serve.store.database import Database, DatabaseError
from homespun.serve.store.encode import encode
from homespun.serve.store.escrow import Escrow, Hold, Lease
from homespun.serve.store.journal import Journal, Segment
from homespun.serve.store.keys import Key
from homespun.serve.store.recovery import Recovered, recover, recover_folder

__all__ = ["Books", "Hold"]

log = logging.getLogger("homespun.books")

_TRIES = 12
_PATIENCE = 0.6
"""Seconds that a request waits for what other workers hold and may not need."""
_BARRED_SECONDS = 0.25


class Books:
    """The books of one worker; made by `open`."""

    def __init__(self, database: Database, worker: str, folder: Path, lock: int, registry: keys.Registry,
                 version: int, found: Recovered) -> None:  # fmt: skip
        self.worker = worker
        self._database, self._folder, self._lock, self._found = database, folder, lock, found
        self._journal = Journal(folder)
        self._escrow = Escrow(registry)
        self._clerk = Clerk(database, worker, self._journal, self._escrow, registry, version, folder.parent, found)
        self._over = {"requests": 0, "nanodollars": 0, "tokens": 0}
        self._open = 0
        self._closed = False

    @classmethod
    async def open(cls, database: Database, state: Path, *, worker: str | None = None) -> Self:
        """Migrates the database, recovers what dead workers left in the state folder, and begins.

        Args:
            database: Where the books are; it stays open when they are closed.
            state: Folder of journals, on a disk of this machine.
            worker: Its id, unlike that of every other worker.

        Raises:
            ConfigError: the database or the folder cannot be used.
        """
        await asyncio.to_thread(database.migrate)
        root = state / "journal"
        worker = worker or f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = await recover(database, root)
            folder, lock = journal.claim(root, worker)
        except OSError as error:
            what = error.strerror or str(error)
            raise ConfigError(
                what, f"the journal of worker {worker[:80]!r} in {root}", "another server.state"
            ) from None
        try:
            await database.run(lambda connection: workers.register(connection, worker, str(folder)))
            version, registry = await database.run(keys.load_version, read_only=True)
            books = cls(database, worker, folder, lock, registry, version, found)
        except BaseException:
            journal.discard(folder, lock)
            raise
        books._clerk.start()
        return books

    # --- who may ask --------------------------------------------------------------------------------------------

    def key(self, token: str) -> Key | None:
        """The key of a token; what was made or revoked elsewhere is known about half a second later."""
        return self._clerk.registry.key(token, time.time())

    def limited(self, key: Key | None) -> bool:
        """Whether any limit applies to requests of this key."""
        return bool(self._escrow.meters_of(key))

    async def usage(self, key: Key) -> list[dict[str, Any]]:
        """How much of each limit that applies to a key is used in the present window.

        Returns:
            For each limit: subject_kind, subject, unit, period, amount, spent, reserved, left (in its unit), window
            (second at which it began).

        Raises:
            DatabaseError: the database is away.
        """
        limits = self._clerk.registry.limits_of(key)
        return await self._database.run(lambda c: keys.usage(c, limits, time.time()), read_only=True)

    # --- one request --------------------------------------------------------------------------------------------

    def try_reserve(self, key: Key | None, *, tokens: int, nanodollars: int) -> Hold | None:
        """Sets aside the most that a request can cost, if this worker's leases cover it.

        Returns:
            What `begin` and `settle` want; ``None`` if `reserve` must be asked.
        """
        hold = self._escrow.try_reserve(key, (nanodollars, 1, tokens))
        if self._escrow.running_low:
            self._clerk.soon()
        return hold

    async def reserve(self, key: Key | None, *, tokens: int, nanodollars: int) -> Hold:
        """Sets aside the most that a request can cost, asking the database where this worker's leases do not cover it.

        Raises:
            GatewayError: 429 ``rate_limit_exceeded`` with ``retry_after``, or ``insufficient_quota``; 503 if the
                database is needed and away.
        """
        needs, escrow, patient = (nanodollars, 1, tokens), self._escrow, time.monotonic() + _PATIENCE
        for _ in range(_TRIES):
            plan = escrow.meters_of(key)
            for meter in plan:
                if needs[meter.unit] > meter.limit.amount:
                    raise refusal.over(meter.limit, needs[meter.unit])
            lacking = escrow.lacking(plan, needs)
            self._refuse_barred(lacking)
            escrow.ask(lacking)
            if lacking and not await self._clerk.round():
                raise refusal.unavailable()
            if (hold := escrow.try_reserve(key, needs)) is not None:
                return hold
            denied = [(lease, need) for lease, need in lacking if lease.denied and lease.free < need]
            if not denied:
                continue  # others of this worker were quicker, or the window has ended
            if time.monotonic() > patient or not any(lease.others > 0 for lease, _ in denied):
                for lease, need in denied:
                    lease.barred, lease.barred_need = time.monotonic() + _BARRED_SECONDS, need
                raise refusal.over(denied[0][0].limit, denied[0][1])
            await asyncio.sleep(0.12)
        raise refusal.unavailable()

    def _refuse_barred(self, lacking: Sequence[tuple[Lease, int]]) -> None:
        """Refuses at once what was refused a moment ago, so that who asks too often costs nobody anything."""
        now = time.monotonic()
        for lease, need in lacking:
            if lease.barred > now and need >= lease.barred_need:
                raise refusal.over(lease.limit, need)

    def release(self, hold: Hold) -> None:
        """Gives back what was set aside for a request that never began."""
        if hold.state == 0:
            hold.state = 2
            self._escrow.release(hold)

    def begin(self, hold: Hold, request_id: str, time: float, fields: Mapping[str, Any]) -> None:
        """Writes down that a request begins, before its first call.

        If the process dies before it is settled, it is on the books as ``interrupted`` at all that was set aside.

        Args:
            hold: What was set aside.
            request_id: Its id.
            time: Seconds since 1970.
            fields: Columns of its row that are known: endpoint, model, stream …

        Raises:
            GatewayError: 503, the journal cannot be written; the hold is released.
        """
        if hold.state != 0:
            raise RuntimeError(f"request {request_id} was begun before")
        key, needs = hold.key, hold.needs
        row = {
            "id": request_id,
            "time": time,
            "worker": self.worker,
            "key_id": key and key.id,
            "team": key and key.team,
        }
        pairs = zip(hold.meters, hold.leases, strict=True)
        entry = {
            "row": {**row, **fields}, "tokens": needs[2], "nanodollars": needs[0],
            "needs": [(*lease.place, needs[meter.unit]) for meter, lease in pairs],
        }  # fmt: skip
        try:
            segment = self._journal.append(journal.BEGIN, encode(entry))
        except OSError as error:
            log.error("the journal cannot be written: %s", error.strerror or error)
            self.release(hold)
            raise refusal.unavailable() from None
        segment.open += 1
        hold.begun, hold.state = segment, 1
        self._open += 1

    def settle(
        self, hold: Hold, request: Mapping[str, Any], attempts: Sequence[Attempt],
        decision: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Writes down what a request came to. Once this returns, nothing can take it off the books.

        Args:
            hold: What was set aside; what was not used is free again.
            request: Its row of ``requests``; what it cost is ``nanodollars`` and ``input_tokens + output_tokens``,
                all calls together.
            attempts: Every call that was made for it.
            decision: Its row of ``decisions``.
        """
        if hold.state == 2:
            raise RuntimeError(f"request {request.get('id')} was settled before")
        tokens = max(0, int(request["input_tokens"]) + int(request["output_tokens"]))
        nanodollars = max(0, int(request["nanodollars"]))
        charges = self._escrow.charge(hold, (nanodollars, 1, tokens))
        if nanodollars > hold.needs[0] or tokens > hold.needs[2]:
            self._overdrawn(hold, nanodollars, tokens)
        entry = {"row": request, "attempts": attempts, "decision": decision, "charges": charges}
        self._journal.append(journal.SETTLE, encode(entry), keep=True)
        hold.state = 2
        if isinstance(hold.begun, Segment):
            self._open -= 1
            if not self._journal.stranded:  # else its beginning is all that a recovery would find
                hold.begun.open -= 1

    def note(self, table: str, row: Mapping[str, Any]) -> None:
        """Writes down a row of ``attempts``, ``decisions``, ``labels`` or ``alarms``; an id is given where it has none.

        Raises:
            ValueError: rows of that table cannot be noted.
        """
        if table not in rows.NOTABLE:
            raise ValueError(f"rows of {table!r} are not noted; {', '.join(rows.NOTABLE)} are")
        if table != "decisions" and not row.get("id"):
            row = {**row, "id": new_id(table[:3])}
        self._journal.append(journal.NOTE, encode({"table": table, "row": row}), keep=True)

    def _overdrawn(self, hold: Hold, nanodollars: int, tokens: int) -> None:
        over = self._over
        over["requests"] += 1
        over["nanodollars"] += max(0, nanodollars - hold.needs[0])
        over["tokens"] += max(0, tokens - hold.needs[2])

    # --- all requests -------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Brings all that is written so far to the database.

        Raises:
            DatabaseError: the database is away; the journal keeps it.
        """
        await self._clerk.flush()

    async def close(self) -> None:
        """Books everything, gives back all leases and deletes the journal; requests still running are interrupted.

        If the database is away, the journal stays, and the next worker with this state folder books it.
        """
        if self._closed:
            return
        self._closed = True
        with suppress(DatabaseError):
            await self._clerk.flush()
        await self._clerk.stop()
        self._journal.retry()
        self._journal.close()
        try:
            await recover_folder(self._database, self._folder, self._found)
        except DatabaseError as error:
            log.error("the journal %s is kept for the next start: %s", self._folder.name, error)
            os.close(self._lock)
        else:
            journal.discard(self._folder, self._lock)

    def status(self) -> dict[str, Any]:
        """How it stands.

        Returns:
            database (``ok`` or what is wrong), behind_bytes (of the journal), open (requests), segments, leases, keys,
            keys_age (seconds since keys and limits were compared with the database), stranded (entries that the disk
            did not take), damaged and rejected (entries that could not be read, or booked), overdrawn (what requests
            cost above what was set aside for them: requests, nanodollars, tokens), recovered.
        """
        clerk, found = self._clerk, self._found
        return {
            "worker": self.worker,
            "database": clerk.fault or "ok",
            "behind_bytes": self._journal.behind,
            "segments": len(self._journal.segments),
            "open": self._open,
            "leases": len(self._escrow.leases),
            "keys": len(clerk.registry),
            "keys_age": clerk.age,
            "stranded": len(self._journal.stranded),
            "damaged": clerk.damaged,
            "rejected": clerk.rejected,
            "overdrawn": dict(self._over),
            "recovered": {"workers": found.workers, "requests": found.requests, "interrupted": found.interrupted},
        }
