"""A game played over its WebSocket, through the reverse proxy that people use."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import pytest
from PIL import Image

from homespun.sandbox.apps import AppHost
from homespun.sandbox.environments import pygame
from homespun.sandbox.environments.types import Ran, Service, Work
from homespun.sandbox.jail import jail as jail_called
from homespun.sandbox.jail.types import Jail

pytestmark = pytest.mark.slow

GAME = """
import asyncio
import pygame

async def main():
    pygame.init()
    screen = pygame.display.set_mode((320, 240), pygame.FULLSCREEN | pygame.SCALED, vsync=1)
    pygame.display.set_caption("Square")
    clock = pygame.time.Clock()
    x, colour, running = 100, (0, 0, 0), True
    while running:
        for event in pygame.event.get():
            if event.type == pygame.KEYDOWN:
                print("down", pygame.key.name(event.key), repr(event.unicode), event.mod & pygame.KMOD_SHIFT > 0)
                running = event.key != pygame.K_ESCAPE
            if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
                colour = (0, 0, 200)
                print("click", event.pos, pygame.mouse.get_pressed())
            if event.type == pygame.MOUSEWHEEL:
                print("wheel", event.y)
            if event.type == pygame.TEXTINPUT:
                print("text", event.text)
        keys = pygame.key.get_pressed()
        x += 5 * (keys[pygame.K_RIGHT] - keys[pygame.K_LEFT])
        screen.fill(colour)
        pygame.draw.rect(screen, (255, 0, 0), (x, 100, 20, 20))
        pygame.display.flip()
        clock.tick(60)
        await asyncio.sleep(0)
    pygame.quit()
    raise SystemExit(7)

asyncio.run(main())
"""


@contextmanager
def playing(ran: Ran) -> Generator[Service]:
    assert isinstance(ran.app, Service), ran.stderr
    try:
        yield ran.app
    finally:
        ran.app.running.kill()
        ran.app.inlet.close()


class Player:
    """What the page does, without the page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.state: Mapping[str, Any] = {}
        self.exact = False
        """Whether the last frame came without loss, as pictures do that stand still."""

    async def send(self, type: str, **values: Any) -> None:
        await self.socket.send_json({"type": type, **values})

    async def press(self, code: str, key: str) -> None:
        await self.send("keydown", code=code, key=key)
        await self.send("keyup", code=code, key=key)

    async def until(self, seen: Callable[[Image.Image | None], bool]) -> Image.Image | None:
        """Draws frames until one shows it."""
        async with asyncio.timeout(20):
            while True:
                message = await self.socket.receive()
                image = None
                if message.type == aiohttp.WSMsgType.BINARY:
                    image = Image.open(io.BytesIO(message.data)).convert("RGB")
                    self.exact = message.data.startswith(b"\x89PNG")
                    await self.send("drawn")
                elif message.type == aiohttp.WSMsgType.TEXT:
                    self.state = json.loads(message.data)
                else:
                    raise AssertionError(message)
                if seen(image):
                    return image


def edge(image: Image.Image | None) -> int:
    """Where the square begins."""
    if image is None:
        return -1
    row = [image.getpixel((x, 110)) for x in range(image.width)]
    return next((x for x, (red, green, _) in enumerate(row) if red > 180 and green < 90), -1)  # type: ignore[misc]


async def play(service: Service) -> None:
    host = AppHost()
    await host.start()
    try:
        name = host.publish("game", service).removeprefix("http://")
        async with aiohttp.ClientSession(headers={"Host": name}) as session:
            base = f"http://127.0.0.1:{host.port}/"
            async with session.get(base) as answer:
                assert "player.js" in await answer.text()
            async with session.get(base + "../etc/passwd") as answer:
                assert answer.status == 404
            async with session.ws_connect(base + "play") as socket:
                await moves(Player(socket))
                assert service.running.alive  # the page stays, and tells how it ended
    finally:
        await host.close()


async def moves(player: Player) -> None:
    first = await player.until(lambda image: image is not None)
    assert first is not None
    assert (first.size, edge(first), player.state["title"]) == ((320, 240), 100, "Square")
    await player.send("keydown", code="ArrowRight", key="ArrowRight")
    await player.until(lambda image: edge(image) >= 130)
    await player.send("blur")  # the key comes up although nobody says so
    stopped = await player.until(lambda image: image is not None and player.exact)
    assert 130 <= edge(stopped) < 300
    await player.send("mousedown", button=0, x=0.25, y=0.5)
    await player.until(lambda image: image is not None and image.getpixel((2, 2))[2] > 150)  # type: ignore[index]
    await player.send("mouseup", button=0, x=0.25, y=0.5)
    await player.send("wheel", dx=0, dy=1, x=0.5, y=0.5)
    await player.press("KeyQ", "q")
    for nonsense in (
        {"type": "keydown"},
        {"type": "mousedown", "button": 99, "x": 0, "y": 0},
        {"type": "__init__"},
        [1],
    ):
        await player.socket.send_json(nonsense)
    await player.socket.send_str("not JSON")
    await player.send("keydown", code="ShiftLeft", key="Shift")
    await player.press("Digit1", "!")
    await player.press("Escape", "Escape")
    await player.until(lambda _: player.state.get("ended") is not None)
    assert player.state["ended"]["code"] == 7


@pytest.mark.parametrize("name", ["bubblewrap", "gvisor"])
def test_a_game_is_played(name: str, work: Callable[..., Work]) -> None:
    ran = pygame.run(work(GAME, "pygame"), jail_called(name))
    assert ran.status == "ok", ran.stderr
    with playing(ran) as service:
        asyncio.run(play(service))
        out, error = service.running.said()
    assert "click (80, 120) (True, False, False)" in out
    assert "wheel 1" in out
    assert "text q" in out
    assert "down 1 '!' True" in out
    assert "Traceback" not in error


@asynccontextmanager
async def connected(service: Service) -> AsyncGenerator[Player]:
    host = AppHost()
    await host.start()
    try:
        name = host.publish("game", service).removeprefix("http://")
        async with (
            aiohttp.ClientSession(headers={"Host": name}) as session,
            session.ws_connect(f"http://127.0.0.1:{host.port}/play") as socket,
        ):
            yield Player(socket)
    finally:
        await host.close()


async def restarted(service: Service) -> None:
    async with connected(service) as player:
        await player.until(lambda _: player.state.get("ended") is not None)
        await player.send("again")
        async with asyncio.timeout(20):
            while service.running.said()[0].count("drawn") < 2:
                await asyncio.sleep(0.02)


async def killed(service: Service) -> int | None:
    async with connected(service) as player:
        await player.press("KeyX", "x")
        return (await asyncio.to_thread(service.running.wait)).exit_code


def test_the_death_of_a_process_is_seen(work: Callable[..., Work], jail: Jail) -> None:
    code = (
        "import os, pygame\npygame.init()\npygame.display.set_mode((9, 9))\npygame.display.flip()\n"
        "while not pygame.event.get(pygame.KEYDOWN): pygame.time.wait(5)\nos._exit(9)"
    )
    ran = pygame.run(work(code, "pygame"), jail)
    with playing(ran) as service:
        assert asyncio.run(killed(service)) == 9
        assert not service.running.alive


def test_an_ended_game_keeps_its_picture_and_starts_again(work: Callable[..., Work], jail: Jail) -> None:
    code = (
        "import pygame\npygame.init()\ns = pygame.display.set_mode((9, 9))\npygame.display.flip()\nprint('drawn')\n1/0"
    )
    ran = pygame.run(work(code, "pygame"), jail)
    with playing(ran) as service:
        asyncio.run(restarted(service))
        assert 'File "main.py", line 6' in service.running.said()[1]


@pytest.mark.parametrize(
    ("code", "status", "exit_code", "told"),
    [
        ("import pygame\npygame.init()\nraise ValueError('early')", "failed", 1, "ValueError: early"),
        ("import pygame\npygame.display.set_mode((9, 9), pygame.OPENGL)", "failed", 1, "no OpenGL here"),
        ("import pygame\nprint(pygame.Rect(1, 2, 3, 4).area if False else 1)", "failed", 0, "before its app answered"),
    ],
)
def test_a_game_without_a_frame_has_failed(
    work: Callable[..., Work], jail: Jail, code: str, status: str, exit_code: int, told: str
) -> None:
    ran = pygame.run(work(code, "pygame"), jail)
    assert (ran.status, ran.exit_code, ran.app) == (status, exit_code, None)
    assert told in ran.stderr


def test_a_game_that_never_draws_is_stopped(work: Callable[..., Work], jail: Jail) -> None:
    ran = pygame.run(work("print('busy')\nwhile True: pass", "pygame", seconds=4), jail)
    assert (ran.status, ran.app, ran.stdout) == ("timeout", None, "busy\n")
    assert "no app answered within 4 s" in ran.stderr


def test_every_key_of_the_table_is_one_of_pygames(keys_in_pygame: Mapping[str, Any]) -> None:
    keys, names = keys_in_pygame["keys"], keys_in_pygame["names"]
    assert all(keycode and scancode for keycode, scancode in keys.values())
    constants = set(keys_in_pygame["constants"])
    assert {keycode for keycode, _ in keys.values()} <= constants
    shared = {"IntlBackslash"}  # a second key that writes the same
    assert len({tuple(pair) for pair in keys.values()}) == len(keys) - len(shared)
    assert [names[code] for code in ("KeyW", "Digit7", "ArrowUp", "F12", "Numpad0", "Slash", "MetaLeft")] == [
        "w",
        "7",
        "up",
        "f12",
        "[0]",
        "/",
        "left meta",
    ]
