"""The only way out of a build: a registry proxy on a unix socket, filtering and caching.

Promised: a job behind it can fetch pages and wheels or tarballs of packages by name, GET and HEAD alone; what it gets
has the hash that the registry named; nothing that it sends goes further than a package's name, and of those only so
many. Not promised: that a package is harmless. No install script runs, and what is installed runs in the jail alone.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from aiohttp import web

from homespun.sandbox.build.cache import Cache
from homespun.sandbox.build.index import Index
from homespun.sandbox.build.registries import Registries
from homespun.sandbox.build.routes import Asked, Refused, read
from homespun.sandbox.build.upstream import Upstream

PORT = 8_099
"""Port of the job's loopback where the relay offers the proxy."""
BASE = f"http://127.0.0.1:{PORT}"
T = TypeVar("T")


@dataclass
class Budget:
    """What one build may still fetch, and what it was refused."""

    names: int = 600
    """Distinct packages."""
    unknown: int = 20
    """Distinct packages that do not exist."""
    bytes: int = 600 << 20
    """Of files, together."""
    fetching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    """Files fetched at the same time, so that few are on their way when the bytes are used up."""
    seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    refusals: list[str] = field(default_factory=list[str])

    def name(self, asked: Asked) -> None:
        """Counts a package.

        Raises:
            Refused: 429, too many.
        """
        if (asked.kind, asked.name) not in self.seen:
            if len(self.seen) >= self.names or self.unknown <= 0:
                raise Refused(429, "too many packages for one build")
            self.seen.add((asked.kind, asked.name))

    def file(self, size: int = 1) -> None:
        """Counts a file, of which before it is fetched no size is known.

        Raises:
            Refused: 413, too much.
        """
        if size > self.bytes:
            raise Refused(413, "too many bytes for one build")
        self.bytes -= size


class Proxy:
    """Answers the builds of one process; each has its own socket and budget.

    Args:
        upstream: The registries.
        cache: Where what they send is kept.
    """

    def __init__(self, upstream: Upstream, cache: Cache) -> None:
        self._upstream, self._cache = upstream, cache
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self, socket: Path, budget: Budget) -> web.ServerRunner:
        """Listens at ``socket``, which everybody may write, until the runner that this returns is cleaned up."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._answer(request, budget)

        runner = web.ServerRunner(web.Server(handle, access_log=None, keepalive_timeout=30.0), shutdown_timeout=0.5)
        await runner.setup()
        await web.UnixSite(runner, str(socket)).start()
        socket.chmod(0o666)
        return runner

    async def _answer(self, request: web.BaseRequest, budget: Budget) -> web.StreamResponse:
        target = request.raw_path
        try:
            asked = read(request.method, target, has_body=request.can_read_body)
            budget.name(asked)
            index = await self._index(asked, budget)
            if asked.file is None:
                kind = "vnd.pypi.simple.v1+json" if asked.kind == "python" else "json"
                return web.Response(body=json.dumps(index.page).encode(), content_type=f"application/{kind}")
            place = await self._file(asked.file, index, budget)
            return web.FileResponse(place, headers={"Content-Type": "application/octet-stream"})
        except Refused as error:
            if len(budget.refusals) < 100:
                budget.refusals.append(f"{error.status} {ascii(target[:120])[1:-1]}: {error.why}")
            return web.Response(status=error.status, text=f"{error.why}\n")

    async def _index(self, asked: Asked, budget: Budget) -> Index:
        async with self._lock(f"{asked.kind} {asked.name}"):
            known = self._cache.page(asked)
            if known is not None:
                return known
            try:
                index = await self._upstream.index(asked)
            except Refused as error:
                known = self._cache.page(asked, stale=True) if error.status in (502, 504) else None
                if known is not None:
                    return known
                if error.status == 404:
                    budget.unknown -= 1
                raise
            self._cache.keep_page(asked, index)
            return index

    async def _file(self, name: str, index: Index, budget: Budget) -> Path:
        remote = index.files.get(name)
        if remote is None:
            raise Refused(404, "the index names no such file")
        async with budget.fetching, self._lock(remote.key):
            place = self._cache.file(remote)
            if place is None:
                budget.file()
                fetched = self._cache.scratch()
                try:
                    await self._upstream.file(remote, fetched)
                    place = self._cache.keep_file(remote, fetched)
                finally:
                    fetched.unlink(missing_ok=True)
        budget.file(place.stat().st_size)
        return place

    def _lock(self, key: str) -> asyncio.Lock:
        """One at a time fetches the same thing; the others find it in the cache."""
        return self._locks.setdefault(key, asyncio.Lock())


class Loop:
    """An event loop in a thread of its own, for callers that block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="registry-proxy", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs ``work`` there and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Ends the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Outlet:
    """The proxy for callers that block, on a loop of its own.

    Args:
        registries: Where packages come from.
        folder: Where what they send is kept.
    """

    def __init__(self, registries: Registries, folder: Path) -> None:
        self.scope = f"{registries.pypi} {registries.npm}"
        self._loop = Loop()
        self._upstream = self._loop.run(Upstream.open(registries, f"{BASE}/npm"))
        self._proxy = Proxy(self._upstream, Cache(folder, self.scope))

    @contextmanager
    def serve(self, socket: Path, budget: Budget) -> Generator[None]:
        """Listens at ``socket`` until the block is left."""
        runner = self._loop.run(self._proxy.open(socket, budget))
        try:
            yield
        finally:
            self._loop.run(runner.cleanup())

    def close(self) -> None:
        """Ends the loop and all connections."""
        self._loop.run(self._upstream.close())
        self._loop.close()
