"""Calls of one OpenAI-compatible endpoint over one aiohttp session, whole or as a stream.

This is the hot path: what can be made once (URL, headers, session) is made once, and an answer is parsed once. The
server is not trusted: bodies are capped, redirects are not followed, no cookie is kept, and a stream that is cut is a
failure. Keys live in headers; they are in no text that this module produces.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, cast

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from homespun.errors import ConfigError
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import Event, Usage
from homespun.serve.gateway.upstream import usage as counting
from homespun.serve.gateway.upstream.address import GuardedResolver, check_url
from homespun.serve.gateway.upstream.failure import Failed, refusal, reported, scrub
from homespun.serve.gateway.upstream.keys import KeyRing, UpstreamKey
from homespun.serve.gateway.upstream.price import Tariff
from homespun.serve.gateway.upstream.reading import CHAT, StreamReading, whole, whole_text_bytes
from homespun.serve.gateway.upstream.source import Answer, Body, Request
from homespun.serve.gateway.upstream.sse import EventParser

MOST_BYTES = 32 * 2**20
"""Of one answer, or of one stream in all."""
MOST_ERROR_BYTES = 64 * 1024
"""Of an answer with another status than 200: what lies beyond is not read."""
KEPT_HEADERS = ("x-request-id", "openai-processing-ms")
DRAIN_SECONDS = 2.0
"""Time for the last bytes of a stream that has said its end, so that its connection can be used again."""


class Endpoint:
    """One target of kind ``openai``.

    Args:
        target: With its URL.
        keys: Its keys, for taking them out of messages.
        price: Its rates.
        connect: Seconds until a connection stands, name and TLS included.

    Raises:
        ConfigError: a URL that must not be called, or a certificate authority that cannot be read.
    """

    def __init__(self, target: Target, keys: KeyRing, price: Tariff, connect: float) -> None:
        assert target.url is not None
        self.target, self.price = target, price
        self._name, self._base = target.name, URL(target.url.rstrip("/"))
        check_url(target, self._base.host or "")
        self._secrets = keys.secrets()
        self._connect = connect
        self._ssl = _trust(target)
        self._urls: dict[str, URL] = {}
        self._headers: dict[UpstreamKey, CIMultiDict[str]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._draining: set[asyncio.Task[None]] = set()

    async def whole(self, request: Request) -> Answer:
        """A whole answer.

        Raises:
            Failed: there is none.
        """
        body = {**request.body, "model": self.target.model}
        if body.get("stream"):
            body["stream"] = False
        body.pop("stream_options", None)
        payload = orjson.dumps(body)
        try:
            response = await self._post(request, payload)
            try:
                raw = await self._read(response)
            finally:
                if not response.closed:
                    response.close()
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(error) from None
        return self._answer(request, len(payload), response, raw)

    def _answer(self, request: Request, size: int, response: aiohttp.ClientResponse, raw: bytes) -> Answer:
        if response.status != 200:
            raise refusal(self._name, response.status, response.headers, raw, self._secrets)
        kind = response.headers.get("Content-Type", "application/json")
        if "json" not in kind:
            raise Failed("garbage", f"{self._name} sent {scrub(kind)[:60]!r}, not JSON", arrived=len(raw))
        try:
            answer = whole(self._name, request.path, raw)
        except Failed as error:
            error.message = scrub(error.message, self._secrets)
            raise
        made = whole_text_bytes(request.path, answer)
        most = counting.bound(self.target, request.body, size)
        usage = counting.read_usage(answer.get("usage"), most, made)
        if usage is None:
            usage = counting.estimate(most, request.body, made)
        return Answer(answer, raw, usage, None, _kept(response.headers))

    async def open(self, request: Request) -> "HttpFeed":
        """A stream, once its first event is here.

        Raises:
            Failed: there is none.
        """
        asked: Any = request.body.get("stream_options")
        options = cast("Body", asked) if isinstance(asked, dict) else {}
        body = {**request.body, "model": self.target.model, "stream": True}
        if request.path == CHAT:
            body["stream_options"] = {**options, "include_usage": True}
        payload = orjson.dumps(body)
        try:
            response = await self._post(request, payload)
            try:
                feed = await self._begin(request, len(payload), response, keep_usage=bool(options.get("include_usage")))
            except BaseException:
                response.close()
                raise
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(error) from None
        return feed

    async def _begin(
        self, request: Request, size: int, response: aiohttp.ClientResponse, *, keep_usage: bool
    ) -> "HttpFeed":
        if response.status != 200:
            raw = await self._read(response)
            raise refusal(self._name, response.status, response.headers, raw, self._secrets)
        kind = response.headers.get("Content-Type", "")
        if not kind.startswith("text/event-stream"):
            raise await self._no_stream(response, kind)
        choices = request.body.get("n")
        reading = StreamReading(
            self._name,
            request.path,
            choices if type(choices) is int and 1 <= choices <= 1024 else 1,
            keep_usage=keep_usage,
            clean=lambda text: scrub(text, self._secrets),
        )
        feed = HttpFeed(self, request, size, response, reading)
        await feed.begin()
        return feed

    async def _no_stream(self, response: aiohttp.ClientResponse, kind: str) -> Failed:
        raw = await self._read(response)
        try:
            content = orjson.loads(raw)
        except orjson.JSONDecodeError:
            content = None
        if isinstance(content, dict) and content.get("error"):
            return reported(self._name, content, self._secrets)
        return Failed("garbage", f"{self._name} sent {scrub(kind)[:60]!r}, not a stream of events", arrived=len(raw))

    def bound(self, body: Body) -> tuple[counting.Bound, int]:
        """The most tokens and nanodollars of one call."""
        most = counting.bound(self.target, body, len(orjson.dumps(body)) + len(self.target.model) + 64)
        return most, self.price.most(most)

    async def close(self) -> None:
        """Closes all connections."""
        for task in self._draining:
            task.cancel()
        if self._session is not None:
            await self._session.close()

    # --- one request --------------------------------------------------------------------------------------------

    async def _post(self, request: Request, payload: bytes) -> aiohttp.ClientResponse:
        session = self._session or self._open_session()
        url = self._urls.get(request.path)
        if url is None:
            url = self._urls[request.path] = URL(str(self._base) + request.path, encoded=True)
        headers = self._headers.get(request.key)
        if headers is None:
            headers = self._headers[request.key] = CIMultiDict(request.key.headers)
        return await session.post(url, data=payload, headers=headers, allow_redirects=False)

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=60.0,
            ssl=self._ssl,
            resolver=GuardedResolver(self._name, private=self.target.private),
            ttl_dns_cache=30,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
                "Accept-Encoding": "identity",
                "User-Agent": "homespun",
                **self.target.headers,
            },
        )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, unless it is too large."""
        most = MOST_BYTES if response.status == 200 else MOST_ERROR_BYTES
        length = response.content_length
        if length is not None and length <= most and "Content-Encoding" not in response.headers:
            return await response.read()
        content = bytearray()
        while chunk := await response.content.readany():
            content += chunk
            if len(content) > most:
                if response.status != 200:
                    break
                what = f"{self._name} sent an answer larger than {most} bytes"
                raise Failed("garbage", what, then="elsewhere", arrived=len(content))
        return bytes(content)

    def _broken(self, error: aiohttp.ClientError | OSError) -> Failed:
        return broken(self._name, error, self._connect)

    def drain(self, response: aiohttp.ClientResponse) -> None:
        """Reads a stream that has said its end to the end of its bytes, aside."""
        task = asyncio.create_task(_drain(response))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)


class HttpFeed:
    """A stream of an endpoint."""

    nanodollars: int | None = None

    def __init__(
        self, endpoint: Endpoint, request: Request, size: int, response: aiohttp.ClientResponse, reading: StreamReading
    ) -> None:
        self.headers: Mapping[str, str] = _kept(response.headers)
        self._endpoint, self._request, self._size, self._response = endpoint, request, size, response
        self._parser, self._reading = EventParser(), reading
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
            raise Failed("cut", f"{self._endpoint.target.name} sent a stream without events")

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
            raise broken(self._endpoint.target.name, error, 0.0, arrived=self._reading.made) from None

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
            raise Failed("garbage", f"{self._endpoint.target.name} sent a stream larger than {MOST_BYTES} bytes")
        if chunk:
            datas = self._parser.feed(chunk)
        else:
            last = self._parser.last()
            datas = [] if last is None else [last]
        events: list[Event] = []
        try:
            for data in datas:
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
            what = f"{self._endpoint.target.name} cut the stream after {self._reading.made} bytes of text"
            raise Failed("cut", what, arrived=self._reading.made)
        content = self._response.content
        if content.is_eof() and content.at_eof():
            self._response.release()
        else:
            self._endpoint.drain(self._response)

    def usage(self) -> Usage:
        """What was used up to now: the provider's word if it came and can be true, else our estimate."""
        most = counting.bound(self._endpoint.target, self._request.body, self._size)
        made = self._reading.made
        found = counting.read_usage(self._reading.usage, most, made)
        return counting.estimate(most, self._request.body, made) if found is None else found

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


async def _drain(response: aiohttp.ClientResponse) -> None:
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while await response.content.readany():
                pass
        response.release()
    except (TimeoutError, aiohttp.ClientError, OSError, asyncio.CancelledError):
        response.close()


def _trust(target: Target) -> ssl.SSLContext | bool:
    """The certificates that are trusted: the system's, and the authority that the target names."""
    if target.ca_file is None:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=target.ca_file)
    except (OSError, ssl.SSLError) as error:
        what = f"{target.ca_file} cannot be read: {error.strerror or 'no PEM certificates'}"
        raise ConfigError(what, f"target {target.name!r}, ca_file", "a PEM file of certificates") from None
    return context


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name in KEPT_HEADERS if (value := headers.get(name)) is not None}
