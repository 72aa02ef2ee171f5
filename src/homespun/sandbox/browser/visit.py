"""One visit to one app: opened, acted on, pictured. What the app does is its own business, within a bounded time."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from playwright.async_api import BrowserContext, Frame, Page
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from homespun.sandbox.apps.pages import NOTICE
from homespun.sandbox.browser.shots import Action, Shot, is_blank

SIDE = 1024
"""Width and height of a look, pixels."""
LOAD_SECONDS = 15.0
"""How long a page may take until its document is read; it is looked at even so."""
STEP_SECONDS = 5.0
"""How long one picture or one action may take."""
_TEXT = "() => (document.body?.innerText ?? '').trim().length > 0"


async def visited(context: BrowserContext, url: str, at: Sequence[float], actions: Sequence[Action]) -> list[Shot]:
    """Pictures of the app at ``url``, as `Browser.look` has them.

    Raises:
        PlaywrightError: the browser broke.
    """
    page = await context.new_page()
    _without_popups(context, page)
    note, loaded = await _open(page, url)
    if not loaded:
        return [Shot(at=moment, png=None, note=note) for moment in at]
    return await _watch(page, at, actions, note)


def first_line(error: PlaywrightError) -> str:
    """The error in short, for a note."""
    return error.message.partition("\n")[0][:200]


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
        return f"the page could not be opened: {first_line(error)}", False
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
