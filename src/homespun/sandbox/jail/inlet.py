"""The host's end of a gate that leads in: the relay inside keeps connections on offer, whoever dials takes one."""

import asyncio
import os
import select
import shutil
import socket
import tempfile
import time
from pathlib import Path

from homespun.sandbox.jail.types import Gate

BACKLOG = 64
"""Connections that wait here; a job that offers more has its relay wait."""


class Inlet:
    """A listening unix socket for one job.

    The socket may be written by everybody, but lies in a folder that only we can enter: a job reaches it because its
    driver mounts the socket itself, nobody else does.

    Args:
        folder: Where to make that folder; the system's place for temporary files by default. Keep it short: the
            path of a unix socket has at most 107 bytes.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="homespun-inlet-", dir=folder))
        self.socket = self._folder / "gate"
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(self.socket))
            os.chmod(self.socket, 0o666)
            self._listener.listen(BACKLOG)
            self._listener.setblocking(False)
        except BaseException:
            self.close()
            raise

    def gate(self, port: int) -> Gate:
        """The gate for a job that serves at ``port`` of its loopback."""
        return Gate(socket=self.socket, port=port, direction="in")

    async def dial(self, timeout: float = 10.0) -> socket.socket:
        """A connection to the job's server, non-blocking; it may still turn out that nobody serves there.

        Raises:
            TimeoutError: the job offered none within ``timeout`` seconds.
            OSError: the inlet is closed.
        """
        loop = asyncio.get_running_loop()
        with self._listener.dup() as waiting:  # a loop knows one waiter for a descriptor: each gets its own
            async with asyncio.timeout(timeout):
                while True:
                    end, _ = await loop.sock_accept(waiting)
                    if _alive(end):
                        return end

    def dial_now(self, timeout: float = 10.0) -> socket.socket:
        """The same for a thread: blocks, and so does the connection, with ``timeout`` for each of its operations."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._listener], [], [], left)[0]:
                break
            try:
                end, _ = self._listener.accept()
            except BlockingIOError:
                continue
            if _alive(end):
                end.settimeout(timeout)
                return end
        raise TimeoutError(f"the job offered no connection within {timeout:g} s")

    def close(self) -> None:
        """Closes the socket and removes its folder; what has been dialled lives on."""
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _alive(end: socket.socket) -> bool:
    """Whether the relay at the other end is still there; closes the connection if not."""
    end.setblocking(False)
    try:
        if end.recv(1, socket.MSG_PEEK):
            return True
    except BlockingIOError:
        return True
    except OSError:
        pass
    end.close()
    return False
