"""Starts a sandboxed Python with bubblewrap (https://github.com/containers/bubblewrap).

Promised of a program that runs inside:
    * no network: a network namespace of its own with nothing in it, and no socket may be opened;
    * nothing to read but the Python runtime, its shared libraries and the packages named in `PACKAGES`: neither home
      folders, /etc, /proc, /sys nor this repository exist there; all of it is read-only;
    * one writable place, /work, in memory, capped, emptied after every program;
    * an empty environment, a standard input that is empty, no terminal (a session of its own);
    * namespaces of its own: user, PID, IPC, UTS, network, mount, control group; no capability; no_new_privs;
    * the system calls of `seccomp.KERNEL` and `seccomp.PROGRAM` are refused: no processes, threads, other binaries,
      signals, tracing, mounting, namespaces, kernel keys, shared memory or bpf;
    * limits on processor time, address space, file size, open files, output and wall clock;
    * it dies with us: killing this process kills the sandbox.
Not promised:
    * protection against a bug in the kernel itself: use a virtual machine for that;
    * that a program cannot learn that it is in a sandbox, or what earlier programs in the same worker said: it is a
      copy of the worker's memory. It cannot change what they answered, nor the answers of later ones;
    * that timing or the processor's caches carry nothing out; or that a program costs the kernel no memory beyond its
      limits for as long as its processor time lasts (a hundred thousand empty files, say);
    * that root is mapped to somebody else: started by root, programs run without any capability, but as root's user.
There is no second, unprotected way to run a program: without bubblewrap there is a SandboxError.
"""

import os
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from homespun.errors import SandboxError
from homespun.sandbox import arithmetic, worker
from homespun.sandbox.base import Limits
from homespun.sandbox.seccomp import program_filter, worker_filter

PACKAGES = ("dateutil", "sympy", "mpmath")
"""Import names of the packages that a program can use besides the standard library."""

OURS = {"worker": worker, "arithmetic": arithmetic}
"""Our own code inside."""

NAMESPACES = ("user", "ipc", "pid", "net", "uts", "cgroup-try")
INSTALL = "apt install bubblewrap"


def binary() -> str:
    """Path of bwrap.

    Raises:
        SandboxError: it is not installed.
    """
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError("bubblewrap is not installed, so no program can be run", "sandbox", INSTALL)
    return found


def _system_libraries() -> Iterator[Path]:
    multiarch = sysconfig.get_config_var("MULTIARCH")
    wanted = ["/lib64", f"/lib/{multiarch}", f"/usr/lib/{multiarch}"] if multiarch else ["/lib64", "/usr/lib64", "/lib"]
    yield from (Path(path) for path in wanted if Path(path).is_dir())
    yield from Path("/lib").glob("ld-linux-*.so*")  # the loader, where it is not in /lib64 (64-bit ARM)


@cache
def mounts() -> tuple[tuple[str, str], ...]:
    """(place outside, place inside) of everything that a program can read.

    Raises:
        SandboxError: a package of `PACKAGES` is not installed.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    pairs = [(Path(sys.executable).resolve(), f"/python/bin/{version}")]
    for kind in ("stdlib", "platstdlib"):
        folder = Path(sysconfig.get_path(kind, vars={"base": sys.base_prefix, "platbase": sys.base_exec_prefix}))
        pairs.append((folder, f"/python/{folder.parent.name}/{version}"))
    library = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("INSTSONAME"))
    if library.suffix != ".a" and library.is_file():
        pairs.append((library, f"/python/lib/{library.name}"))
    pairs += [(path, str(path)) for path in _system_libraries()]
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise SandboxError(f"package {name!r} is not installed", "sandbox", "make, or pip install homespun")
        pairs.append((Path(spec.origin).parent, f"/packages/{name}"))
    pairs += [(Path(str(module.__file__)), f"/sandbox/{name}.py") for name, module in OURS.items()]
    return tuple(dict.fromkeys((str(outside), inside) for outside, inside in pairs))


def command(limits: Limits, filter_fd: int) -> list[str]:
    """The command line of bwrap for one sandbox."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    line = [binary(), *(f"--unshare-{name}" for name in NAMESPACES), "--uid", "65534", "--gid", "65534"]
    line += ["--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox"]
    line += ["--clearenv", "--setenv", "PYTHONHASHSEED", "0", "--setenv", "LD_LIBRARY_PATH", "/python/lib"]
    for outside, inside in mounts():
        line += ["--ro-bind", outside, inside]
        if inside.startswith("/python/lib") and Path(outside, "site-packages").is_dir():
            line += ["--tmpfs", f"{inside}/site-packages", "--remount-ro", f"{inside}/site-packages"]
    line += ["--perms", "0755", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null"]
    line += ["--size", str(limits.file_mb << 20), "--tmpfs", worker.WORK, "--chdir", "/", "--remount-ro", "/"]
    return [*line, "--seccomp", str(filter_fd), "--", f"/python/bin/{version}", "-S", "-s", "/sandbox/worker.py"]


def _memory_file(content: bytes) -> int:
    number = os.memfd_create("filter")
    os.write(number, content)
    os.lseek(number, 0, os.SEEK_SET)
    return number


def start(limits: Limits) -> tuple["subprocess.Popen[bytes]", IO[bytes]]:
    """Starts a worker in a sandbox of its own; returns it and the file that collects its error output.

    The worker's standard input and output are pipes; the filter for programs has been written to the former, so
    that the first thing to read from the latter is the worker's greeting.

    Raises:
        SandboxError: bubblewrap or libseccomp is missing or cannot be started.
    """
    code = program_filter()
    filter_fd = _memory_file(worker_filter())
    try:
        line = command(limits, filter_fd)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=(filter_fd,),
            start_new_session=True,
            bufsize=0,
            env={},
        )
    finally:
        os.close(filter_fd)
    try:
        assert process.stdin is not None
        process.stdin.write(struct.pack("<I", len(code)) + code)
    except BrokenPipeError:
        pass  # it has ended already: whoever reads the greeting finds out, and why
    return process, errors
