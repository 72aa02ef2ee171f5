"""Becomes Chromium in its jail: ``python -I jailed.py SOCKET ARGUMENT…``.

Playwright starts it as if it were the browser and speaks over descriptors 3 and 4, which the jail hands through.
Inside, every host name and every address means the relay at `PORT`, and the relay means SOCKET: there is no other
network in there, so nothing depends on the rule being obeyed. It is run by its path: importing the package would load
Playwright a second time.
"""

import os
import shutil
import sys
from pathlib import Path

from homespun.errors import SandboxError
from homespun.sandbox.jail.browser import CHROMIUM, browser_command
from homespun.sandbox.jail.types import Bounds, Gate, Job

PORT = 8080
MEMORY_MB = 4096
FLAGS = (
    f"--host-resolver-rules=MAP * 127.0.0.1:{PORT}",
    "--no-proxy-server",
    "--disable-quic",
    "--disable-gpu",
    "--disable-breakpad",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
)


def chromium() -> str:
    """Path of the browser.

    Raises:
        SandboxError: it is not installed.
    """
    found = CHROMIUM if Path(CHROMIUM).exists() else shutil.which("chromium")
    if found is None:
        raise SandboxError("Chromium is not installed, so no app can be looked at", "browser", "apt install chromium")
    return found


def job(socket: Path, arguments: list[str]) -> Job:
    """The browser as a job."""
    bounds = Bounds(memory_mb=MEMORY_MB, disk_mb=512)
    gate = Gate(socket=socket, port=PORT, direction="out")
    return Job(argv=(chromium(), *FLAGS, *arguments), gate=gate, bounds=bounds)


def main() -> None:
    """Execs the jail in place of this process."""
    line = browser_command(job(Path(sys.argv[1]), sys.argv[2:]))
    os.execve(line[0], line, {})


if __name__ == "__main__":
    main()
