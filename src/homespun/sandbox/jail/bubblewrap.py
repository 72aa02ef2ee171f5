"""Starts a job with bubblewrap (https://github.com/containers/bubblewrap)."""

import os
import secrets
import signal
import subprocess
import threading
import time
from typing import IO

from homespun.sandbox.jail import files, system
from homespun.sandbox.jail.command import mounted, namespaces, unprivileged
from homespun.sandbox.jail.types import Job, Outcome, Status
from homespun.sandbox.seccomp import jail_filter

USER = 62_000


class Bubblewrap:
    name = "bubblewrap"

    def start(self, job: Job) -> "BubblewrapJob":
        return BubblewrapJob(job)


def command(job: Job, marker: str, filter_fd: int, block_fd: int, info_fd: int) -> list[str]:
    """The command line of bwrap for ``job``."""
    line = [*namespaces(USER), "--perms", "0555", "--dir", f"/{marker}", *mounted(job)]
    line += ["--seccomp", str(filter_fd), "--block-fd", str(block_fd), "--info-fd", str(info_fd), "--"]
    return [*line, *unprivileged(USER), *system.entry(job)]


class BubblewrapJob:
    def __init__(self, job: Job) -> None:
        self.job = job
        self._started = time.monotonic()
        self._outcome: Outcome | None = None
        self._lock = threading.Lock()
        self._stopped: tuple[Status, str] | None = None
        marker = f".{secrets.token_hex(8)}"
        filter_fd = os.memfd_create("filter")
        os.write(filter_fd, jail_filter())
        os.lseek(filter_fd, 0, os.SEEK_SET)
        block_read, block_write = os.pipe()
        info_read, info_write = os.pipe()
        try:
            line = command(job, marker, filter_fd, block_read, info_write)
            self._process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(filter_fd, block_read, info_write),
                start_new_session=True,
                env={},
            )
        finally:
            for number in (filter_fd, block_read, info_write):
                os.close(number)
        self._output, self._error = bytearray(), bytearray()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, into), daemon=True)
            for stream, into in ((self._process.stdout, self._output), (self._process.stderr, self._error))
        ]
        for reader in self._readers:
            reader.start()
        self._folder = files.open_work(info_read, marker)
        if self._folder is not None:
            files.write_all(self._folder, job.files)
            os.write(block_write, b"x")
        os.close(block_write)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def said(self) -> tuple[str, str]:
        return self._output.decode(errors="replace"), self._error.decode(errors="replace")

    def wait(self) -> Outcome:
        left = self._started + self.job.bounds.seconds - time.monotonic()
        try:
            self._process.wait(max(0.0, left))
        except subprocess.TimeoutExpired:
            self._stop("timeout", f"stopped after {self.job.bounds.seconds:g} s")
        return self._end()

    def kill(self) -> Outcome:
        self._stop("failed", "stopped")
        return self._end()

    def _stop(self, status: Status, why: str) -> None:
        if self._process.poll() is None:
            self._stopped = self._stopped or (status, why)
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _end(self) -> Outcome:
        with self._lock:
            if self._outcome is None:
                code = self._process.wait()
                seconds = time.monotonic() - self._started
                for reader in self._readers:
                    reader.join()
                stdout, stderr = self.said()
                status: Status = "ok" if code == 0 else "failed"
                if self._stopped is not None:
                    status, why = self._stopped
                    stderr += ("\n" if stderr and not stderr.endswith("\n") else "") + why
                collected = files.collect(self._folder, self.job.collect) if self._folder is not None else {}
                if self._folder is not None:
                    os.close(self._folder)
                self._outcome = Outcome(
                    status=status, exit_code=code, stdout=stdout, stderr=stderr, seconds=seconds, files=collected
                )
            return self._outcome

    def _read(self, stream: IO[bytes], into: bytearray) -> None:
        number = stream.fileno()
        while block := os.read(number, 1 << 16):
            room = self.job.bounds.output_bytes - len(into)
            into += block[:room]
            if len(block) > room:
                self._stop("failed", f"stopped: it wrote more than {self.job.bounds.output_bytes} bytes")
        stream.close()
