"""Calls of one OpenAI-compatible endpoint over one aiohttp session, whole or as a stream.

This is the hot path: what can be made once (URL, headers, session) is made once, and an answer is parsed once. The
server is not trusted: bodies are capped, redirects are not followed, no cookie is kept, and a stream that is cut is a
failure. Keys live in headers; they are in no text that this module produces.
"""

import asyncio
import ssl
from functools import partial
from typing import Any, cast

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from homespun.errors import ConfigError
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.upstream import usage as counting
from homespun.serve.gateway.upstream.address import GuardedResolver, check_url
from homespun.serve.gateway.upstream.failure import Failed, refusal, reported, scrub
from homespun.serve.gateway.upstream.feed import MOST_BYTES, HttpFeed, broken, kept_headers
from homespun.serve.gateway.upstream.keys import KeyRing, UpstreamKey
from homespun.serve.gateway.upstream.price import Tariff
from homespun.serve.gateway.upstream.reading import CHAT, StreamReading, whole, whole_text_bytes
from homespun.serve.gateway.upstream.source import Answer, Body, Request

MOST_ERROR_BYTES = 64 * 1024
"""Of an answer with another status than 200: what lies beyond is not read."""
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
        answer = whole(self._name, request.path, raw, self._secrets)
        most = counting.bound(self.target, request.body, size)
        made = partial(whole_text_bytes, request.path, answer)
        usage = counting.believed(answer.get("usage"), most, request.body, made)
        return Answer(answer, raw, usage, None, kept_headers(response.headers))

    async def open(self, request: Request) -> HttpFeed:
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
    ) -> HttpFeed:
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
            secrets=self._secrets,
        )
        feed = HttpFeed(self.target, request, size, response, reading, self._drain_aside)
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

    def _drain_aside(self, response: aiohttp.ClientResponse) -> None:
        """Reads a stream that has said its end to the end of its bytes, aside."""
        task = asyncio.create_task(_drain(response))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)


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
