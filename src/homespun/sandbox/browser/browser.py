"""Looks at apps with one warm, headless Chromium, and says what it saw.

The browser runs in a jail (``homespun.sandbox.jail.browser``) whose one way out is the unix socket of `AppHost`; a
look is a fresh context, so no look finds what another left. A page gets a bounded time, whatever it does. When the
browser breaks the look is tried once more; when that fails too there is no picture, and the reason is told.
"""

import asyncio
import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import Browser as Chromium
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Playwright, async_playwright

from homespun.errors import SandboxError
from homespun.sandbox.browser import jailed, visit
from homespun.sandbox.browser.shots import Action, Shot

T = TypeVar("T")
LOOKS_AT_ONCE = 2
TALLEST = 8192
"""Height at which a picture of our own page is cut, pixels."""


class Browser:
    """One warm browser. Belongs to the event loop that `start` is called in."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._launching = asyncio.Lock()
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._folder: Path | None = None
        self._ended = asyncio.Event()

    async def start(self, app_socket: Path) -> None:
        """Starts the browser in its jail; started already, nothing happens.

        Args:
            app_socket: `AppHost.socket`: all that the browser can reach.

        Raises:
            SandboxError: Chromium, bubblewrap or Playwright's driver is not there or does not start.
        """
        if self._folder is not None:
            return
        jailed.chromium()
        self._folder = Path(tempfile.mkdtemp(prefix="homespun-browser-"))
        line = [sys.executable, "-I", jailed.__file__, str(app_socket)]
        self._executable.write_text(f'#!/bin/sh\nexec {shlex.join(line)} "$@"\n')
        self._executable.chmod(0o700)
        self._playwright = await async_playwright().start()
        try:
            await self._warm()
        except PlaywrightError as error:
            await self.close()
            raise SandboxError(f"Chromium did not start: {visit.first_line(error)}", "browser") from None

    @property
    def _executable(self) -> Path:
        if self._folder is None:
            raise SandboxError("the browser has not been started", "browser", "await Browser.start()")
        return self._folder / "chromium"

    async def _warm(self) -> Chromium:
        async with self._launching:
            executable = self._executable
            if self._chromium is None or not self._chromium.is_connected():
                assert self._playwright is not None
                self._chromium = await self._playwright.chromium.launch(
                    executable_path=executable, headless=True, chromium_sandbox=True, timeout=30_000
                )
                self._ended = ended = asyncio.Event()
                self._chromium.on("disconnected", lambda _: ended.set())
            return self._chromium

    async def close(self) -> None:
        """Ends the browser."""
        if self._chromium is not None:
            with contextlib.suppress(PlaywrightError):
                await self._chromium.close()
        if self._playwright is not None:
            await self._playwright.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._chromium = self._playwright = self._folder = None

    async def look(
        self, url: str, *, at: Sequence[float] = (0.0, 2.0, 5.0), actions: Sequence[Action] = ()
    ) -> list[Shot]:
        """Pictures of an app, one for each time in ``at``; never raises for what the app does.

        Args:
            url: The app's origin, as `AppHost.publish` gave it.
            at: Seconds after the page has loaded.
            actions: What to do there, each at its own time; at the same time an action comes before the picture.

        Raises:
            SandboxError: the browser was not started.
        """
        _ = self._executable
        most = visit.LOAD_SECONDS + max(at, default=0.0) + visit.STEP_SECONDS * (len(at) + len(actions) + 2)
        note = ""
        async with self._turns:
            for _ in range(2):
                try:
                    chromium = await self._warm()
                    async with asyncio.timeout(most):
                        return await _unless(self._ended, self._looked(chromium, url, at, actions))
                except TimeoutError:
                    note = "the page held the browser up for too long"
                    break
                except PlaywrightError as error:
                    note = f"the browser broke: {visit.first_line(error)}"
        return [Shot(at=moment, png=None, note=note) for moment in at]

    async def _looked(self, browser: Chromium, url: str, at: Sequence[float], actions: Sequence[Action]) -> list[Shot]:
        context = await browser.new_context(
            viewport={"width": visit.SIDE, "height": visit.SIDE}, accept_downloads=False, service_workers="block"
        )
        try:
            return await visit.visited(context, url, at, actions)
        finally:
            with contextlib.suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(visit.STEP_SECONDS):
                    await context.close()

    async def picture_of(self, html: str, *, width: int = visit.SIDE, height: int = 630) -> bytes:
        """A page of our own as PNG, at its full height: no script runs in it and nothing is loaded.

        Args:
            html: The page; pictures as ``data:`` URLs.
            width: Pixels.
            height: Least height, pixels.

        Raises:
            SandboxError: the browser was not started, or broke twice.
        """
        note = ""
        async with self._turns:
            for _ in range(2):
                try:
                    chromium = await self._warm()
                    return await _unless(self._ended, self._pictured(chromium, html, width, height))
                except PlaywrightError as error:
                    note = visit.first_line(error)
        raise SandboxError(f"no picture of the page: {note}", "browser")

    async def _pictured(self, browser: Chromium, html: str, width: int, height: int) -> bytes:
        context = await browser.new_context(
            viewport={"width": width, "height": height}, java_script_enabled=False, offline=True
        )
        try:
            page = await context.new_page()
            await page.set_content(html, wait_until="load", timeout=visit.STEP_SECONDS * 1000)
            tall = await page.evaluate("() => document.documentElement.scrollHeight")
            high = min(max(int(tall), height), TALLEST)
            return await page.screenshot(
                full_page=True,
                clip={"x": 0, "y": 0, "width": width, "height": high},
                timeout=2 * visit.STEP_SECONDS * 1000,
            )
        finally:
            await context.close()


async def _unless(ended: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` gives, unless the browser ends before: not every call of Playwright notices.

    Raises:
        PlaywrightError: it did.
    """
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise PlaywrightError("it ended")
        return working.result()
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.wait({working, ending}, timeout=1.0)
