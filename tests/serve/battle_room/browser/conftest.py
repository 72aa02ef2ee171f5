"""The real room in a process of its own, with its scripted contestants, and Debian's Chromium to look at it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, Response, expect, sync_playwright

from homespun.arena.examples import examples
from homespun.serve.battle_room.contestants import shipped

NAMES = {one.title for one in shipped() if one.name.startswith("scripted:")}
OPEN = ".votes.open"
PATIENCE = 60_000
"""Milliseconds that two programs may take to be shown: other tests run beside this one."""


def settings(folder: Path) -> Path:
    """A homespun.toml with nobody but the scripted contestants in the draw."""
    away = ["local:smollm2", *(one.name for one in shipped() if not one.name.startswith("scripted:"))]
    file = folder / "homespun.toml"
    file.write_text(
        f'[server]\nstate = "{folder}/state"\ndatabase = "sqlite:///{folder}/room.db"\n'
        f"[arena]\noutage = {away!r}\n[arena.limits]\njobs = 6\napps = 24\n"
    )
    return file


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a battle room that runs programs."""
    folder = tmp_path_factory.mktemp("room")
    log = (folder / "log").open("w+")
    command = [sys.executable, "-m", "homespun.serve.battle_room", "--config", str(settings(folder)), "--port", "0"]
    process = subprocess.Popen([*command, "--apps-port", "0"], cwd=folder, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 180
        while not (found := re.search(r"battle room at (http://localhost:\d+)", (folder / "log").read_text())):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.1)
        yield found[1]
    finally:
        process.terminate()
        process.wait(60)
        log.close()


@pytest.fixture(scope="module")  # while it stands, no other event loop can run in this process
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield started
        started.close()


class Visit:
    """Somebody at the page, with all that the page's console and policy complain of, and all that was fetched."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.url = url
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | context))
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.complaints: list[str] = []
        self.bodies: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.expected = 0
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._hear(message.type, message.text, message.location["url"]))
        self.page.on("response", self._keep)

    def _hear(self, kind: str, text: str, where: str) -> None:
        if kind in ("error", "warning") and where.startswith(self.url):
            self.complaints.append(text)

    def _keep(self, response: Response) -> None:
        if response.url.endswith("/interactions") and response.request.post_data_json:
            assert response.status == 204
            self.sent += response.request.post_data_json["records"]

    def goto(self, path: str = "/") -> Page:
        self.page.goto(self.url + path)
        self.page.wait_for_selector("body[data-ready]")
        return self.page

    def ask(self, example: str, *, mode: str = "battle") -> Page:
        """A fresh round with an example's prompt; returns once it has begun."""
        page = self.goto()
        if mode != "battle":
            page.check(f"input[name=mode][value={mode}]", force=True)
            for place, name in (("left", "Loom"), ("right", "Wheel")):
                page.select_option(f"#{place}", label=name)
        chosen = next(one for one in examples() if one.id == example)
        page.locator(".example", has_text=chosen.title).click()
        page.keyboard.press("Enter")
        page.wait_for_selector("#pane-a .turn")
        return page

    def opened(self) -> Page:
        """The moment when both programs are shown."""
        self.page.wait_for_selector(OPEN, timeout=PATIENCE)
        return self.page

    def battle(self, example: str, *, mode: str = "battle") -> Page:
        """A fresh round, up to that moment."""
        self.ask(example, mode=mode)
        return self.opened()

    def close(self) -> None:
        """Leaves; nothing that the page's own console said may be left unexplained."""
        self.context.close()
        assert len(self.complaints) == self.expected, self.complaints

    def vote(self, winner: str) -> list[str]:
        """Votes a second after the programs came, as the room wants it; gives the names that then stand there."""
        self.page.wait_for_timeout(1100)
        self.page.click(f".vote.{winner}")
        expect(self.page.locator(".result")).to_be_visible()
        return self.page.locator(".pane h2 .name").all_inner_texts()

    def frame(self, side: str) -> FrameLocator:
        return self.page.frame_locator(f"#pane-{side} iframe")

    def tab(self, side: str, name: str) -> None:
        self.page.click(f"#tab-{name}-{side}")

    def picture(self, name: str) -> None:
        """Saves what is seen, where the documentation's pictures are being made."""
        if folder := os.environ.get("ARENA_PICTURES"):
            self.page.wait_for_timeout(1500)
            self.page.screenshot(path=f"{folder}/{name}.png")


@pytest.fixture
def visit(chromium: Browser, room: str) -> Iterator[Callable[..., Visit]]:
    """Makes visits; none of them may leave a complaint of the page's own behind."""
    made: list[Visit] = []

    def make(**context: Any) -> Visit:
        made.append(Visit(chromium, room, **context))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def visitor(chromium: Browser, room: str) -> Callable[[], Visit]:
    """Makes visits that outlive a test; who asks closes them."""
    return lambda: Visit(chromium, room)


@pytest.fixture
def names() -> set[str]:
    return NAMES
