"""One origin per run: the server that people's browsers, and our own, play the apps through.

An address ``http://<run>.localhost:8123/`` means a run by its host name and nothing else. Every answer carries the
policy of ``policy.py``; every page carries the logger. Two listeners: a port, for people, and a unix socket, for our
own browser, which sees an app as a page of its own; on the port, apps that have a parent are shown in a frame only.

What it promises: an app reaches its own origin, and neither another app's nor the arena's, by anything that a browser
lets it do; nothing that an app sends can add a header, leave its origin or hold more than ``Limits`` of us. What it
does not: the port speaks plain HTTP and serves whoever reaches it, so a public arena puts its own TLS front before it
and gives the apps a domain that it uses for nothing else, best one of the Public Suffix List, since scripts of
``a.example.org`` may set cookies for ``example.org``. A run's id is all that keeps strangers from its app: choose
ids that cannot be guessed.
"""

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from aiohttp import web

from homespun.errors import SandboxError
from homespun.sandbox.apps import admission, logger, pages, policy
from homespun.sandbox.apps.limits import Limits
from homespun.sandbox.apps.origins import Origins, checked_origin
from homespun.sandbox.apps.proxy import ServiceHandler
from homespun.sandbox.apps.shelf import App, OnClose, Shelf, State
from homespun.sandbox.apps.site import SiteHandler
from homespun.sandbox.environments.types import Service, Site

_NOBODY = policy.headers("http://localhost", ())
"""The policy of answers that belong to no run."""


class AppHost:
    """Serves apps, each at its own origin. Belongs to the event loop that `start` is called in.

    Args:
        limits: What apps may use.
        on_close: Told when the host closes an app because it idled or because another took its place.
    """

    def __init__(self, limits: Limits | None = None, on_close: OnClose | None = None) -> None:
        self._limits = limits or Limits()
        self._shelf = Shelf(self._limits, on_close)
        self._runners: list[web.ServerRunner] = []
        self._folder: Path | None = None
        self._origins: Origins | None = None
        self._parents: tuple[str, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    async def start(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        pattern: str = "http://{run}.localhost:{port}",
        parents: Sequence[str] = (),
    ) -> None:
        """Opens both listeners.

        Args:
            host: Where people's browsers, or the TLS front, connect to.
            port: The same; 0 takes a free one.
            pattern: What the origins look like from outside.
            parents: Origins that may frame apps: the arena's. None: apps are pages of their own.

        Raises:
            ConfigError: the pattern or a parent makes no sense.
            SandboxError: the port is not to be had.
        """
        self._parents = tuple(checked_origin(parent) for parent in parents)
        Origins(pattern, port)
        self._folder = Path(tempfile.mkdtemp(prefix="homespun-apps-"))
        outer, inner = await self._runner(inner=False), await self._runner(inner=True)
        try:
            await web.TCPSite(outer, host, port).start()
        except OSError as error:
            await self.close()
            raise SandboxError(f"cannot listen: {error.strerror}", f"apps at {host}:{port}", "another port") from None
        self._origins = Origins(pattern, int(outer.addresses[0][1]))
        await web.UnixSite(inner, str(self.socket)).start()
        os.chmod(self.socket, 0o666)  # its folder is ours alone; the browser's jail mounts the socket itself
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._shelf.start()

    async def _runner(self, *, inner: bool) -> web.ServerRunner:
        server = web.Server(
            partial(self._answer, inner=inner),
            handler_cancellation=True,  # a visitor who leaves ends an endless answer
            access_log=None,
            keepalive_timeout=self._limits.header_seconds,  # aiohttp holds the first request's headers to it too
            auto_decompress=False,
        )
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        self._runners.append(runner)
        return runner

    @property
    def socket(self) -> Path:
        """The listener of our own browser."""
        if self._folder is None:
            raise _not_started()
        return self._folder / "apps"

    @property
    def port(self) -> int:
        """The listener of people's browsers."""
        if self._origins is None:
            raise _not_started()
        return self._origins.port

    @property
    def frame_source(self) -> str:
        """What the arena's page must have as ``frame-src``, so that no app can lead its frame elsewhere."""
        if self._origins is None:
            raise _not_started()
        return self._origins.source()

    def publish(self, run_id: str, app: Site | Service) -> str:
        """Opens an app and returns its origin. The host owns it from here on: it ends the app's job with the app.

        A former app of the same run is closed.

        Raises:
            ConfigError: the id cannot be a label of a DNS name.
        """
        if self._origins is None:
            raise _not_started()
        origin = self._origins.of(run_id)
        if isinstance(app, Site):
            handler = SiteHandler(app)
        else:
            handler = ServiceHandler(app, origin, self._limits, trustworthy=self._origins.trustworthy)
        self._shelf.put(run_id, App(origin, handler, policy.headers(origin, self._parents)))
        return origin

    def withdraw(self, run_id: str) -> None:
        """Closes an app, if it is open, and ends the job behind it.

        In the host's event loop this returns at once; in another thread, when the job has ended.
        """
        if self._loop is None:
            return
        if threading.get_ident() == self._thread:
            self._shelf.take(run_id)
        else:
            asyncio.run_coroutine_threadsafe(self._shelf.taken(run_id), self._loop).result()

    def state(self, run_id: str) -> State:
        """``open``, ``dead`` (its job has ended, a page says so) or ``closed``."""
        app = self._shelf.get(run_id)
        return "closed" if app is None else app.handler.state()

    async def close(self) -> None:
        """Closes all apps and both listeners."""
        await self._shelf.close()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _answer(self, request: web.BaseRequest, *, inner: bool) -> web.StreamResponse:
        named = admission.authority(request)
        run = self._origins.run(named) if self._origins is not None and named is not None else None
        if run is None:
            return pages.told(421, "No app has this name.", _NOBODY)
        app = self._shelf.get(run)
        if app is None:
            return pages.told(404, "No app is open here, or not any more. Run the program again.", _NOBODY)
        refused = admission.refusal(request, app.origin, self._parents, inner=inner)
        if refused is not None:
            return pages.told(*refused, app.headers)
        if len(app.under_way) >= self._limits.connections:
            return pages.told(503, "Too much at once for this app.", app.headers)
        self._shelf.touch(run, app)
        app.under_way.append(request)
        try:
            return await self._reserved(request, run, app) or await app.handler.answer(request, app.headers)
        finally:
            app.under_way[:] = [other for other in app.under_way if other is not request]
            self._shelf.touch(run, app)

    async def _reserved(self, request: web.BaseRequest, run: str, app: App) -> web.Response | None:
        path = request.raw_path.partition("?")[0]
        if not path.startswith(logger.RESERVED):
            return None
        if path != logger.PATH:
            return pages.told(404, "No such file.", app.headers)
        body = logger.script(run, self._parents)
        return web.Response(body=body, content_type="text/javascript", charset="utf-8", headers=app.headers)


def _not_started() -> SandboxError:
    return SandboxError("the host of apps has not been started", "apps", "await AppHost.start()")
