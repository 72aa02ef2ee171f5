"""Our end of one warm sandbox: sends its worker a program, receives what happened."""

import contextlib
import json
import os
import select
import signal
import struct
import time
from typing import Any

from homespun.errors import SandboxError
from homespun.sandbox.base import Limits, Program
from homespun.sandbox.bubblewrap import start

START_SECONDS = 60.0
GRACE_SECONDS = 5.0
"""How much longer than its own limit a worker may take before it is taken for dead."""
REPLY_BYTES = 4 << 20

Reply = dict[str, Any]


class Channel:
    """One sandbox and the pipes to its worker. One program at a time.

    Args:
        limits: What each program may use.
        preload: A package of the sandbox to import before the first program, so that programs need not.

    Raises:
        SandboxError: the sandbox cannot be had; the text holds what bubblewrap said.
    """

    def __init__(self, limits: Limits, preload: str | None = None) -> None:
        self.limits = limits
        self._process, self._errors = start(limits)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._replies = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._buffer = bytearray()
        self.deadline = time.monotonic() + START_SECONDS
        try:
            if preload:
                self._write({"preload": preload})
            self._greet()
        except (EOFError, BrokenPipeError):
            why = self._last_words()
            self.close()
            hint = "apt install bubblewrap, and let users make namespaces (kernel.unprivileged_userns_clone=1)"
            raise SandboxError(f"the sandbox did not start: {why}", "bubblewrap", hint) from None

    def _greet(self) -> None:
        greeting = None
        poller = select.poll()
        poller.register(self._replies, select.POLLIN)
        while greeting is None:
            left = self.deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                raise EOFError
            greeting = self.receive()
        if greeting["missing"]:
            self.close()
            raise SandboxError(f"the sandbox lacks {', '.join(greeting['missing'])}", "bubblewrap", "homespun doctor")

    @property
    def pid(self) -> int:
        """Process id of bwrap, outside."""
        return self._process.pid

    def fileno(self) -> int:
        """Descriptor that becomes readable when a reply comes, or when the sandbox has died."""
        return self._replies

    def send(self, program: Program) -> None:
        """Hands a program over.

        Raises:
            BrokenPipeError: the sandbox has died.
        """
        limits = {
            "milliseconds": int(self.limits.seconds * 1000),
            "cpu_seconds": self.limits.cpu_seconds,
            "memory": self.limits.memory_mb << 20,
            "file_bytes": self.limits.file_mb << 20,
            "output_bytes": self.limits.output_bytes,
        }
        self.deadline = time.monotonic() + self.limits.seconds + GRACE_SECONDS
        self._write({"source": program.source, "prelude": program.prelude, "result": program.result, "limits": limits})

    def receive(self) -> Reply | None:
        """The reply, or None if it is not whole yet; call it when `fileno` is readable.

        Raises:
            EOFError: the sandbox has died, or speaks what no worker speaks.
        """
        block = os.read(self._replies, 1 << 16)
        self._buffer += block
        size = struct.unpack("<I", self._buffer[:4])[0] if len(self._buffer) >= 4 else None
        if not block or (size is not None and size > REPLY_BYTES):
            raise EOFError
        if size is None or len(self._buffer) < 4 + size:
            return None
        reply: Reply = json.loads(self._buffer[4 : 4 + size])
        self._buffer.clear()
        return reply

    def close(self) -> None:
        """Kills the sandbox with all that is in it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _write(self, order: Reply) -> None:
        body = json.dumps(order).encode()
        body = struct.pack("<I", len(body)) + body
        while body:
            body = body[os.write(self._orders, body) :]

    def _last_words(self) -> str:
        with contextlib.suppress(Exception):
            self._process.wait(1)
        self._errors.seek(0)
        lines = self._errors.read(4096).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.poll()}"
