"""Chromium in a jail: it sees its gate and nothing else, and its own sandbox is on."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from homespun.errors import SandboxError
from homespun.sandbox.jail.browser import CHROMIUM, browser_command
from homespun.sandbox.jail.types import Gate, Job

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("jail")]

START = """
import os, sys
from pathlib import Path
from homespun.sandbox.jail.browser import CHROMIUM, browser_command
from homespun.sandbox.jail.types import Bounds, Gate, Job
gate = Gate(socket=Path(sys.argv[1]), port=8100, direction="out")
flags = ("--headless", "--disable-gpu", "--virtual-time-budget=3000", "--user-data-dir=/tmp/profile", "--dump-dom")
line = browser_command(Job(argv=(CHROMIUM, *flags, sys.argv[2]), gate=gate, bounds=Bounds(memory_mb=4096)))
os.execv(line[0], line)
"""
PAGE = """<!doctype html><body><p id=said></p><script>
const said = document.getElementById("said");
const attempt = url => fetch(url, {mode: "no-cors"}).then(() => "ESCAPED", () => "refused");
Promise.all(["http://127.0.0.1:%d/", "http://localhost:%d/"].map(attempt))
  .then(all => said.textContent = all.join(" "));
</script></body>"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The gate of a page that tries to reach a listener of the host, and who reached that."""
    reached: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    page = (PAGE % ((listener.getsockname()[1],) * 2)).encode()
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "gate"))
    os.chmod(tmp_path / "gate", 0o666)
    unix.listen()

    def serve(end: socket.socket) -> None:
        with end:
            while end.recv(1 << 16):
                end.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page) + page
                )

    def accept(one: socket.socket, then: object) -> None:
        try:
            while True:
                end = one.accept()[0]
                if then is None:
                    reached.append("host")
                    end.close()
                else:
                    threading.Thread(target=serve, args=(end,), daemon=True).start()
        except OSError:
            pass

    for one, then in ((listener, None), (unix, serve)):
        threading.Thread(target=accept, args=(one, then), daemon=True).start()
    yield str(tmp_path / "gate"), reached
    for one in (listener, unix):
        one.shutdown(socket.SHUT_RDWR)
        one.close()


def test_chromium_sees_its_gate_and_nothing_else(gate: tuple[str, list[str]]) -> None:
    place, reached = gate
    done = subprocess.run(
        [sys.executable, "-c", START, place, "http://page.localhost:8100/"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert '<p id="said">refused refused</p>' in done.stdout, done.stderr[-2000:]
    assert reached == []
    assert done.returncode == 0


def test_its_own_sandbox_is_on(gate: tuple[str, list[str]]) -> None:
    """Chromium refuses to start where it cannot have its sandbox and nobody said that it may do without."""
    place, _ = gate
    start = START.replace("flags = (", "flags = ('--disable-namespace-sandbox', '--disable-setuid-sandbox', ")
    done = subprocess.run(
        [sys.executable, "-c", start, place, "http://page.localhost:8100/"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode != 0
    assert "sandbox" in done.stderr.lower()


def test_a_gate_that_leads_in_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="leads out"):
        browser_command(Job(argv=(CHROMIUM,), gate=Gate(socket=tmp_path, port=1, direction="in")))
