"""All live sessions: opened, found again after a restart, closed when nobody looks any more."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_urlsafe
from typing import Literal

from homespun.records import Sampling
from homespun.serve.battle_room.config import Arena
from homespun.serve.battle_room.contestants_types import Contestant
from homespun.serve.battle_room.drawing import Drawing
from homespun.serve.battle_room.executions import Stage
from homespun.serve.battle_room.feed import Feed
from homespun.serve.battle_room.recovery import recover
from homespun.serve.battle_room.room import Room, refuse
from homespun.serve.battle_room.sessions import Side
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.arena import ArenaStore, RunRow, SessionRow

log = logging.getLogger("homespun.arena")

Mode = Literal["battle", "named", "direct"]
SWEEP_SECONDS = 5.0
FORGET_SECONDS = 60.0
"""How long a session that nobody looks at and that has no app stays in memory."""
CROWDED_SECONDS = 5.0
"""The same, when there is no room for another."""


class Rooms:
    """The sessions.

    Args:
        arena: The settings.
        contestants: Everyone who takes part.
        store: Where sessions are kept.
        stage: Where programs run.
    """

    def __init__(self, arena: Arena, contestants: Sequence[Contestant], store: ArenaStore, stage: Stage) -> None:
        self.contestants = {one.name: one for one in contestants}
        self._arena, self._store, self._stage = arena, store, stage
        self._rooms: dict[str, Room] = {}
        self._loading: dict[str, asyncio.Lock] = {}
        self._fresh: set[str] = set()
        """Sessions without a turn: in memory alone."""
        self.drawing = Drawing(arena, self.contestants)
        self._sweeper: asyncio.Task[None] | None = None
        self.interactions: dict[str, int] = {}
        """How many records each run has, as far as that is known."""
        self.closing = False

    async def start(self) -> None:
        """Counts the votes, and begins to look after the rooms."""
        for vote in await self._store.votes():
            self.drawing.counted(vote)
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Ends all of them; what is at work is stopped."""
        self.closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper
        await asyncio.gather(*(room.close() for room in self._rooms.values()))
        self._rooms.clear()

    # --- opening ---------------------------------------------------------------------------------------------------

    async def open(
        self,
        mode: Mode,
        models: Sequence[str],
        environment: str,
        system_prompt: str | None,
        sampling: Sampling,
        voter: str,
    ) -> Room:
        """Opens a session; it is kept from its first turn on.

        Args:
            mode: Battles draw their models at the first turn, the other modes are told them.
            models: Two names, or one for direct chat.
            environment: What the programs shall run in, or ``auto``.
            system_prompt: What contestants are told first.
            sampling: How they answer.
            voter: Hash of whom it belongs to.

        Raises:
            GatewayError: 422 for models that are none, 503 where there is no room.
        """
        if len(self._rooms) >= self._arena.limits.rooms:
            await self._forget(time.monotonic() - CROWDED_SECONDS)
        if len(self._rooms) >= self._arena.limits.rooms:
            raise GatewayError(503, "The battle room is full; try again in a minute.", code="full", retry_after=60)
        left, right = ("", None) if mode == "battle" else self._named(mode, models)
        row = SessionRow(
            id=token_urlsafe(16),
            created=time.time(),
            mode=mode,
            environment=environment,
            system_prompt=system_prompt,
            sampling=sampling.model_dump(include={"temperature", "top_p", "max_tokens"}),
            model_a=left,
            model_b=right,
            voter=voter,
            config={"pairing": self._arena.pairing},
        )
        room = self._rooms[row.id] = self._room(row, Feed(row.id, self._store))
        self._fresh.add(row.id)
        return room

    async def begin(self, room: Room, text: str) -> None:
        """Before the first turn: draws who meets, among those who can answer, and keeps the session.

        Args:
            room: A session; one that has begun stays as it is.
            text: The first prompt.

        Raises:
            GatewayError: 503, no two contestants may meet; 422, none that know an answer to this.
            DatabaseError: the database is away.
        """
        async with room.lock:
            row = room.row
            if row.id not in self._fresh:
                return
            if row.mode == "battle":
                drawn = await self.drawing.draw(text)
                row = replace(row, model_a=drawn.left, model_b=drawn.right, propensity=drawn.propensity)
            await self._store.save_session(row)
            self._fresh.discard(row.id)
            room.cast(row, self._playing(row))

    def _named(self, mode: Mode, models: Sequence[str]) -> tuple[str, str | None]:
        wanted = 1 if mode == "direct" else 2
        if len(models) != wanted or len(set(models)) != wanted:
            what = "one model" if wanted == 1 else "two different models"
            raise refuse(f"This mode needs {what}.", "models", 422)
        for name in models:
            if name not in self.contestants:
                raise refuse(f"No model is called {name[:80]!r}; GET /api/setup lists them.", "models", 422)
        return models[0], models[1] if wanted == 2 else None

    def _room(self, row: SessionRow, feed: Feed, runs: Sequence[RunRow] = ()) -> Room:
        return Room(row, feed, self._playing(row), self._stage, self._arena.limits, runs)

    def _playing(self, row: SessionRow) -> dict[Side, Contestant]:
        names: dict[Side, str | None] = {"a": row.model_a, "b": row.model_b}
        return {side: self.contestants[name] for side, name in names.items() if name and name in self.contestants}

    # --- finding ---------------------------------------------------------------------------------------------------

    async def get(self, session: str) -> Room:
        """A session, from memory or from the store.

        Raises:
            GatewayError: 404, there is none.
        """
        if (room := self._rooms.get(session)) is None:
            lock = self._loading.setdefault(session, asyncio.Lock())
            try:
                async with lock:
                    room = self._rooms.get(session) or await self._load(session)
            finally:
                self._loading.pop(session, None)
        self.look(room)
        return room

    def look(self, room: Room) -> None:
        """Takes note that somebody looks at a session."""
        room.looked = time.monotonic()

    async def of_run(self, run: str) -> tuple[Room, RunRow]:
        """A run that has been shown, and its session.

        Raises:
            GatewayError: 404, there is none.
        """
        row = await self._store.run(run)
        if row is not None:
            room = await self.get(row.session)
            if run in room.state.runs:
                return room, row
        raise GatewayError(404, "There is no such run.", code="not_found")

    async def _load(self, session: str) -> Room:
        row = await self._store.session(session)
        if row is None:
            raise GatewayError(404, "There is no such session.", code="not_found")
        runs = await self._store.runs(session)
        feed = Feed(session, self._store, await self._store.events(session))
        recover(feed, runs)
        room = self._rooms[session] = self._room(row, feed, runs)
        room.look_ahead()
        return room

    # --- looking after them ----------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep(time.monotonic())
            except Exception:
                log.exception("rooms could not be looked after")

    async def sweep(self, now: float) -> None:
        """Closes apps that nobody has looked at, or that are too many, and forgets sessions that are at rest."""
        limits, open_ = self._arena.limits, [room for room in self._rooms.values() if room.urls]
        spare = sum(len(room.urls) for room in open_) - limits.apps
        for room in sorted(open_, key=lambda room: room.looked):
            if spare > 0 or now - room.looked > limits.idle_seconds:
                spare -= len(room.urls)
                room.close_apps()
        await self._forget(now - FORGET_SECONDS)

    def app_closed(self, run: str) -> None:
        """Takes note that an app was closed by whoever serves it."""
        for room in self._rooms.values():
            if run in room.urls:
                room.app_closed(run)

    async def _forget(self, since: float) -> None:
        """Forgets sessions that are at rest and that nobody has looked at since; the store has them."""
        for session, room in list(self._rooms.items()):
            if room.looked < since and not room.held:
                await room.feed.saved()
                if room.looked < since and not room.held:
                    self._rooms.pop(session, None)
                    self._fresh.discard(session)
                    room.feed.end()
