"""HTTP at the edge, on bare ASGI: bodies read under a cap, answers and errors written, a client that leaves noticed.

The busy endpoints live on this rather than on a framework, whose layers would cost several times the work itself.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson

from homespun.serve.gateway.types import GatewayError

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]

JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
EVENTS: Pairs = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
BODY_SECONDS = 60.0
"""How long a client may take to send the body of a request."""
KEEP_ALIVE = b": still at work\n\n"
"""A comment of the event stream: clients skip it, and proxies see that the line is alive."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


def bearer(scope: Scope) -> str | None:
    """The key of a request: ``Authorization: Bearer …``, or ``x-api-key`` as Anthropic's clients send it."""
    for key, value in scope["headers"]:
        if key == b"authorization":
            kind, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if kind.lower() == "bearer" else None
    return header(scope, b"x-api-key")


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The body, read to its end.

    Raises:
        GatewayError: 413 for more than ``most`` bytes, 408 for one that takes longer than `BODY_SECONDS`, 400 for a
            client that left half-way or a wrong length.
    """
    length = header(scope, b"content-length")
    if length is not None:
        if not length.isascii() or not length.isdigit():
            raise GatewayError(400, "Content-Length is no number.")
        if int(length) > most:
            raise _too_large(most)
    with _patience:
        return await _read(receive, most)


_loop: asyncio.AbstractEventLoop | None = None


def this_task() -> "asyncio.Task[Any]":
    """The task that runs; cheaper than asking asyncio, which pays a system call to find the loop each time.

    A process serves on one loop, which is remembered; another one is looked up as usual.
    """
    global _loop
    task = None if _loop is None else asyncio.current_task(_loop)
    if task is None:
        _loop = asyncio.get_running_loop()
        task = asyncio.current_task(_loop)
        assert task is not None
    return task


class _Patience:
    """Ends what takes longer than `BODY_SECONDS`, with one timer for all requests rather than one for each.

    A timer for each request costs several times what reading its body does.
    """

    def __init__(self) -> None:
        self._since: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        task = this_task()
        self._since[task] = time.monotonic()
        if (loop := task.get_loop()) is not self._loop:
            self._loop = loop
            loop.call_later(BODY_SECONDS / 4, self._look, loop)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task = this_task()
        self._since.pop(task, None)
        if task in self._late:
            self._late.discard(task)
            task.uncancel()
            if kind is asyncio.CancelledError:
                what = f"The body took longer than {BODY_SECONDS:g} seconds."
                raise GatewayError(408, what, code="request_timeout") from None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        limit = time.monotonic() - BODY_SECONDS
        for task, since in list(self._since.items()):
            if since > limit:
                break
            self._late.add(task)
            del self._since[task]
            task.cancel()
        if self._since:
            loop.call_later(BODY_SECONDS / 4, self._look, loop)
        else:
            self._loop = None


_patience = _Patience()


async def _read(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GatewayError(400, "The request ended before its body did.")
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> GatewayError:
    return GatewayError(413, f"The request is larger than {most} bytes.", code="request_too_large")


async def start(send: Send, status: int, headers: Pairs) -> None:
    """Begins a response."""
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def write(send: Send, data: bytes) -> None:
    """One piece of a response that goes on."""
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def finish(send: Send, data: bytes = b"") -> None:
    """The last piece of a response."""
    await send({"type": "http.response.body", "body": data})


async def answer(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """A whole JSON response."""
    await start(send, status, [JSON, (b"content-length", str(len(body)).encode()), *headers])
    await finish(send, body)


def error_headers(error: GatewayError) -> Pairs:
    """``Retry-After`` and, for a missing key, what would be accepted."""
    headers: Pairs = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, round(error.retry_after))).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def parse(raw: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        GatewayError: 400, no JSON or no object.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise GatewayError(400, f"The body is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise GatewayError(400, "The body must be a JSON object.", code="invalid_json")
    return body


MOMENT_SECONDS = 0.1
"""A request that is answered sooner than this is not worth watching its client."""


class Leaving:
    """Cancels the current task when the client leaves; ``happened`` tells that it did.

    Use it as a context manager around the work for one request, once its body has been read. Watching begins after
    `MOMENT_SECONDS`, with one timer for all requests: a watcher for each would cost more than the quick ones do.
    """

    __slots__ = ("_over", "_receive", "_task", "_watch", "happened")

    def __init__(self, receive: Receive) -> None:
        self.happened = self._over = False
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> "Leaving":
        self._task = this_task()
        _lookout.add(self, self._task.get_loop())
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        if self._watch is not None:
            self._watch.cancel()

    def begin(self) -> None:
        """Begins to watch, if the work is not over."""
        if not self._over:
            self._watch = self._task.get_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.happened = True
        self._task.cancel()


class _Lookout:
    """Starts the watchers of requests that take their time."""

    def __init__(self) -> None:
        self._fresh: list[Leaving] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, leaving: Leaving, loop: asyncio.AbstractEventLoop) -> None:
        """Takes note of a request that begins."""
        self._fresh.append(leaving)
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(MOMENT_SECONDS, self._look)

    def _look(self) -> None:
        fresh, self._fresh, self._loop = self._fresh, [], None
        for leaving in fresh:
            leaving.begin()


_lookout = _Lookout()
