"""The events of a stream as the gateway sees them: timed, and on the books however they end."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import Any

from homespun.serve.gateway.types import Event, Outcome
from homespun.serve.gateway.upstream.failure import Failed
from homespun.serve.gateway.upstream.limit import Limit
from homespun.serve.gateway.upstream.source import Feed

Book = Callable[[Outcome, Failed | None], None]


class Events(AsyncGenerator[Event, None]):
    """Ends cleanly only for a complete stream; closing it closes the upstream's connection.

    A class rather than a generator function, since ``aclose()`` of a generator that was never started runs nothing,
    and this one holds a connection and an open row on the books from its first moment.

    Args:
        name: The target, for messages.
        feed: The stream.
        loop: The running loop.
        idle: Seconds between two chunks at most.
        deadline: Loop time at which it must have ended.
        book: Called once, at the end, with the outcome and the error if there was one.
    """

    __slots__ = ("_book", "_deadline", "_ended", "_feed", "_idle", "_loop", "_name", "_next", "_ready")

    def __init__(
        self, name: str, feed: Feed, loop: asyncio.AbstractEventLoop, *, idle: float, deadline: float, book: Book
    ) -> None:
        self._name, self._feed, self._loop, self._book = name, feed, loop, book
        self._idle, self._deadline = idle, deadline
        self._ready: list[Event] = []
        self._next = 0
        self._ended = False

    async def __anext__(self) -> Event:
        if self._next < len(self._ready):
            event = self._ready[self._next]
            self._next += 1
            return event
        if self._ended:
            raise StopAsyncIteration
        try:
            self._ready = await self._read()
        except Failed as error:
            self._end("timeout" if error.reason == "timeout" else "cut", error)
            raise
        except BaseException:  # cancelled: the client left, or the server stops
            self._end("cancelled", None)
            raise
        if not self._ready:
            self._end("ok", None)
            raise StopAsyncIteration
        self._next = 1
        return self._ready[0]

    async def _read(self) -> list[Event]:
        now = monotonic()
        limit = min(now + self._idle, self._deadline)
        try:
            with Limit(self._loop, limit):
                return await self._feed.read()
        except TimeoutError:
            if limit < self._deadline:
                what = f"{self._name} sent nothing for {self._idle:g} s in the middle of a stream"
            else:
                what = f"{self._name} did not end its stream in time"
            raise Failed("timeout", what, status=504, arrived=1) from None

    def _end(self, outcome: Outcome, error: Failed | None) -> None:
        if not self._ended:
            self._ended = True
            self._feed.close()
            self._book(outcome, error)

    async def asend(self, value: None) -> Event:
        """As the iteration: nothing can be sent."""
        return await self.__anext__()

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> Event:
        """Ends the stream, then raises."""
        self._end("cancelled", None)
        raise typ if val is None else val

    async def aclose(self) -> None:
        """Ends the stream; what was used up to now is on the books."""
        self._ready, self._next = [], 0
        self._end("cancelled", None)
