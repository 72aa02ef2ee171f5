"""The apps that are open: found by run, closed when they idle or when there are too many."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from aiohttp import web

from homespun.sandbox.apps.limits import Limits

OnClose = Callable[[str, str], Awaitable[None]]
"""Called with a run's id and the reason when an app is closed of the host's own accord."""
State = Literal["open", "dead", "closed"]


class Handler(Protocol):
    """Answers for one app."""

    def state(self) -> State:
        """``open``, or ``dead`` when there is nobody left to answer."""
        ...

    async def answer(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        """The answer to one request; ``headers`` go out with it."""
        ...

    async def close(self) -> None:
        """Lets go of what the handler holds."""
        ...


@dataclass(eq=False)
class App:
    """One app that is open."""

    origin: str
    handler: Handler
    headers: dict[str, str]
    """For every answer."""
    used: float = field(default_factory=time.monotonic)
    under_way: list[web.BaseRequest] = field(default_factory=list[web.BaseRequest])


class Shelf:
    """Holds apps by run, least recently used first."""

    def __init__(self, limits: Limits, on_close: OnClose | None) -> None:
        self._limits, self._on_close = limits, on_close
        self._apps: OrderedDict[str, App] = OrderedDict()
        self._chores: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look for apps that idle."""
        self._reaper = asyncio.get_running_loop().create_task(self._reap())

    def get(self, run: str) -> App | None:
        """The app of a run, if it is open."""
        return self._apps.get(run)

    def touch(self, run: str, app: App) -> None:
        """Notes that the app is in use."""
        app.used = time.monotonic()
        if self._apps.get(run) is app:
            self._apps.move_to_end(run)

    def put(self, run: str, app: App) -> None:
        """Opens an app, in place of the run's last one; closes others where there are too many."""
        self.take(run)
        while len(self._apps) >= self._limits.apps:
            self._close_one(next(iter(self._apps)), "another app took its place")
        self._apps[run] = app

    def take(self, run: str) -> None:
        """Closes an app, if it is open, and drops who is connected to it."""
        app = self._apps.pop(run, None)
        if app is not None:
            self._drop(app)

    async def taken(self, run: str) -> None:
        """The same; returns when the job behind it has ended."""
        app = self._apps.pop(run, None)
        if app is not None:
            await self._drop(app)

    def _drop(self, app: App) -> "asyncio.Task[None]":
        for request in app.under_way:
            if request.transport is not None:
                request.transport.abort()
        return self._begin(app.handler.close())

    async def close(self) -> None:
        """Closes all apps, without a word to ``on_close``."""
        for run in list(self._apps):
            self.take(run)
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.gather(self._reaper, return_exceptions=True)
        await asyncio.gather(*self._chores, return_exceptions=True)

    def _close_one(self, run: str, why: str) -> None:
        self.take(run)
        if self._on_close is not None:
            self._begin(_awaited(self._on_close(run, why)))

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(min(5.0, self._limits.idle_seconds / 4))
            idle_since = time.monotonic() - self._limits.idle_seconds
            for run in [run for run, app in self._apps.items() if app.used < idle_since]:
                self._close_one(run, f"nobody used it for {self._limits.idle_seconds:g} s")


async def _awaited(work: Awaitable[None]) -> None:
    await work
