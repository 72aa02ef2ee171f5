"""The clerk of one worker: brings its journal to the database, one transaction after the other, and comes back with
leases, keys and limits. There is never more than one transaction under way, so that what it says of a lease is true.
"""

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path

from homespun.serve.store import ledger
from homespun.serve.store.database import Database, DatabaseError
from homespun.serve.store.escrow import Escrow, Lease
from homespun.serve.store.journal import BATCH_BYTES, Journal, Segment, read
from homespun.serve.store.keys import Registry
from homespun.serve.store.leases import Place
from homespun.serve.store.marks import KEYS, WANTED
from homespun.serve.store.recovery import Recovered, recover
from homespun.serve.store.workers import BEAT_SECONDS

log = logging.getLogger("homespun.books")

TICK_SECONDS = 0.1
_LONGEST_PAUSE = 5.0
_WAIT_SECONDS = 10.0
"""How long a request waits for the database."""
_SURVEY_SECONDS, _RECOVER_SECONDS, _CLEAN_SECONDS = 1.0, 15.0, 3600.0


class _Every:
    """Says once in a while that it is time."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._next = seconds, time.monotonic() + seconds

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Clerk:
    """See the module."""

    def __init__(self, database: Database, worker: str, journal: Journal, escrow: Escrow, registry: Registry,
                 version: int, root: Path, found: Recovered) -> None:  # fmt: skip
        self.registry = registry
        self.fault: str | None = None
        """What is wrong with the database."""
        self.damaged = self.rejected = 0
        self._database, self._worker, self._journal, self._escrow = database, worker, journal, escrow
        self._version, self._root, self._found = version, root, found
        self._waiting: list[asyncio.Future[bool]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._pause = TICK_SECONDS
        self._most = BATCH_BYTES
        self._careful = self._look = False
        self._wanted = 0
        self._compared = time.monotonic()
        self._beat, self._survey = _Every(BEAT_SECONDS), _Every(_SURVEY_SECONDS)
        self._recover, self._clean = _Every(_RECOVER_SECONDS), _Every(_CLEAN_SECONDS)

    @property
    def age(self) -> float:
        """Seconds since keys and limits were compared with the database."""
        return time.monotonic() - self._compared

    def start(self) -> None:
        """Begins to work."""
        self._task = asyncio.create_task(self._work(), name="homespun-clerk")

    async def stop(self) -> None:
        """Ends after the transaction that is under way."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def soon(self) -> None:
        """Makes the next transaction begin at once."""
        if self.fault is None:
            self._wake.set()

    async def round(self) -> bool:
        """Waits for a transaction that begins after this call; says whether it went well."""
        if self.fault is not None or self._stopping:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wake.set()
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                return await future
        except TimeoutError:
            return False

    async def flush(self) -> None:
        """Works until all that the journal has now is in the database.

        Raises:
            DatabaseError: the database is away.
        """
        goal = [(segment, segment.size) for segment in self._journal.segments]
        first = True
        while first or any(segment.booked < size for segment, size in goal):
            first = False
            if not await self.round() and self._most == BATCH_BYTES:
                raise DatabaseError(self.fault or "the books are closed", self._database.where)

    async def _work(self) -> None:
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            try:
                well = await self._transact()
            except Exception:
                log.exception("the books have a fault")
                well, self.fault = False, "unexpected error; the log tells more"
                self._slower()
            for future in [future for future in waiting if not future.done()]:
                future.set_result(well)
            await asyncio.sleep(0)  # who waited takes what was granted before anything of it can go back
            if well and self._recover.due():
                await self._look_for_dead()
        for future in [future for future in self._waiting if not future.done()]:
            future.set_result(False)

    async def _transact(self) -> bool:
        escrow, now = self._escrow, time.time()
        self._journal.retry()
        if self.fault is None and self._survey.due():
            escrow.give_back(escrow.idle(now))
            escrow.forget()
        stretch = self._journal.unbooked()
        touched, work = self._plan(stretch, now)
        try:
            done = await self._database.run(lambda c: ledger.transact(c, work), read_only=work.idle)
        except ledger.DoubledError:
            escrow.touched |= touched
            if self._careful:
                raise
            self._careful = True
            return await self._transact()
        except DatabaseError as error:
            escrow.touched |= touched
            await self._failed(error, stretch)
            return False
        except BaseException:
            escrow.touched |= touched
            raise
        self._apply(done, touched, stretch)
        return True

    def _plan(self, stretch: tuple[Segment, int, int] | None, now: float) -> tuple[set[Lease], ledger.Work]:
        escrow = self._escrow
        asking, holding = escrow.asking(now), escrow.holding(now)
        touched, escrow.touched = escrow.touched, set()
        watched: dict[Place, int] | None = None
        if self._look:
            watched = {place: lease.wanted for place, lease in escrow.leases.items() if lease.free}
        work = ledger.Work(
            worker=self._worker,
            stretch=None if stretch is None else (stretch[0].fd, stretch[1], stretch[2]),
            most=self._most,
            holding=holding,
            asking=asking,
            watched=watched,
            keys_version=self._version,
            careful=self._careful,
            beat=self._beat.due(),
            clean=self._clean.due(),
            now=now,
        )
        return touched, work

    def _apply(self, done: ledger.Done, touched: set[Lease], stretch: tuple[Segment, int, int] | None) -> None:
        escrow = self._escrow
        if self.fault is not None:
            log.warning("the database is back")
        self.fault, self._pause, self._careful = None, TICK_SECONDS, False
        self._most, self._compared = BATCH_BYTES, time.monotonic()
        self.damaged += done.damaged
        escrow.book(done.covered, done.grants, time.time())
        escrow.touched |= {lease for lease in touched if lease.unbooked}
        if stretch is not None:
            stretch[0].booked += done.read
            self._journal.drop_booked()
        if done.registry is not None:
            self.registry, self._version = done.registry, done.marks.get(KEYS, 0)
            escrow.use(done.registry)
        for place, count in done.recalled.items():
            if (lease := escrow.leases.get(place)) is not None:
                lease.wanted = count
                escrow.give_back([lease])
        wanted = done.marks.get(WANTED, 0)
        self._look, self._wanted = wanted != self._wanted, wanted
        more = done.read > BATCH_BYTES // 2 and self._journal.unbooked() is not None
        if self._look or done.recalled or more:
            self._wake.set()

    async def _failed(self, error: DatabaseError, stretch: tuple[Segment, int, int] | None) -> None:
        self._careful = True  # it may have broken at the commit
        if error.refused and stretch is not None:
            if self._most == 1:
                self._set_aside(stretch)
            self._most = self._most // 8 or 1
            self._wake.set()
            return
        if self.fault is None:
            log.warning("the database is away, requests go on with what is leased: %s", error)
        self.fault = error.what
        self._slower()
        with suppress(OSError):
            self._journal.sync()

    def _slower(self) -> None:
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _set_aside(self, stretch: tuple[Segment, int, int]) -> None:
        """Takes an entry out of the way that the database will never take, so that it does not hold up the others."""
        segment, start, end = stretch
        line = read(segment.fd, start, end, 1)
        with open(self._root / "rejected.log", "ab") as file:
            file.write(line)
        log.error("an entry of the journal was refused; it is kept in %s", self._root / "rejected.log")
        self.rejected += 1
        self._escrow.book(ledger.read(line).covered(), {}, time.time())
        segment.booked += len(line)

    async def _look_for_dead(self) -> None:
        """Recovers workers of this machine that died since."""
        try:
            found = await recover(self._database, self._root)
        except (DatabaseError, OSError) as error:
            log.warning("a dead worker's journal cannot be recovered yet: %s", error)
            return
        self._found.add(found)
