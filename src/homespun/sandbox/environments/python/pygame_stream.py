"""The page's server: frames go out over a WebSocket, keys and mouse come back.

A moving picture goes out as JPEG, at most 30 times a second, and only when it has changed; one that stands still is
sent once more without loss. A page says when it has drawn a frame and gets the next one then: a slow page sees fewer
frames, never old ones.
"""

import asyncio
import importlib
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .pygame_screen import Frame, Screen

FRAME_SECONDS = 1 / 30
STILL_SECONDS = 0.2
LONGEST_MESSAGE = 4096
MOST_PAGES = 8
PAGE = Path(__file__).with_name("page")
FILES = {"/": ("index.html", "text/html; charset=utf-8"), "/player.js": ("player.js", "text/javascript")}


class Stream:
    """Serves one game on a thread of its own.

    Args:
        port: Where to listen on the loopback.
        screen: Where the frames come from.
        arrive: Takes each message of a page about keys and mouse.
        again: Starts the program anew.
    """

    def __init__(
        self, port: int, screen: Screen, arrive: Callable[[Mapping[str, Any]], None], again: Callable[[], None]
    ) -> None:
        self._port, self._screen, self._arrive, self._again = port, screen, arrive, again
        self._image: Any = importlib.import_module("PIL.Image")
        self._server: Any = importlib.import_module("websockets.asyncio.server")
        self._http: Any = importlib.import_module("websockets.http11")
        self._headers: Any = importlib.import_module("websockets.datastructures").Headers
        self._coded: dict[bool, tuple[Frame, bytes]] = {}
        self._pages = 0
        self.ended: dict[str, Any] | None = None
        self._up = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()

    def wait_up(self) -> None:
        """Blocks until the server listens."""
        self._up.wait()

    async def _serve(self) -> None:
        serving = self._server.serve(
            self._page,
            "127.0.0.1",
            self._port,
            process_request=self._file,
            compression=None,
            max_size=LONGEST_MESSAGE,
            server_header=None,
        )
        async with serving:
            self._up.set()
            await asyncio.get_running_loop().create_future()

    def _file(self, connection: Any, request: Any) -> Any:
        path = request.path.split("?", 1)[0]
        if path == "/play":
            return None if self._pages < MOST_PAGES else connection.respond(503, "too many pages play this game\n")
        if path not in FILES:
            return connection.respond(404, "not found\n")
        name, kind = FILES[path]
        body = (PAGE / name).read_bytes()
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
        return self._http.Response(200, "OK", self._headers(headers), body)

    async def _page(self, page: Any) -> None:
        drawn = asyncio.Event()
        drawn.set()
        self._pages += 1
        sending = asyncio.create_task(self._send(page, drawn))
        try:
            async for text in page:
                self._take(text, drawn)
        except Exception as error:
            if type(error).__module__.split(".")[0] != "websockets":
                raise
        finally:
            self._pages -= 1
            sending.cancel()
            self._arrive({"type": "blur"})

    def _take(self, text: str | bytes, drawn: asyncio.Event) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return
        match message:
            case {"type": "drawn"}:
                drawn.set()
            case {"type": "again"}:
                self._again()
            case {"type": str()}:
                self._arrive(message)
            case _:
                pass

    async def _send(self, page: Any, drawn: asyncio.Event) -> None:
        sent: Frame | None = None
        exact = False
        since = 0.0
        told = ""
        while True:
            state = json.dumps({"type": "state", "title": self._screen.title, "ended": self.ended})
            if state != told:
                await page.send(state)
                told = state
            frame = self._screen.frame
            now = time.monotonic()
            moved = frame is not None and frame is not sent and (sent is None or frame.pixels != sent.pixels)
            still = not moved and not exact and sent is not None and now - since > STILL_SECONDS
            if frame is not None and (moved or still):
                await drawn.wait()
                frame = self._screen.frame or frame
                drawn.clear()
                exact = still or (sent is None)
                await page.send(await asyncio.to_thread(self._code, frame, exact))
                sent, since = frame, now
            elif frame is not None:
                sent = frame
            await asyncio.sleep(max(0.001, now + FRAME_SECONDS - time.monotonic()))

    def _code(self, frame: Frame, exact: bool) -> bytes:
        known = self._coded.get(exact)
        if known is not None and known[0] is frame:
            return known[1]
        image = self._image.frombuffer("RGB", frame.size, frame.pixels, "raw", frame.order, frame.pitch, 1)
        into = io.BytesIO()
        if exact:
            image.save(into, "PNG", compress_level=1)
        else:
            image.save(into, "JPEG", quality=85, subsampling=0)
        coded = into.getvalue()
        self._coded[exact] = (frame, coded)
        return coded


def start_again(port: int, path: str) -> None:
    """Puts a new process in the place of this one: the same jail, the same port, the program from its start."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "inside.pygame_app", str(port), "--file", path])
