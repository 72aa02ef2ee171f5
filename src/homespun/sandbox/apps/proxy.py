"""Serving an app that a job serves: requests go through the job's inlet, what comes back is not trusted."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from aiohttp import ClientRequest, ClientTimeout, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import BaseConnector
from aiohttp.tracing import Trace
from multidict import CIMultiDict
from yarl import URL

from homespun.sandbox.apps import headers as rules
from homespun.sandbox.apps import logger, markup, pages, sockets
from homespun.sandbox.apps.limits import Limits
from homespun.sandbox.apps.shelf import State
from homespun.sandbox.apps.shipped import Shipped
from homespun.sandbox.environments.types import Service
from homespun.sandbox.jail.inlet import Inlet

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NO_BODY = (204, 205, 304)
_ENDING = ThreadPoolExecutor(4, "homespun-app-end")
"""Threads of their own: those of the loop may all be waiting for apps that are being closed."""


class TooLarge(Exception):
    """A visitor sent more than may be sent."""


class InletConnector(BaseConnector):
    """Connections of aiohttp's client, dialled through an inlet."""

    def __init__(self, inlet: Inlet, *, limit: int, dial_seconds: float) -> None:
        super().__init__(limit=limit, keepalive_timeout=20.0)
        self._inlet, self._dial_seconds = inlet, dial_seconds

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        end = await self._inlet.dial(self._dial_seconds)
        _, protocol = await self._loop.create_unix_connection(self._factory, sock=end)
        return protocol


class ServiceHandler:
    """Answers for one `Service`.

    Args:
        service: The app.
        origin: Its origin, as visitors see it.
        limits: What it may use.
        trustworthy: Whether browsers treat the origin as secure.
    """

    def __init__(self, service: Service, origin: str, limits: Limits, *, trustworthy: bool) -> None:
        self._running, self._inlet = service.running, service.inlet
        self._shipped = Shipped(service.shipped)
        self._origin, self._limits, self._trustworthy = origin, limits, trustworthy
        self._cookies: set[str] = set()
        self._session = aiohttp.ClientSession(
            connector=InletConnector(service.inlet, limit=limits.connections, dial_seconds=limits.dial_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=ClientTimeout(total=None, sock_read=limits.quiet_seconds),
            skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
            max_line_size=8190,
            max_field_size=8190,
            max_headers=128,
        )

    def state(self) -> State:
        """``open``, or ``dead`` once its job has ended."""
        return "open" if self._running.alive else "dead"

    async def close(self) -> None:
        """Ends the job, and drops what is on its way to it."""
        await self._session.close()
        await asyncio.get_running_loop().run_in_executor(_ENDING, self._running.kill)
        self._inlet.close()

    async def answer(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        """What the app answers, cleaned; a page of ours if it does not."""
        if request.method not in METHODS:
            return pages.told(405, "The app cannot be asked that way.", headers)
        if not self._running.alive:
            return pages.told(502, "The program has ended, so its app is gone. Run it again to play on.", headers)
        if (file := self._shipped.answer(request, headers)) is not None:
            return file
        sent = rules.to_app(request.headers, self._origin, self._cookies)
        try:
            if request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket":
                return await sockets.join(self._session, _inside(request), request, sent, headers, self._limits)
            async with asyncio.timeout(self._limits.answer_seconds):
                answer = await self._ask(request, sent)
        except TooLarge:
            return pages.told(413, f"More than {self._limits.request_bytes >> 20} MiB in one request.", headers)
        except TimeoutError:
            return pages.told(504, "The app did not answer in time.", headers)
        except (aiohttp.ClientError, OSError, ValueError):
            return pages.told(502, "The app broke off or gave no answer that makes sense.", headers)
        try:
            return await self._passed(request, answer, headers)
        finally:
            answer.close() if not answer.content.at_eof() else answer.release()

    async def _ask(self, request: web.BaseRequest, sent: CIMultiDict[str]) -> aiohttp.ClientResponse:
        body = None
        if request.body_exists:
            if (request.content_length or 0) > self._limits.request_bytes:
                raise TooLarge
            body = self._upload(request)
            if request.content_length is not None:  # else in chunks, which plain servers do not read
                sent["Content-Length"] = str(request.content_length)
        try:
            return await self._session.request(
                request.method, _inside(request), headers=sent, data=body, allow_redirects=False
            )
        except aiohttp.ClientError as error:
            if isinstance(error.__cause__, TooLarge):
                raise TooLarge from None
            raise

    async def _upload(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if size > self._limits.request_bytes:
                raise TooLarge
            yield piece

    async def _passed(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        if answer.status < 200 or answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            return pages.told(
                502, "The app gave an answer that nobody had asked for: packed, or in another protocol.", headers
            )
        passed = rules.from_app(answer.headers)
        if "Location" in answer.headers:
            place = rules.location(answer.headers["Location"], request.raw_path, self._origin)
            if place is None:
                return pages.told(502, "The app tried to send you to another site. It was not followed.", headers)
            passed["Location"] = place
        passed.update(headers)
        self._add_cookies(answer, passed)
        page = passed["Content-Type"].strip().lower().startswith("text/html") and answer.status != 206
        if not page and "Content-Length" in answer.headers and answer.content_length is not None:
            passed["Content-Length"] = str(answer.content_length)
        response = web.StreamResponse(status=answer.status, headers=passed)
        if request.method == "HEAD" or answer.status in _NO_BODY:
            await response.prepare(request)
            return response
        await self._stream(request, answer, response, markup.Insertion(logger.TAG) if page else None)
        return response

    def _add_cookies(self, answer: aiohttp.ClientResponse, passed: CIMultiDict[str]) -> None:
        for text in answer.headers.getall("Set-Cookie", [])[: rules.MOST_COOKIES]:
            cleaned = rules.cookie(text, trustworthy=self._trustworthy)
            if cleaned and (cleaned[0] in self._cookies or len(self._cookies) < rules.MOST_COOKIES):
                self._cookies.add(cleaned[0])
                passed.add("Set-Cookie", cleaned[1])

    async def _stream(
        self,
        request: web.BaseRequest,
        answer: aiohttp.ClientResponse,
        response: web.StreamResponse,
        insertion: markup.Insertion | None,
    ) -> None:
        """Passes the body on as it comes; the app waits while the visitor is slow. What breaks off, breaks off."""
        size = 0
        try:
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                size += len(piece)
                if size > self._limits.answer_bytes:
                    raise TooLarge
                piece = insertion.feed(piece) if insertion else piece
                if piece:
                    await response.write(piece)
            if insertion and (rest := insertion.finish()):
                await response.write(rest)
            await response.write_eof()
        except (aiohttp.ClientError, OSError, TooLarge):
            # the visitor must not take half an answer for a whole one
            if request.transport is not None:
                request.transport.abort()


def _inside(request: web.BaseRequest) -> URL:
    return URL(rules.INSIDE + request.raw_path, encoded=True)
