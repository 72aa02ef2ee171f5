"""A pool of warm sandboxes: each holds a Python that forks a child per program, so that a program costs a millisecond.

Programs of equal text run once. A worker that dies is replaced; the program that it was on gets a second chance in a
fresh sandbox, then an Execution with ``status='unavailable'`` and the reason: no row is ever missing.
"""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from homespun.errors import ConfigError
from homespun.records import Execution
from homespun.sandbox.base import Limits, Program
from homespun.sandbox.channel import Channel, Reply

ATTEMPTS = 2
SYMBOLIC = ("sympy", "Symbol", "solve")
"""A program with one of these words runs in a worker of its own kind, which has SymPy loaded (0.5 s, once)."""

Key = tuple[str, str, str | None]


class Pool:
    """Sandbox of warm workers; use it as a context manager, or close it.

    Args:
        workers: How many programs run at the same time; default: one per core.
        limits: What each program may use.

    Raises:
        ConfigError: fewer than one worker.
    """

    def __init__(self, workers: int | None = None, limits: Limits | None = None) -> None:
        self.workers = len(os.sched_getaffinity(0)) if workers is None else workers
        if self.workers < 1:
            raise ConfigError(f"{workers} workers cannot run anything", "workers", "1 or more")
        self.limits = limits or Limits()
        self._idle: dict[bool, list[Channel]] = {False: [], True: []}
        self._lock = threading.Lock()

    def run(self, program: Program) -> Execution:
        """Runs one program; never raises for what it does.

        Raises:
            SandboxError: no sandbox can be had.
        """
        return self.run_many([program])[0]

    def run_many(
        self, programs: Sequence[Program], progress: Callable[[int, int], None] | None = None
    ) -> list[Execution]:
        """Runs programs side by side, those of equal text once, and returns their Executions in input order.

        Args:
            programs: Any number of programs.
            progress: Called with (programs finished, programs in all); programs of equal text count once.

        Raises:
            SandboxError: no sandbox can be had.
        """
        wanted = {_key(item): item for item in reversed(programs) if self._refusal(item) is None}
        with self._lock:
            replies = _Batch(self, wanted, progress).run() if wanted else {}
        return [self._execution(item, replies.get(_key(item))) for item in programs]

    def close(self) -> None:
        """Kills all idle workers, after waiting for a batch that runs in another thread; new ones start on need."""
        with self._lock:
            for channels in self._idle.values():
                while channels:
                    channels.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def take(self, symbolic: bool) -> Channel:
        """An idle worker of a kind, or a new one."""
        channels = self._idle[symbolic]
        return channels.pop() if channels else Channel(self.limits, "sympy" if symbolic else None)

    def give_back(self, channel: Channel, symbolic: bool) -> None:
        """Takes a worker back that has finished its program."""
        self._idle[symbolic].append(channel)

    def _refusal(self, program: Program) -> str | None:
        if program.language != "python":
            return f"{program.language} is not run here, only python"
        if len(program.source) > self.limits.source_bytes:
            return f"the source is longer than {self.limits.source_bytes} bytes"
        return None

    def _execution(self, program: Program, reply: Reply | None) -> Execution:
        if reply is None:
            why = self._refusal(program) or "the program was not run"
            return Execution(sample_id=program.id, language=program.language, status="unavailable", stderr=why)
        return Execution(sample_id=program.id, language=program.language, **reply)


def _key(program: Program) -> Key:
    return program.prelude, program.source, program.result


class _Batch:
    """One call of `Pool.run_many`: what waits, what runs where, what came back."""

    def __init__(self, pool: Pool, wanted: dict[Key, Program], progress: Callable[[int, int], None] | None) -> None:
        self.pool, self.total, self.progress = pool, len(wanted), progress
        self.waiting: dict[bool, deque[tuple[Key, Program, int]]] = {False: deque(), True: deque()}
        for key, program in reversed(wanted.items()):
            self.waiting[any(word in program.source for word in SYMBOLIC)].append((key, program, 1))
        self.busy: dict[Channel, tuple[bool, Key, Program, int]] = {}
        self.replies: dict[Key, Reply] = {}

    def run(self) -> dict[Key, Reply]:
        """Until every program has its reply. Leaving early, by an interrupt or an error, kills the busy workers."""
        try:
            while len(self.replies) < self.total:
                self._assign()
                self._collect()
        finally:
            for channel in self.busy:
                channel.close()
        return self.replies

    def _assign(self) -> None:
        for symbolic in (False, True):
            while self.waiting[symbolic] and len(self.busy) < self.pool.workers:
                channel = self.pool.take(symbolic)
                key, program, attempt = self.waiting[symbolic].popleft()
                self.busy[channel] = (symbolic, key, program, attempt)
                try:
                    channel.send(program)
                except BrokenPipeError:
                    self._lost(channel, "the sandbox had ended")

    def _collect(self) -> None:
        if not self.busy:
            return
        left = min(channel.deadline for channel in self.busy) - time.monotonic()
        poller = select.poll()
        for channel in self.busy:
            poller.register(channel, select.POLLIN)
        ready = {number for number, _ in poller.poll(max(0.0, left) * 1000)}
        for channel in [item for item in self.busy if item.fileno() in ready]:
            try:
                reply = channel.receive()
            except (EOFError, ConnectionError):
                self._lost(channel, "the sandbox ended in the middle of the program")
                continue
            if reply is not None:
                symbolic, key, _, _ = self.busy.pop(channel)
                self.pool.give_back(channel, symbolic)
                self._done(key, reply)
        for channel in [item for item in self.busy if item.deadline < time.monotonic()]:
            self._lost(channel, "the sandbox did not answer in time")

    def _lost(self, channel: Channel, why: str) -> None:
        symbolic, key, program, attempt = self.busy.pop(channel)
        channel.close()
        if attempt < ATTEMPTS:
            self.waiting[symbolic].append((key, program, attempt + 1))
        else:
            self._done(key, {"status": "unavailable", "stderr": f"{why}, {attempt} times"})

    def _done(self, key: Key, reply: Reply) -> None:
        self.replies[key] = reply
        if self.progress is not None:
            self.progress(len(self.replies), self.total)
