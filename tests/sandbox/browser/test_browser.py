"""Our own browser, in its jail, looking at honest and hostile apps."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from homespun.errors import SandboxError
from homespun.sandbox.apps import AppHost
from homespun.sandbox.browser import Action, Browser, Shot, browser, jailed, visit
from homespun.sandbox.environments.types import Service, Site
from homespun.sandbox.jail.bubblewrap import Bubblewrap
from homespun.sandbox.jail.inlet import Inlet
from homespun.sandbox.jail.system import PYTHON
from homespun.sandbox.jail.types import Job

pytestmark = pytest.mark.slow
RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)
STYLE = "<!doctype html><style>body { margin: 0; background: red }</style>"


class Looker:
    """A loop in a thread with a host, a browser, and a listener that the browser must not reach."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.trapped: list[str] = []
        self.host, self.browser = AppHost(), Browser()
        self.run(self._start())
        self.count = 0

    async def _start(self) -> None:
        await self.host.start(parents=("http://127.0.0.1:9",))
        self.runner = web.ServerRunner(web.Server(self._trap))
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.trap = int(self.runner.addresses[0][1])
        await self.browser.start(self.host.socket)

    async def _trap(self, request: web.BaseRequest) -> web.Response:
        self.trapped.append(request.raw_path)
        return web.Response(text="reached")

    def run(self, work: Any, timeout: float = 60.0) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def publish(self, app: str | Service) -> str:
        async def go() -> str:
            self.count += 1
            given = app if isinstance(app, Service) else Site(files={"index.html": app.encode()})
            return self.host.publish(f"run{self.count}", given)

        return self.run(go())

    def look(self, page: str, at: tuple[float, ...] = (0.0,), actions: tuple[Action, ...] = ()) -> list[Shot]:
        return self.run(self.browser.look(self.publish(page), at=at, actions=actions))

    def close(self) -> None:
        self.run(self.browser.close())
        self.run(self.host.close())
        self.run(self.runner.cleanup())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@pytest.fixture(scope="module")
def looker() -> Iterator[Looker]:
    looker = Looker()
    yield looker
    looker.close()


def colour(shot: Shot, x: int = 1000, y: int = 1000) -> tuple[int, ...]:
    assert shot.png is not None, shot.note
    with Image.open(BytesIO(shot.png)) as image:
        assert image.size == (1024, 1024)
        return tuple(image.convert("RGB").getpixel((x, y)))


def test_pictures_at_their_times_and_what_is_done_between(looker: Looker) -> None:
    game = (
        STYLE + "<canvas width=200 height=100></canvas><script>"
        "let clicked = false; document.querySelector('canvas').onclick = (e) => { clicked = e.clientX === 100; };"
        "onkeydown = (e) => { if (clicked && e.code === 'Space') document.body.style.background = 'green'; };</script>"
    )
    actions = (Action(kind="click", at=0.2), Action(kind="key", key="Space", at=0.2))
    shots = looker.look(game, at=(1.0, 0.0), actions=actions)
    assert [shot.at for shot in shots] == [1.0, 0.0]
    assert [colour(shot) for shot in shots] == [GREEN, RED]
    assert not any(shot.note for shot in shots)


def test_keys_and_clicks_arrive(looker: Looker) -> None:
    page = (
        STYLE + "<input autofocus style='position:absolute;left:5px;top:5px'><script>"
        "document.querySelector('input').oninput = (e) => {"
        " if (e.target.value === 'hey') document.body.style.background = 'green'; }</script>"
    )
    actions = (Action(kind="click", x=15, y=12, at=0.0), Action(kind="text", key="hey", at=0.0))
    assert colour(looker.look(page, at=(0.3,), actions=actions)[0]) == GREEN


@pytest.mark.parametrize(
    ("page", "blank"),
    [
        ("<!doctype html>", True),
        (STYLE, True),
        ("<p>.", False),
        ("<div style='width:90px;height:90px;background:red'>", False),
    ],
)
def test_a_blank_page_is_told(looker: Looker, page: str, blank: bool) -> None:
    (shot,) = looker.look(page)
    assert shot.png is not None
    assert shot.blank is blank


def test_no_look_finds_what_another_left(looker: Looker) -> None:
    page = (
        STYLE + "<script>if (localStorage.x || document.cookie) document.body.style.background = 'blue';"
        "localStorage.x = 1; document.cookie = 'x=1';</script>"
    )
    url = looker.publish(page.replace("<script>", "<body><script>"))
    for _ in range(2):
        assert colour(looker.run(looker.browser.look(url, at=(0.0,)))[0]) == RED


HELD_UP = {
    "dialogs": "alert(1); confirm(2); prompt(3); onbeforeunload = () => 'stay';",
    "windows": "for (let i = 0; i < 20; i++) open('/'); ",
    "downloads": "const a = document.createElement('a'); a.href = 'data:,x'; a.download = 'x'; a.click();",
    "printing": "print();",
    "rejections": "setInterval(() => { throw Error('again') }, 1);",
    "memory": "let all = []; try { for (let i = 0; i < 64; i++) all.push(new Uint8Array(1 << 20).fill(1)); } catch {}",
}


@pytest.mark.parametrize("name", HELD_UP)
def test_a_page_cannot_hold_the_browser_up_by(looker: Looker, name: str) -> None:
    (shot,) = looker.look(f"{STYLE}<body><script>{HELD_UP[name]}</script>")
    assert colour(shot) == RED


def test_a_page_that_reloads_for_ever_is_looked_at_or_given_up(looker: Looker) -> None:
    (shot,) = looker.look(f"{STYLE}<body><script>setInterval(() => location.reload(), 200)</script>")
    assert shot.note if shot.png is None else colour(shot) == RED


def test_a_page_that_never_rests_gives_no_picture(looker: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit, "LOAD_SECONDS", 1.0)
    monkeypatch.setattr(visit, "STEP_SECONDS", 1.0)
    (shot,) = looker.look(f"{STYLE}<p>x<script>for (;;);</script>")
    assert shot.png is None
    assert shot.note
    assert colour(looker.look(STYLE + "<p>next")[0]) == RED


def test_where_there_is_no_app_there_is_no_picture(looker: Looker) -> None:
    url = looker.publish("x")
    for address, note in ((url + "/none", "no such file"), (url.replace("run", "other"), "No app is open")):
        (shot,) = looker.run(looker.browser.look(address, at=(0.0,)))
        assert shot.png is None
        assert note in shot.note


def test_the_browser_reaches_apps_and_nothing_else(looker: Looker) -> None:
    (shot,) = looker.run(looker.browser.look(f"http://127.0.0.1:{looker.trap}/", at=(0.0,)))
    assert shot.png is None
    page = (
        f"{STYLE}<body><script>const ok = () => {{ document.body.style.background = 'blue'; }};"
        f"fetch('http://127.0.0.1:{looker.trap}/').then(ok);"
        f"new WebSocket('ws://127.0.0.1:{looker.trap}/').onopen = ok;"
        f"const i = new Image(); i.onload = ok; i.src = 'http://localhost:{looker.trap}/x.png';"
        f"location = 'http://localhost:{looker.trap}/stolen';</script>"
    )
    (shot,) = looker.look(page, at=(0.5,))
    assert shot.png is None or colour(shot) != BLUE
    assert looker.trapped == []


def test_a_browser_that_breaks_is_started_again(looker: Looker) -> None:
    async def crash() -> None:
        assert looker.browser._chromium is not None
        session = await looker.browser._chromium.new_browser_cdp_session()
        await session.send("Browser.crash")

    async def look_and_crash(url: str) -> list[Shot]:
        look = asyncio.ensure_future(looker.browser.look(url, at=(0.0, 1.0)))
        await asyncio.sleep(0.5)
        with contextlib.suppress(browser.PlaywrightError):
            await crash()
        return await look

    shots = looker.run(look_and_crash(looker.publish(STYLE)))
    assert [colour(shot) for shot in shots] == [RED, RED]


def test_a_browser_that_cannot_be_started_gives_no_picture(looker: Looker, tmp_path: Path) -> None:
    async def look() -> list[Shot]:
        other = Browser()
        await other.start(looker.host.socket)
        assert other._chromium is not None
        await other._chromium.close()
        other._executable.write_text("#!/bin/sh\nexit 1\n")
        try:
            return await other.look(url, at=(0.0, 1.0))
        finally:
            await other.close()

    url = looker.publish(STYLE)
    shots = looker.run(look())
    assert [shot.png for shot in shots] == [None, None]
    assert all("browser broke" in shot.note for shot in shots)


def test_without_chromium_it_is_said(monkeypatch: pytest.MonkeyPatch, looker: Looker) -> None:
    monkeypatch.setattr(jailed, "CHROMIUM", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxError, match="apt install chromium"):
        looker.run(Browser().start(looker.host.socket))
    with pytest.raises(SandboxError, match="not been started"):
        looker.run(Browser().look("http://x.localhost"))


def test_a_page_of_ours_as_a_picture(looker: Looker) -> None:
    page = (
        f"<!doctype html><body style='margin:0;background:red'><img src='http://127.0.0.1:{looker.trap}/x'>"
        "<script>document.body.style.background = 'blue'</script><div style='height:900px'>"
    )
    png = looker.run(looker.browser.picture_of(page, width=400, height=300))
    with Image.open(BytesIO(png)) as image:
        assert image.width == 400
        assert image.height > 900
        assert image.convert("RGB").getpixel((390, 600)) == RED
    assert looker.trapped == []


def test_an_app_that_a_jail_serves_is_seen_through_its_gate(looker: Looker) -> None:
    inlet = Inlet()
    job = Job(
        argv=(PYTHON, "-m", "http.server", "8000", "--bind", "127.0.0.1"),
        files={"index.html": STYLE.encode()},
        gate=inlet.gate(8000),
    )
    running = Bubblewrap().start(job)
    for _ in range(100):
        with inlet.dial_now(20) as end:
            end.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if end.recv(100):
                break
    url = looker.publish(Service(inlet=inlet, running=running))
    (shot,) = looker.run(looker.browser.look(url, at=(0.0,)))
    assert colour(shot) == RED
    looker.host.withdraw(url.removeprefix("http://").partition(".")[0])
    assert not running.alive
    assert not inlet.socket.exists()


def test_nothing_is_left_when_it_is_closed(looker: Looker) -> None:
    before = descendants()

    async def once() -> set[int]:
        other = Browser()
        await other.start(looker.host.socket)
        started = descendants() - before
        await other.close()
        return started

    started = looker.run(once())
    assert len(started) > 3
    for _ in range(200):
        if not descendants() & started:
            return
        time.sleep(0.05)
    pytest.fail("something of the browser goes on")


def descendants() -> set[int]:
    """Processes below this one."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
