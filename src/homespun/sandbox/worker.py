"""The process inside the sandbox: reads programs from its input, forks a child for each, writes what happened.

It runs as process 1 of its own PID namespace on nothing but the standard library, and is the only trusted code there.
The kernel delivers no signal to a process 1 that has no handler for it, so no program can kill it; `Cell.enter` takes
from a child all that could reach it otherwise: its file descriptors, its memory (no ptrace, no /proc), its limits.
A program's result travels through a pipe made for that program alone, so a result can be forged for oneself only.
What a child leaves behind (processes, files) is removed before the next one starts; if it cannot be, process 1 leaves
and the pool starts a fresh sandbox.

Determinism: the clock stands at `CLOCK`, random is seeded with 0, hashes with PYTHONHASHSEED=0, addresses in reprs
are written as 0x0. `os.urandom` stays random.
"""

import ctypes
import gc
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import struct
import sys
import time
import types
import warnings

if __name__ == "__main__":  # inside the sandbox this is a script beside that file, and there is no package
    from arithmetic import evaluate  # type: ignore[import-not-found]
else:
    from homespun.sandbox.arithmetic import evaluate

CLOCK = 1672531200.0
"""2023-01-01T00:00:00Z: what every program believes the time to be."""
WORK = "/work"
VALUE_CHARACTERS = 4096
RESULT = 100
"""Descriptor of a child's own result pipe."""
PRELOAD = (
    *("math", "cmath", "datetime", "calendar", "decimal", "fractions", "itertools", "functools", "collections"),
    *("statistics", "re", "string", "operator", "json", "heapq", "bisect", "copy", "textwrap", "typing"),
    *("dataclasses", "enum", "numbers", "dateutil.relativedelta", "dateutil.parser", "dateutil.rrule"),
)
SYMBOLIC = "sympy"
PR_SET_DUMPABLE, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 4, 22, 2
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class _Filter(ctypes.Structure):
    """`struct sock_fprog` of seccomp(2)."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def freeze_clock() -> None:
    """Stops the clock that programs read: time.time and, through a datetime in pure Python, now() and today()."""
    for name in ("_datetime", "_zoneinfo"):  # the latter is written in C on top of the former
        sys.modules[name] = None  # type: ignore[assignment]
    real_gmtime, real_strftime = time.gmtime, time.strftime
    time.time = lambda: CLOCK
    time.time_ns = lambda: int(CLOCK) * 10**9
    time.gmtime = lambda seconds=None: real_gmtime(CLOCK if seconds is None else seconds)  # type: ignore[misc]
    time.localtime = time.gmtime  # type: ignore[assignment]
    time.strftime = lambda form, when=None: real_strftime(form, time.gmtime() if when is None else when)  # type: ignore[misc]


def run_source(source: str, result: str | None, prelude: str = "") -> bytes:
    """Executes a program in this process; one letter (V value, N none, E error, M memory) and a text in UTF-8."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    try:
        try:
            exec(prelude, module.__dict__)
            exec(compile(source, "<program>", "exec", dont_inherit=True), module.__dict__)
        except SystemExit as stop:
            if stop.code not in (None, 0):
                return b"E" + f"SystemExit: {stop.code!s:.200}".encode(errors="replace")
        if result is None or result not in module.__dict__:
            return b"N"
        return b"V" + _ADDRESS.sub(" at 0x0", str(module.__dict__[result])[:VALUE_CHARACTERS]).encode(errors="replace")
    except MemoryError:
        return b"M"
    except BaseException as error:
        return b"E" + _describe(error)


def _describe(error: BaseException) -> bytes:
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<program>":
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        text = " ".join(str(error).split())[:300]
    except BaseException:  # the program's own exception class can misbehave
        text = "its message cannot be read"
    where = f" (line {line})" if line else ""
    return _ADDRESS.sub(" at 0x0", f"{type(error).__name__}: {text}{where}").encode(errors="replace")


class Cell:
    """What every child needs, made once so that a fork copies it ready: filter, streams, an empty input."""

    def __init__(self, code: bytes) -> None:
        self._code = (ctypes.c_char * len(code)).from_buffer_copy(code)
        self._filter = _Filter(len(code) // 8, ctypes.addressof(self._code))
        self._pointer = ctypes.byref(self._filter)
        self._prctl = ctypes.CDLL(None).prctl
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        sys.stdin = sys.__stdin__ = os.fdopen(0, "r", closefd=False)
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = os.fdopen(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        os.chdir(WORK)

    def enter(self, limits: dict[str, int], pipes: tuple[int, int, int]) -> None:
        """In the child: output to the pipes, everything else closed, limits and filter on; there is no way back."""
        for want, have in zip((1, 2, RESULT), pipes, strict=True):
            os.dup2(have, want)
        os.closerange(3, RESULT)
        os.closerange(RESULT + 1, 256)
        random.seed(0)  # here, because a fork seeds it afresh
        for kind, soft, hard in (
            (resource.RLIMIT_CPU, limits["cpu_seconds"], limits["cpu_seconds"] + 1),
            (resource.RLIMIT_AS, limits["memory"], limits["memory"]),
            (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
            (resource.RLIMIT_NOFILE, 128, 128),
            (resource.RLIMIT_NPROC, 0, 0),
            (resource.RLIMIT_CORE, 0, 0),
            (resource.RLIMIT_MEMLOCK, 0, 0),
        ):
            resource.setrlimit(kind, (soft, hard))
        if self._prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) or self._prctl(
            PR_SET_SECCOMP, SECCOMP_MODE_FILTER, self._pointer, 0, 0
        ):
            os._exit(120)


def _child(request: dict[str, object], cell: Cell, pipes: tuple[int, int, int]) -> None:
    """Never returns: becomes the program, reports through its own pipe, leaves."""
    cell.enter(request["limits"], pipes)  # type: ignore[arg-type]
    answer = run_source(str(request["source"]), request["result"], str(request["prelude"]))  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # the program may have closed or replaced it
            continue
    while answer:
        answer = answer[os.write(RESULT, answer) :]
    os._exit(0)


def work_out(request: dict[str, object]) -> dict[str, object] | None:
    """What `run_program` would reply, where that can be told without a process; see `arithmetic`."""
    started = time.monotonic()
    values = evaluate(str(request["source"]))
    if values is None:
        return None
    value = str(values[request["result"]]) if request["result"] in values else None  # type: ignore[index]
    seconds = round(time.monotonic() - started, 6)
    return {"status": "ok", "exit_code": 0, "stdout": "", "stderr": "", "value": value, "seconds": seconds}


def run_program(request: dict[str, object], cell: Cell) -> dict[str, object]:
    """Forks the child of one program, watches it to its end, and clears up after it."""
    started = time.monotonic()
    limits: dict[str, int] = request["limits"]  # type: ignore[assignment]
    pipes = [os.pipe() for _ in range(3)]
    pid = os.fork()
    if pid == 0:
        try:
            _child(request, cell, tuple(write for _, write in pipes))  # type: ignore[arg-type]
        finally:
            os._exit(121)
    for _, write in pipes:
        os.close(write)
    reads = [read for read, _ in pipes]
    caps = [limits["output_bytes"], limits["output_bytes"], 8 * VALUE_CHARACTERS]
    kept, stopped = _watch(pid, reads, caps, started + limits["milliseconds"] / 1000)
    _kill_all()
    _, state, usage = os.wait4(pid, 0)
    _reap()
    for number in reads:
        os.close(number)
    reply = _judge(kept, stopped, os.waitstatus_to_exitcode(state), usage.ru_utime + usage.ru_stime, limits)
    reply["seconds"] = round(time.monotonic() - started, 6)
    return reply


def _watch(pid: int, reads: list[int], caps: list[int], deadline: float) -> tuple[list[bytearray], str | None]:
    """Reads the three pipes until the child ends; says why it was stopped, if it was."""
    kept = [bytearray() for _ in reads]
    ended = os.pidfd_open(pid)
    poller = select.poll()
    for number in (ended, *reads):
        os.set_blocking(number, False)
        poller.register(number, select.POLLIN)
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return kept, "timeout"
            ready = {number for number, _ in poller.poll(left * 1000)}
            for buffer, number, cap in zip(kept, reads, caps, strict=True):
                if number in ready or ended in ready:
                    over, open_ = _drain(number, buffer, cap)
                    if over:
                        return kept, "output"
                    if not open_ and number in ready:
                        poller.unregister(number)
            if ended in ready:
                return kept, None
    finally:
        os.close(ended)


def _drain(number: int, buffer: bytearray, cap: int) -> tuple[bool, bool]:
    """Reads what is there; whether the cap was passed, and whether more may come."""
    while True:
        try:
            block = os.read(number, 65536)
        except BlockingIOError:
            return False, True
        if not block:
            return False, False
        buffer += block
        if len(buffer) > cap:
            del buffer[cap:]
            return True, True


def _judge(
    kept: list[bytearray], stopped: str | None, exit_code: int, cpu: float, limits: dict[str, int]
) -> dict[str, object]:
    stdout, stderr = (bytes(part).decode(errors="replace") for part in kept[:2])
    letter, text = bytes(kept[2][:1]), bytes(kept[2][1:]).decode(errors="replace")
    value: str | None = None
    if stopped == "timeout" or exit_code == -signal.SIGXCPU or (exit_code < 0 and cpu >= limits["cpu_seconds"]):
        status, note = "timeout", "the time limit was reached"
    elif stopped == "output":
        status, note = "failed", f"more output than {limits['output_bytes']} bytes"
    elif exit_code < 0:
        status, note = "failed", f"killed by signal {-exit_code}"
    elif letter == b"M":
        status, note = "memory", "MemoryError"
    elif letter == b"E":
        status, note, exit_code = "failed", text, exit_code or 1
    elif letter in (b"V", b"N"):
        status, note = "ok", ""
        lines = stdout.strip().splitlines()
        value = text if letter == b"V" else _ADDRESS.sub(" at 0x0", lines[-1][:VALUE_CHARACTERS]) if lines else None
    else:
        status, note, exit_code = "failed", f"ended without a result, exit code {exit_code}", exit_code or 1
    error = f"{stderr.rstrip()}\n{note}".strip() if note else stderr
    return {"status": status, "exit_code": exit_code, "stdout": stdout, "stderr": error, "value": value}


def _kill_all() -> None:
    if os.getpid() != 1:  # outside a PID namespace of our own this would be everybody
        raise RuntimeError("this is not process 1 of a sandbox")
    try:
        os.kill(-1, signal.SIGKILL)  # everything in this PID namespace but ourselves
    except ProcessLookupError:
        return


def _reap() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _sweep() -> bool:
    """Empties the work folder; whether that was possible."""
    try:
        for entry in os.scandir(WORK):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    except (OSError, RecursionError):
        return False
    return True


def _receive(stream: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        block = os.read(stream, count - len(data))
        if not block:
            os._exit(0)
        data += block
    return data


def _send(stream: int, reply: dict[str, object]) -> None:
    body = json.dumps(reply).encode()
    body = struct.pack("<I", len(body)) + body
    while body:
        body = body[os.write(stream, body) :]


def main() -> None:
    """Serves programs until the input ends. The filter for programs is the first thing that is read."""
    if os.getpid() != 1:
        sys.exit("this is not process 1 of a sandbox")
    orders, replies = os.dup(0), os.dup(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    sys.path[:] = [path for path in sys.path if path.startswith("/python/")] + ["/packages"]
    os.environ.clear()
    os.umask(0o077)
    freeze_clock()
    missing: list[str] = []
    for name in PRELOAD:
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    cell = Cell(_receive(orders, struct.unpack("<I", _receive(orders, 4))[0]))
    gc.collect()
    gc.freeze()
    _send(replies, {"ready": sys.version.split()[0], "missing": missing})
    while True:
        request = json.loads(_receive(orders, struct.unpack("<I", _receive(orders, 4))[0]))
        if "preload" in request:
            __import__(request["preload"])
            gc.collect()
            gc.freeze()
            continue
        reply = work_out(request)
        if reply is not None:
            _send(replies, reply)
            continue
        reply = run_program(request, cell)
        clean = _sweep()
        _send(replies, reply)
        if not clean:
            os._exit(1)


if __name__ == "__main__":
    main()
