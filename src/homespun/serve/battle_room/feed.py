"""The events of one session: appended in order, written behind to the store, read by any number of clients.

A reader is a number: it asks for what came after it and waits for more. Nothing is queued for anybody, so a slow reader
costs nothing and a thousand cost a list each time. A finished reply's pieces are dropped, since ``generated`` tells it
whole: who was in the middle of them reads on from there.
"""

import asyncio
import logging
import time
from bisect import bisect_right
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from homespun.serve.battle_room.sessions import Side, State, fold, step
from homespun.serve.store.arena import ArenaStore, Event
from homespun.serve.store.database import DatabaseError

log = logging.getLogger("homespun.arena")

LEAP = 100_000
"""Numbers left out after a restart: readers may have seen pieces under numbers that no store knows."""
RETRY_SECONDS = (0.1, 0.5, 2.0, 5.0)
"""Pauses while the database is away; the last one is repeated."""
_number = attrgetter("number")


class Feed:
    """Events of a session.

    Args:
        session: Its id.
        store: Where they are kept.
        events: Those that were kept.
    """

    def __init__(self, session: str, store: ArenaStore, events: Iterable[Event] = ()) -> None:
        self.session, self._store = session, store
        self._events = list(events)
        self.state: State = fold(self._events)
        self._number = self._events[-1].number + LEAP if self._events else 0
        self._unsaved: list[Event] = []
        self._writer: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._reserved: list[Event] | None = None
        self._held: list[tuple[str, Side | None, dict[str, Any], bool]] = []
        self.ended = False

    @property
    def events(self) -> list[Event]:
        """All that are still told, in order."""
        return self._events

    def append(self, kind: str, side: Side | None, body: dict[str, Any], *, stored: bool = True) -> None:
        """Adds an event, tells the readers, and has it written."""
        if self._reserved is not None:
            self._held.append((kind, side, body, stored))
            return
        event = self._next(kind, side, body)
        if stored:
            self._unsaved.append(event)
            if self._writer is None or self._writer.done():
                self._writer = asyncio.create_task(self._write())
        self._take(event)

    def _next(self, kind: str, side: Side | None, body: dict[str, Any]) -> Event:
        self._number += 1
        return Event(session=self.session, number=self._number, time=time.time(), kind=kind, side=side, body=body)

    def _take(self, event: Event) -> None:
        if event.kind in ("generated", "turn"):
            done = event.body["sides"] if event.side is None else (event.side,)
            self._events = [one for one in self._events if one.kind != "delta" or one.side not in done]
        self._events.append(event)
        self.state = step(self.state, event)
        self._moved.set()
        self._moved = asyncio.Event()

    # --- a transaction of somebody else's that holds events --------------------------------------------------------

    def reserve(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> list[Event]:
        """Events that another transaction writes; whatever comes meanwhile waits for `settle`."""
        self._reserved = [self._next(kind, None, body) for kind, body in rows]
        return self._reserved

    def settle(self, *, written: bool) -> None:
        """Ends what `reserve` began: the events are told if they were written, and those that waited follow."""
        events, self._reserved = self._reserved or [], None
        for event in events if written else ():
            self._take(event)
        held, self._held = self._held, []
        for kind, side, body, stored in held:
            self.append(kind, side, body, stored=stored)

    # --- reading ---------------------------------------------------------------------------------------------------

    def after(self, number: int) -> list[Event]:
        """Events with a greater number."""
        return self._events[bisect_right(self._events, number, key=_number) :]

    async def wait(self, number: int, seconds: float) -> list[Event]:
        """Events with a greater number, as soon as there are any; none after so many seconds, or at the end."""
        found = self.after(number)
        if found or self.ended:
            return found
        try:
            async with asyncio.timeout(seconds):
                await self._moved.wait()
        except TimeoutError:
            return []
        return self.after(number)

    def end(self) -> None:
        """Lets all readers go."""
        self.ended = True
        self._moved.set()

    # --- writing ---------------------------------------------------------------------------------------------------

    async def saved(self) -> None:
        """Waits until everything up to now is written."""
        while self._writer is not None and not self._writer.done():
            await asyncio.shield(self._writer)

    async def _write(self) -> None:
        failures = 0
        while self._unsaved:
            batch = list(self._unsaved)
            try:
                await self._store.add_events(batch)
            except DatabaseError as error:
                if error.refused:
                    log.error("session %s: events are lost: %s", self.session, error)
                else:
                    log.warning("session %s: events wait for the database: %s", self.session, error)
                    await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                    failures += 1
                    continue
            failures = 0
            del self._unsaved[: len(batch)]
