"""The command line of bubblewrap for a job, in parts."""

import os
import shutil
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path

from homespun.errors import SandboxError
from homespun.sandbox.jail import system
from homespun.sandbox.jail.types import WORK, Gate, Job

SETPRIV = "/usr/bin/setpriv"
SHARED_MEMORY = "/dev/shm"


@cache
def binary() -> str:
    """Path of bwrap.

    Raises:
        SandboxError: it is not installed, or setpriv is not.
    """
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError("bubblewrap is not installed, so no program can be run", "sandbox", "apt install bubblewrap")
    if not Path(SETPRIV).exists():
        raise SandboxError("setpriv is not installed, so no program can be run", "sandbox", "apt install util-linux")
    return found


def namespaces(user: int) -> list[str]:
    """Arguments for what is the job's own: namespaces, session, host name, an empty environment, no capability.

    Started by root, bwrap keeps the three capabilities that ``unprivileged`` gives up; started by a user, it makes a
    user namespace in which that user is ``user``.
    """
    line = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    line += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv", "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            line += ["--cap-add", capability]
    else:
        line += ["--unshare-user", "--uid", str(user), "--gid", str(user)]
    return line


def unprivileged(user: int) -> list[str]:
    """What stands in front of the job's command: root becomes ``user`` and can never be more again."""
    if os.geteuid() != 0:
        return []
    line = [SETPRIV, f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all"]
    return [*line, "--inh-caps=-all", "--no-new-privs", "--"]


Content = Callable[[bytes], str]
"""From what bwrap is to read to the number of a descriptor that it reads from."""


def mounted(job: Job, user: int, content: Content) -> list[str]:
    """Arguments for what the job sees: the system, its own folders and variables; it starts in /work.

    Raises:
        SandboxError: the user of the job cannot reach its gate.
    """
    line: list[str] = []
    for name, value in variables(job).items():
        line += ["--setenv", name, value]
    line += [*system.mounts(), *copied(user, content), "--proc", "/proc", *system.masks(), "--dev", "/dev"]
    line += own_places(job, user)
    return [*line, "--chdir", WORK, "--remount-ro", "/"]


def copied(user: int, content: Content, top: str = "") -> list[str]:
    """Arguments for files that the job gets as copies, below ``top``."""
    line: list[str] = []
    for place, text in system.copies(user, top):
        line += ["--perms", "0444", "--file", content(text), place]
    return line


def variables(job: Job) -> dict[str, str]:
    """The environment of a job."""
    return {**system.VARIABLES, **job.variables}


def own_places(job: Job, user: int, top: str = "") -> list[str]:
    """Arguments for what is the job's own: places to write, its folders, its gate; all below ``top``.

    Raises:
        SandboxError: the user of the job cannot reach its gate.
    """
    line: list[str] = []
    size = str(job.bounds.disk_mb << 20)
    for place in (WORK, "/tmp", SHARED_MEMORY):
        line += ["--perms", "1777", "--size", size, "--tmpfs", top + place]
    for bind in job.binds:
        line += ["--ro-bind", str(bind.outside), top + bind.inside]
    if job.gate is not None:
        _check_gate(job.gate)
        line += ["--ro-bind", str(job.gate.socket), top + system.GATE]
    if job.output is not None:
        if os.geteuid() == 0:
            os.chown(job.output, user, user)
        line += ["--bind", str(job.output), f"{top}/out"]
    return line


def _check_gate(gate: Gate) -> None:
    try:
        mode = os.stat(gate.socket).st_mode
    except OSError as error:
        raise SandboxError(f"no gate: {error.strerror}", str(gate.socket)) from None
    if os.geteuid() == 0 and not mode & stat.S_IWOTH:
        raise SandboxError(
            "the job's user may not connect to its gate", str(gate.socket), "mode 0666, in a folder of mode 0700"
        )
