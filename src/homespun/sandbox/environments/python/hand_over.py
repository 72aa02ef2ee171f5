"""How a jail that waits gets its program, and how it says that the app is ready.

The host connects to the port at which the app will listen, and sends one line of JSON: ``{"name", "code"}``. The
listener is closed, so that the app can have the port; the connection stays, and takes one line back when the app
can be looked at: ``{"ready": true, "notes": {...}}``. If the job ends before, there is nothing to look at.
"""

import contextlib
import importlib
import json
import os
import socket
from collections.abc import Iterable

from . import fonts
from .program import WORK

SERVING = (
    "anyio._backends._asyncio",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.main",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
"""What uvicorn, which serves both Streamlit and Gradio, loads when it starts."""


def preload(names: Iterable[str]) -> None:
    """Imports modules ahead of their use; one that another version of a library has not is passed over."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


class HandOver:
    """Waits at a port for the program, writes it to the workspace."""

    def __init__(self, port: int) -> None:
        fonts.give()
        with socket.create_server(("127.0.0.1", port), backlog=1) as listener:
            while True:
                self._line, _ = listener.accept()
                told = self._line.makefile("rb").readline()
                if told.endswith(b"\n"):
                    break
                self._line.close()
        self.notes: dict[str, str] = {}
        sent = json.loads(told)
        self.path = os.path.join(WORK, os.path.basename(sent["name"]))
        with open(self.path, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(sent["code"])

    def ready(self) -> None:
        """Tells the host, once, that the app answers, with the notes taken on the way."""
        try:
            self._line.sendall(json.dumps({"ready": True, "notes": self.notes}).encode() + b"\n")
            self._line.close()
        except OSError:
            pass
