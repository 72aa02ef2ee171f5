"""Server-sent events: from where the reader left off, with a sign of life, and without waiting for readers that stall.

Written on bare ASGI, since a reader that takes nothing must be let go: the response of the framework would wait for it
as long as the connection stands.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT_SECONDS = 15.0
STALLED_SECONDS = 30.0
"""How long a reader may take to take a piece."""
RETRY = b"retry: 1000\n\n"
ALIVE = b": alive\n\n"
_NUMBER = re.compile(r"\d{1,15}")


def frame(kind: str, data: dict[str, Any], number: int | None = None) -> bytes:
    """One event on the wire."""
    head = b"" if number is None else b"id: %d\n" % number
    return b"%sevent: %s\ndata: %s\n\n" % (head, kind.encode(), orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS))


def position(query: str | None, header: str | None) -> int:
    """Number of the last event that a reader has: its own memory goes before the address it first asked."""
    numbers = [int(text) for text in (query, header) if text is not None and _NUMBER.fullmatch(text)]
    return max(numbers, default=0)


class EventStream(Response):
    """A response that goes on.

    Args:
        pieces: What to send; ends with the stream.
    """

    media_type = "text/event-stream"

    def __init__(self, pieces: Callable[[], AsyncIterator[bytes]]) -> None:
        super().__init__(None, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the end, or until the reader leaves or stalls."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        writing = asyncio.create_task(self._write(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            writing.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        await _sent(send, RETRY, more=True)
        async for piece in self._pieces():
            await _sent(send, piece, more=True)
        await _sent(send, b"", more=False)


async def _sent(send: Send, data: bytes, *, more: bool) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        message: dict[str, Any] = {"type": "http.response.body", "body": data, "more_body": more}
        await send(message)


async def _left(receive: Receive) -> None:
    message: dict[str, Any] = {}
    get: Callable[[], Awaitable[Any]] = receive
    while message.get("type") != "http.disconnect":
        message = await get()
