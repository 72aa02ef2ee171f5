"""A stream of an endpoint, from its first event to its end; and what an error of the network means."""

import ssl
from collections.abc import Callable, Mapping

import aiohttp

from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import Event, Usage
from homespun.serve.gateway.upstream import usage as counting
from homespun.serve.gateway.upstream.failure import Failed, scrub
from homespun.serve.gateway.upstream.reading import StreamReading
from homespun.serve.gateway.upstream.source import Request
from homespun.serve.gateway.upstream.sse import EventParser

MOST_BYTES = 32 * 2**20
"""Of one answer, or of one stream in all."""
KEPT_HEADERS = ("x-request-id", "openai-processing-ms")


class HttpFeed:
    """A stream of an endpoint."""

    nanodollars: int | None = None

    def __init__(
        self,
        target: Target,
        request: Request,
        size: int,
        response: aiohttp.ClientResponse,
        reading: StreamReading,
        drain: Callable[[aiohttp.ClientResponse], None],
    ) -> None:
        self.headers: Mapping[str, str] = kept_headers(response.headers)
        self._target, self._request, self._size, self._response = target, request, size, response
        self._parser, self._reading, self._drain = EventParser(), reading, drain
        self._first: list[Event] = []
        self._read = 0
        self._ended = False
        self._error: Failed | None = None
        """What broke the stream after the events that were read with it."""

    async def begin(self) -> None:
        """Waits for the first event.

        Raises:
            Failed: none came.
        """
        self._first = await self._next()
        if self._error is not None:  # nothing was handed out yet, so that it can be tried again
            raise self._error
        if not self._first and not self._reading.events:
            raise Failed("cut", f"{self._target.name} sent a stream without events")

    async def read(self) -> list[Event]:
        """The next events; none: the stream has ended, whole.

        Raises:
            Failed: it broke.
        """
        if self._first:
            events, self._first = self._first, []
            return events
        if self._error is not None:
            raise self._error
        if self._ended:
            return []
        try:
            return await self._next()
        except (aiohttp.ClientError, OSError) as error:
            raise broken(self._target.name, error, 0.0, arrived=self._reading.made) from None

    async def _next(self) -> list[Event]:
        """Reads until there is an event to pass on, or the end."""
        while not self._ended:
            try:
                chunk = await self._response.content.readany()
            except aiohttp.ClientError:
                if not self._reading.complete:
                    raise
                chunk = b""  # all that was asked for is here; only the closing bytes are missing
            if events := self._take(chunk):
                return events
        return []

    def _take(self, chunk: bytes) -> list[Event]:
        reading = self._reading
        self._read += len(chunk)
        if self._read > MOST_BYTES:
            raise Failed("garbage", f"{self._target.name} sent a stream larger than {MOST_BYTES} bytes")
        if chunk:
            found = self._parser.feed(chunk)
        else:
            last = self._parser.last()
            found = [] if last is None else [last]
        events: list[Event] = []
        try:
            for data in found:
                if (event := reading.take(data)) is not None:
                    events.append(event)
                if reading.done:
                    break
            if reading.done or not chunk:
                self._end()
        except Failed as error:
            if not events:
                raise
            self._error = error
        return events

    def _end(self) -> None:
        self._ended = True
        if not self._reading.complete:
            what = f"{self._target.name} cut the stream after {self._reading.made} bytes of text"
            raise Failed("cut", what, arrived=self._reading.made)
        content = self._response.content
        if content.is_eof() and content.at_eof():
            self._response.release()
        else:
            self._drain(self._response)

    def usage(self) -> Usage:
        """What was used up to now: the provider's word if it came and can be true, else our estimate."""
        most = counting.bound(self._target, self._request.body, self._size)
        return counting.believed(self._reading.usage, most, self._request.body, lambda: self._reading.made)

    def close(self) -> None:
        """Ends it at once; its connection is closed."""
        if not self._ended:
            self._ended = True
            self._response.close()


def broken(name: str, error: aiohttp.ClientError | OSError, connect: float, *, arrived: int = 0) -> Failed:
    """What an error of the network means."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        why = getattr(error, "verify_message", None) or getattr(error, "certificate_error", None) or error
        why = getattr(why, "verify_message", why)
        what = f"the certificate or TLS of {name} is not accepted: {scrub(str(why))[:200]}"
        return Failed("tls", what, then="elsewhere", faulty=False)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Failed("connect", f"no connection to {name} within {connect:g} s", status=504)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Failed("connect", f"the host of {name} has no address")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Failed("connect", f"cannot connect to {name}: {error.strerror or 'refused'}")
    kind = "cut" if arrived else "reset"
    return Failed(kind, f"the connection to {name} broke ({type(error).__name__})", arrived=arrived)


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of a response that are worth handing on."""
    return {name: value for name in KEPT_HEADERS if (value := headers.get(name)) is not None}
