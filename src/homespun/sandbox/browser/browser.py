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
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Frame, Page, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from homespun.errors import SandboxError
from homespun.sandbox.apps.pages import NOTICE
from homespun.sandbox.browser import jailed
from homespun.sandbox.browser.shots import Action, Shot, is_blank

SIDE = 1024
"""Width and height of a look, pixels."""
LOAD_SECONDS = 15.0
"""How long a page may take until its document is read; it is looked at even so."""
STEP_SECONDS = 5.0
"""How long one picture or one action may take."""
LOOKS_AT_ONCE = 2
TALLEST = 8192
"""Height at which a picture of our own page is cut, pixels."""
_TEXT = "() => (document.body?.innerText ?? '').trim().length > 0"


class Browser:
    """One warm browser. Belongs to the event loop that `start` is called in."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._launching = asyncio.Lock()
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._folder: Path | None = None

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
            raise SandboxError(f"Chromium did not start: {_first_line(error)}", "browser") from None

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
        executable = self._executable
        note = ""
        async with self._turns:
            for _ in range(2):
                try:
                    async with asyncio.timeout(LOAD_SECONDS + max(at, default=0.0) + STEP_SECONDS * (len(at) + 2)):
                        return await self._looked(await self._warm(), url, at, actions)
                except TimeoutError:
                    note = "the page held the browser up for too long"
                except PlaywrightError as error:
                    note = f"the browser broke: {_first_line(error)}"
                if not executable.exists():
                    break
        return [Shot(at=moment, png=None, note=note) for moment in at]

    async def _looked(self, browser: Chromium, url: str, at: Sequence[float], actions: Sequence[Action]) -> list[Shot]:
        context = await browser.new_context(
            viewport={"width": SIDE, "height": SIDE}, accept_downloads=False, service_workers="block"
        )
        try:
            page = await context.new_page()
            _without_popups(context, page)
            note, loaded = await _open(page, url)
            if not loaded:
                return [Shot(at=moment, png=None, note=note) for moment in at]
            return await _watch(page, at, actions, note)
        finally:
            with contextlib.suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(STEP_SECONDS):
                    await context.close()

    async def picture_of(self, html: str, *, width: int = SIDE, height: int = 630) -> bytes:
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
                    return await self._pictured(await self._warm(), html, width, height)
                except PlaywrightError as error:
                    note = _first_line(error)
        raise SandboxError(f"no picture of the page: {note}", "browser")

    async def _pictured(self, browser: Chromium, html: str, width: int, height: int) -> bytes:
        context = await browser.new_context(
            viewport={"width": width, "height": height}, java_script_enabled=False, offline=True
        )
        try:
            page = await context.new_page()
            await page.set_content(html, wait_until="load", timeout=STEP_SECONDS * 1000)
            tall = await page.evaluate("() => document.documentElement.scrollHeight")
            high = min(max(int(tall), height), TALLEST)
            return await page.screenshot(
                full_page=True,
                clip={"x": 0, "y": 0, "width": width, "height": high},
                timeout=2 * STEP_SECONDS * 1000,
            )
        finally:
            await context.close()


def _without_popups(context: BrowserContext, page: Page) -> None:
    """Closes every other page; dialogs Playwright dismisses by itself where nobody listens."""

    def opened(other: Page) -> None:
        if other is not page:
            closing = asyncio.ensure_future(_closed(other))
            closings.add(closing)
            closing.add_done_callback(closings.discard)

    closings: set[asyncio.Future[None]] = set()
    context.on("page", opened)


async def _closed(page: Page) -> None:
    with contextlib.suppress(PlaywrightError):
        await page.close()


async def _open(page: Page, url: str) -> tuple[str, bool]:
    """Opens the app; what there is to note, and whether there is a page to look at."""
    try:
        answer = await page.goto(url, wait_until="domcontentloaded", timeout=LOAD_SECONDS * 1000)
        with contextlib.suppress(PlaywrightTimeout):  # a picture that streams never ends to load
            await page.wait_for_load_state("load", timeout=STEP_SECONDS * 1000)
    except PlaywrightTimeout:
        return f"still loading after {LOAD_SECONDS:g} s", page.url != "about:blank"
    except PlaywrightError as error:
        if page.is_closed() or "crashed" in str(error):
            raise
        return f"the page could not be opened: {_first_line(error)}", False
    notice = answer.headers.get(NOTICE.lower()) if answer else None
    if notice is not None:  # the host's own page is no picture of the app
        return notice, False
    status = answer.status if answer else 200
    return ("" if status < 400 else f"the app answered with status {status}"), True


async def _watch(page: Page, at: Sequence[float], actions: Sequence[Action], note: str) -> list[Shot]:
    loaded = time.monotonic()
    steps: list[tuple[float, int, Action | int]] = [(action.at, 0, action) for action in actions]
    steps += [(moment, 1, index) for index, moment in enumerate(at)]
    shots: dict[int, Shot] = {}
    for moment, _, step in sorted(steps, key=lambda step: step[:2]):
        await asyncio.sleep(max(0.0, loaded + moment - time.monotonic()))
        if isinstance(step, int):
            shots[step] = await _shot(page, moment, note)
        else:
            with contextlib.suppress(PlaywrightTimeout, TimeoutError):
                async with asyncio.timeout(STEP_SECONDS):
                    await _act(page, step)
    return [shots[index] for index in range(len(at))]


async def _shot(page: Page, moment: float, note: str) -> Shot:
    if page.url.startswith("chrome-error:"):
        return Shot(at=moment, png=None, note="the app led its page to a place that is not its own")
    try:
        async with asyncio.timeout(STEP_SECONDS):
            png = await page.screenshot(timeout=STEP_SECONDS * 1000, caret="initial")
            text = any([await _has_text(frame) for frame in page.frames[:8]])
    except (PlaywrightTimeout, TimeoutError):
        return Shot(at=moment, png=None, note="the page is too busy to be looked at")
    return Shot(at=moment, png=png, blank=await asyncio.to_thread(is_blank, png, text=text), note=note)


async def _has_text(frame: Frame) -> bool:
    try:
        return bool(await frame.evaluate(_TEXT))
    except PlaywrightError:  # it went elsewhere while it was asked
        return False


async def _act(page: Page, action: Action) -> None:
    if action.kind == "key":
        await page.keyboard.press(action.key)
    elif action.kind == "text":
        await page.keyboard.type(action.key)
    else:
        await page.mouse.click(*await _spot(page, action))


async def _spot(page: Page, action: Action) -> tuple[float, float]:
    if action.x is not None and action.y is not None:
        return action.x, action.y
    canvas = page.locator("canvas").first
    box = await canvas.bounding_box() if await canvas.count() else None
    if box is None:
        return SIDE / 2, SIDE / 2
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _first_line(error: PlaywrightError) -> str:
    return error.message.partition("\n")[0][:200]
