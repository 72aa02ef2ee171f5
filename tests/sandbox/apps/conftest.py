"""A host of apps in a thread, an arena's page on another port, and a listener that nobody may reach."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from aiohttp import web

from homespun.sandbox.apps import IFRAME_ALLOW, IFRAME_SANDBOX, AppHost, Limits
from homespun.sandbox.environments.types import Service, Site
from homespun.sandbox.jail.types import Outcome

Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ARENA = """<!doctype html><title>arena</title><body><script>
window.heard = []; window.kept = [];
addEventListener("message", (event) => {
  heard.push({origin: event.origin, data: event.data});
  const frame = [...document.querySelectorAll("iframe")].find((frame) => frame.contentWindow === event.source);
  if (!frame || event.origin !== new URL(frame.src).origin || event.data.run !== frame.dataset.run) return;
  kept.push(event.data);
});
localStorage.secret = "arena";
for (const [run, url] of FRAMES) {
  const frame = document.createElement("iframe");
  frame.sandbox = SANDBOX; frame.allow = ALLOW; frame.dataset.run = run; frame.width = 600; frame.height = 400;
  frame.src = url; document.body.append(frame);
}
</script>"""


class Alive:
    """A job that goes on until it is ended."""

    def __init__(self) -> None:
        self.alive = True

    def said(self) -> tuple[str, str]:
        return "", ""

    def kill(self) -> Outcome:
        self.alive = False
        return Outcome(status="failed")

    wait = kill


class Wire:
    """Stands for an inlet: what is dialled is served here, by a handler of aiohttp's or byte by byte."""

    def __init__(self, serve: Callable[[socket.socket], Awaitable[None]]) -> None:
        self._serve = serve
        self._tasks: set[asyncio.Future[None]] = set()
        self.closed = False

    async def dial(self, timeout: float = 10.0) -> socket.socket:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        task = asyncio.ensure_future(self._serve(theirs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ours

    def close(self) -> None:
        self.closed = True
        for task in self._tasks:
            task.cancel()


class Stage:
    def __init__(self, limits: Limits | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.closed: list[tuple[str, str]] = []
        self.api_calls: list[tuple[str, str, str]] = []
        self.trapped: list[str] = []
        self._frames: list[tuple[str, str]] = []
        self._runners: list[web.ServerRunner] = []
        self.run(self._start(limits))

    def run(self, work: Any, timeout: float = 20.0) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    async def _start(self, limits: Limits | None) -> None:
        self.arena = f"http://127.0.0.1:{await self._listen(self._arena)}"
        self.trap = await self._listen(self._trap)
        self.host = AppHost(limits, self._note)
        await self.host.start(parents=(self.arena,))

    async def _listen(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> int:
        runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    async def _note(self, run: str, why: str) -> None:
        self.closed.append((run, why))

    async def _arena(self, request: web.BaseRequest) -> web.Response:
        if request.path.startswith("/api"):
            self.api_calls.append((request.method, request.raw_path, request.headers.get("Cookie", "")))
            return web.json_response({"secret": 1})
        page = ARENA.replace("FRAMES", json.dumps(self._frames))
        page = page.replace("SANDBOX", json.dumps(IFRAME_SANDBOX)).replace("ALLOW", json.dumps(IFRAME_ALLOW))
        headers = {
            "Content-Security-Policy": f"frame-src {self.host.frame_source}",
            "Set-Cookie": "arena=secret; SameSite=Lax",
        }
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _trap(self, request: web.BaseRequest) -> web.Response:
        self.trapped.append(f"{request.method} {request.raw_path}")
        return web.Response(text="reached", headers={"Access-Control-Allow-Origin": "*"})

    def publish(self, run: str, app: Site | Service) -> str:
        async def go() -> str:
            return self.host.publish(run, app)

        return self.run(go())

    def site(self, run: str, page: str | bytes, **more: bytes) -> str:
        body = page.encode() if isinstance(page, str) else page
        return self.publish(run, Site(files={"index.html": body, **{k.replace("__", "."): v for k, v in more.items()}}))

    def raw(self, run: str, answer: bytes | Raw) -> str:
        """An app that says just these bytes to everybody."""

        async def constant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            assert isinstance(answer, bytes)
            writer.write(answer)

        async def serve(end: socket.socket) -> None:
            reader, writer = await asyncio.open_unix_connection(sock=end)
            try:
                await (constant if isinstance(answer, bytes) else answer)(reader, writer)
                await writer.drain()
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        return self.publish(run, self.service(Wire(serve)))

    def app(self, run: str, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> str:
        """An app served by a handler of aiohttp's."""

        async def make() -> Wire:
            server = web.Server(handler)

            async def serve(end: socket.socket) -> None:
                await self.loop.connect_accepted_socket(server, end)

            return Wire(serve)

        return self.publish(run, self.service(self.run(make())))

    def service(self, wire: Wire) -> Service:
        return Service(inlet=wire, running=Alive())  # type: ignore[arg-type]

    def frames(self, runs: Sequence[tuple[str, str]]) -> str:
        """The address of the arena's page, with these apps in it."""
        self._frames = list(runs)
        return self.arena

    def ask(
        self,
        origin: str,
        target: str = "/",
        *,
        method: str = "GET",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        host: str | None = None,
    ) -> http.client.HTTPResponse:
        """One request on the port for people; the answer has its body as ``text``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=10)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host if host is not None else origin.removeprefix("http://"))
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        try:
            answer.body = answer.read()  # type: ignore[attr-defined]
        finally:
            connection.close()
        return answer

    def close(self) -> None:
        self.run(self.host.close())
        for runner in self._runners:
            self.run(runner.cleanup())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage(Limits(answer_seconds=1.0, request_bytes=1 << 20, answer_bytes=4 << 20, connections=8, apps=200))
    yield stage
    stage.close()


@pytest.fixture
def make_stage() -> Iterator[Callable[[Limits], Stage]]:
    stages: list[Stage] = []

    def make(limits: Limits) -> Stage:
        stages.append(Stage(limits))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()
