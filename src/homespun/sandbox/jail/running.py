"""A job that runs under bwrap: one thread of ours starts it, hears it, ends it and clears up after it."""

import atexit
import contextlib
import os
import secrets
import select
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import ExitStack

from homespun.errors import SandboxError
from homespun.sandbox.jail import files, groups, limits, users
from homespun.sandbox.jail.plan import Handed, Plan, Planner, listed
from homespun.sandbox.jail.types import Job, Outcome, Status
from homespun.sandbox.jail.verdict import Stopped, exit_code, status

ALONE_SECONDS = 4 * 3600.0
"""A job that nobody waits for (an app that is played with) is ended after this long, or after its own wall clock if
that is longer."""
END_SECONDS = 20.0
"""What the kernel may take to end all processes of a jail."""
LOOK_SECONDS = 0.25
BLOCK = 1 << 16
_JOBS: "weakref.WeakSet[JailedJob]" = weakref.WeakSet()
"""All jobs of this process, to be ended with it: the kernel would see to that, but not to their groups."""


class JailedJob:
    """A job under bwrap; the driver says how its command line is made.

    The thread that starts a job must live as long as the job, since the kernel kills the jail when it ends: so it is
    one of ours, not the caller's.
    """

    def __init__(self, job: Job, bwrap: str, planner: Planner) -> None:
        self.job = job
        self._bwrap, self._planner = bwrap, planner
        self._started = time.monotonic()
        self._output, self._error = bytearray(), bytearray()
        self._stopped: Stopped | None = None
        self._outcome = Outcome(status="unavailable")
        self._failure: Exception | None = None
        self._first: int | None = None  # pidfd of the jail's first process
        self._lock = threading.Lock()  # over _stopped, _first
        self._ready, self._done = threading.Event(), threading.Event()
        self._owner = os.getpid()
        _JOBS.add(self)
        threading.Thread(target=self._live, name="jail", daemon=True).start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def alive(self) -> bool:
        """Whether its command still runs."""
        return not self._done.is_set()

    @property
    def belongs_here(self) -> bool:
        """Whether this process started it, not the one that it was forked from."""
        return self._owner == os.getpid()

    def said(self) -> tuple[str, str]:
        """Standard output and error so far."""
        return bytes(self._output).decode(errors="replace"), bytes(self._error).decode(errors="replace")

    def wait(self) -> Outcome:
        """Blocks until it has ended or met its wall clock; everything of it is gone then."""
        if not self._done.wait(max(0.0, self._started + self.job.bounds.seconds - time.monotonic())):
            self.stop("timeout", f"stopped after {self.job.bounds.seconds:g} s")
        self._done.wait()
        return self._outcome

    def kill(self) -> Outcome:
        """Ends it now; everything of it is gone then."""
        self.stop("failed", "stopped")
        self._done.wait()
        return self._outcome

    def _live(self) -> None:
        try:
            with ExitStack() as held:
                self._start_and_watch(held)
        except Exception as error:  # told to whoever waits in the constructor; never raised for what a program does
            known = isinstance(error, SandboxError)
            self._failure = error if known else SandboxError(f"no jail could be made: {error}", "sandbox")
            self._outcome = Outcome(status="unavailable", stderr=str(error))
        finally:
            self._done.set()
            self._ready.set()

    def _start_and_watch(self, held: ExitStack) -> None:
        listed((*self.job.argv, *self.job.variables, *self.job.variables.values()))
        user = held.enter_context(users.taken())
        handed = Handed()
        held.callback(handed.close)
        plan = self._planner(self.job, user, handed)
        group = groups.make(plan.group, time=plan.all_seconds is not None)
        if group is not None:
            held.callback(group.remove)
        marker = f".{secrets.token_hex(8)}"
        info, told = os.pipe()
        held.callback(os.close, info)
        blocked, let_go = os.pipe()
        go = held.enter_context(os.fdopen(let_go, "wb", buffering=0))
        handed.numbers += [blocked, told]
        process = self._spawn(plan, group, handed, _own(marker, blocked, told))
        assert process.stdout is not None
        assert process.stderr is not None
        held.enter_context(process.stdout)
        held.enter_context(process.stderr)
        monitor = os.pidfd_open(process.pid)
        held.callback(os.close, monitor)
        held.callback(self._clear, process)
        folder = self._prepare(held, info, user, plan, group, marker)
        if folder is not None:
            go.write(b"x")
        else:
            self._clear(process)  # it is not to run its command when our end of the pipe closes
        go.close()
        self._ready.set()
        self._hear(process.stdout.fileno(), process.stderr.fileno(), monitor, _Clock(self, plan, group))
        code = exit_code(process.wait())
        self._clear(process)
        self._hear(process.stdout.fileno(), process.stderr.fileno(), None, None)
        started = folder is not None and not (plan.broken and plan.broken.match(self.said()[1]))
        self._outcome = self._ended(code, folder if started else None, group)

    def _spawn(
        self, plan: Plan, group: groups.Group | None, handed: Handed, own: Sequence[str]
    ) -> "subprocess.Popen[bytes]":
        # from a file, since the command line of the first process can be read inside
        number = handed.content(listed((*own, *plan.arguments)))
        if group is not None:
            group.enter()
        try:
            return subprocess.Popen(
                [self._bwrap, "--args", number, "--", *plan.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=handed.numbers,
                start_new_session=True,
                env={},
                bufsize=0,
            )
        finally:
            if group is not None:
                group.leave()
            handed.close()

    def _prepare(
        self, held: ExitStack, info: int, user: int, plan: Plan, group: groups.Group | None, marker: str
    ) -> int | None:
        """Bounds the jail while it is being made, then writes the job's files; the descriptor of /work, or None."""
        pid = files.told_pid(info)
        if pid is None:
            return None
        try:
            first = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        with self._lock:
            self._first = first
        try:
            if group is not None:
                group.add(pid)
            if plan.each is not None:
                limits.limit(pid, plan.each, memory=group is None or not group.limits_memory)
        except ProcessLookupError:
            return None
        folder = files.open_work(pid, marker, plan.work)
        if folder is not None:
            held.callback(os.close, folder)
            files.write_all(folder, self.job.files, user if os.geteuid() == 0 else None)
        return folder

    def _hear(self, output: int, error: int, monitor: int | None, clock: "_Clock | None") -> None:
        """Reads what it writes, until ``monitor`` has ended, or without one until nobody is left who could write."""
        poll = select.poll()
        into = {output: self._output, error: self._error}
        for number in (*into, *(() if monitor is None else (monitor,))):
            poll.register(number, select.POLLIN)
        open_ends = set(into)
        while open_ends or monitor is not None:
            for number, _ in poll.poll(clock.left() * 1000 if clock is not None else None):
                if number == monitor:
                    return
                block = os.read(number, BLOCK)
                if not block:
                    poll.unregister(number)
                    open_ends.discard(number)
                self._keep(into[number], block)
            if clock is not None:
                clock.look()

    def _keep(self, into: bytearray, block: bytes) -> None:
        room = self.job.bounds.output_bytes - len(into)
        into += block[: max(0, room)]
        if len(block) > room:
            self.stop("failed", f"stopped: it wrote more than {self.job.bounds.output_bytes} bytes")

    def stop(self, status: Status, why: str) -> None:
        """Ends it now, unless it has ended, and does not wait; ``status`` and ``why`` are what its outcome says."""
        with self._lock:
            if self._done.is_set() or self._first is None:
                return
            self._stopped = self._stopped or Stopped(status=status, why=why)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)

    def _clear(self, process: "subprocess.Popen[bytes]") -> None:
        """Kills the jail's first process, and with it all others, and waits until the kernel says that none is left."""
        with self._lock:
            first, self._first = self._first, None
        if first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(first, signal.SIGKILL)
            ended = select.poll()
            ended.register(first, select.POLLIN)
            gone = ended.poll(END_SECONDS * 1000)
            os.close(first)
            if not gone:
                raise SandboxError("a job cannot be ended: the kernel holds one of its processes", "sandbox")
        if process.poll() is None:
            process.kill()
            process.wait()

    def _ended(self, code: int, folder: int | None, group: groups.Group | None) -> Outcome:
        seconds = time.monotonic() - self._started
        stdout, stderr = self.said()
        if folder is None:
            return Outcome(status="unavailable", stdout=stdout, stderr=stderr, seconds=seconds)
        stopped = self._stopped
        if stopped is None:
            how: Status = status(code, stderr, ran_out=group is not None and group.ran_out())
        else:
            how = stopped.status
            stderr += ("\n" if stderr and not stderr.endswith("\n") else "") + stopped.why
        return Outcome(
            status=how,
            exit_code=code,
            stdout=stdout,
            stderr=stderr,
            seconds=seconds,
            files=files.collect(folder, self.job.collect),
            peak_mb=group.peak_mb() if group is not None else None,
        )


@atexit.register
def _end_all() -> None:
    ours = [job for job in _JOBS if job.belongs_here]
    for job in ours:
        job.stop("failed", "stopped with the process that started it")
    for job in ours:
        job.kill()


class _Clock:
    """Ends a job that nobody waits for any more, or that has used more processor time than it may."""

    def __init__(self, job: JailedJob, plan: Plan, group: groups.Group | None) -> None:
        self._job, self._group, self._processor = job, group, plan.all_seconds
        self._last = time.monotonic() + max(job.job.bounds.seconds, ALONE_SECONDS)

    def left(self) -> float:
        """Seconds until the next look."""
        left = max(LOOK_SECONDS, self._last - time.monotonic())
        return left if self._processor is None else LOOK_SECONDS

    def look(self) -> None:
        """Ends the job if its time is up."""
        if time.monotonic() > self._last:
            self._job.stop("timeout", "stopped: nobody waited for it")
        elif self._processor is not None and self._group is not None and self._group.used_seconds() > self._processor:
            self._job.stop("timeout", f"stopped after {self._processor:g} s of processor time")
        else:
            return
        self._last += END_SECONDS


def _own(marker: str, blocked: int, told: int) -> Sequence[str]:
    """Arguments by which we know when the jail is ready, and hold its command back until then."""
    return ("--perms", "0555", "--dir", f"/{marker}", "--block-fd", str(blocked), "--info-fd", str(told))
