"""Starts a job under gVisor (https://gvisor.dev): its system calls are served by a kernel in user space.

runsc runs inside bubblewrap's namespaces, so there are two walls. The inner one: the job speaks to gVisor's kernel
(the sentry), which itself may make few system calls of the host and holds no file that the job may not see. The outer
one: namespaces of its own, in which runsc sees the job's root below /jail and little else; and the same start, kill,
wall clock, files and control group as in ``bubblewrap.py``.

Promised beyond what ``bubblewrap.py`` promises: a program that finds a bug in Linux' system calls finds gVisor
between itself and them; /proc shows gVisor's kernel and none of the host's, mounts and paths included.
Not promised: speed (ten times slower to start, system calls many times slower); that everything runs (gVisor knows
fewer system calls); a jail for a browser; processor time of each process apart (``cpu_seconds`` bounds all of the job
together here); an error for the program that starts too many processes (its group ends it, as failed). Where memory
cannot be bounded by a control group, or we are not root, there is no such jail, and it says so.
"""

import json
import os
import re
import shutil
from dataclasses import replace
from functools import cache

from homespun.errors import SandboxError
from homespun.sandbox.jail import command, groups, system
from homespun.sandbox.jail.plan import Handed, Plan
from homespun.sandbox.jail.running import JailedJob
from homespun.sandbox.jail.types import WORK, Bounds, Job

TOP = "/jail"
"""Where the job's root is in the outer jail."""
PLATFORM = "ptrace"
"""How the sentry catches system calls; the one that needs neither /dev/kvm nor a newer gVisor than Debian's."""
CAPABILITIES = ("SYS_ADMIN", "SYS_CHROOT", "SETUID", "SETGID", "SETPCAP", "DAC_OVERRIDE", "CHOWN", "FOWNER", "FSETID")
"""What runsc needs to make its own, inner jail; the sentry gives them up before it runs the job."""
SENTRY_MB = 64
"""What gVisor's own processes may use beside the job."""
SENTRY_PROCESSES = 128
BROKEN = re.compile(r"running container: creating container:")
"""How runsc says that it could not make its jail."""
STATE = "/run/runsc"


class GVisor:
    """A kernel of its own for every job.

    Raises:
        SandboxError: runsc, bubblewrap or setpriv is not installed, we are not root, or we may make no control group.
    """

    name = "gvisor"

    def __init__(self) -> None:
        self._binary = command.binary()
        binary()
        if os.geteuid() != 0:
            raise SandboxError("gVisor needs root here", "sandbox", "root, or bubblewrap")
        if "memory" not in groups.parents():
            raise SandboxError("gVisor's memory cannot be bounded: no control group", "sandbox", "bubblewrap")

    def start(self, job: Job) -> JailedJob:
        """Starts a job.

        Raises:
            SandboxError: the job's files cannot be written, its gate cannot be reached, or no user is free.
        """
        return JailedJob(job, self._binary, plan)


@cache
def binary() -> str:
    """Path of runsc.

    Raises:
        SandboxError: it is not installed.
    """
    found = shutil.which("runsc")
    if found is None:
        raise SandboxError("gVisor is not installed", "sandbox", "apt install runsc, or bubblewrap")
    return found


def plan(job: Job, user: int, handed: Handed) -> Plan:
    """How bwrap is called to call runsc."""
    line = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    line += ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    for capability in CAPABILITIES:
        line += ["--cap-add", f"CAP_{capability}"]
    line += [
        "--ro-bind",
        binary(),
        "/runsc",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--size",
        "16777216",
        "--tmpfs",
        "/run",
    ]
    line += ["--size", "16777216", "--tmpfs", "/tmp"]
    line += ["--perms", "0755", "--dir", TOP, *system.mounts(TOP)]
    line += [*command.copied(user, handed.content, TOP), *command.own_places(job, user, TOP)]
    for place in ("/proc", "/sys", "/dev", "/dev/shm"):
        line += ["--perms", "0755", "--dir", TOP + place]
    line += ["--file", handed.content(bundle(job, user)), "/bundle/config.json", "--remount-ro", "/"]
    run = ["/runsc", f"--root={STATE}", f"--platform={PLATFORM}", "--network=none", "--ignore-cgroups"]
    run += ["--host-uds=open", "--file-access-mounts=exclusive", "run", "--bundle", "/bundle", "job"]
    return Plan(
        arguments=line,
        command=run,
        group=replace(
            job.bounds,
            memory_mb=job.bounds.memory_mb + SENTRY_MB,
            processes=2 * job.bounds.processes + SENTRY_PROCESSES,
        ),
        each=None,
        all_seconds=job.bounds.cpu_seconds,
        broken=BROKEN,
        work=TOP + WORK,
    )


def bundle(job: Job, user: int) -> bytes:
    """The job in the terms of the OCI runtime specification (https://github.com/opencontainers/runtime-spec)."""
    writable = [WORK, "/tmp", command.SHARED_MEMORY, *(["/out"] if job.output is not None else [])]
    return json.dumps(
        {
            "ociVersion": "1.0.2",
            "hostname": "sandbox",
            "process": {
                "user": {"uid": user, "gid": user},
                "args": list(system.entry(job)),
                "env": [f"{name}={value}" for name, value in command.variables(job).items()],
                "cwd": WORK,
                "noNewPrivileges": True,
                "capabilities": {},
                "rlimits": _limits(job.bounds),
            },
            "root": {"path": TOP, "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                *(
                    {"destination": place, "type": "bind", "source": TOP + place, "options": ["rw", "nosuid", "nodev"]}
                    for place in writable
                ),
            ],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]},
        }
    ).encode()


def _limits(bounds: Bounds) -> list[dict[str, object]]:
    wanted = {
        "RLIMIT_CPU": (bounds.cpu_seconds, bounds.cpu_seconds + 1),
        "RLIMIT_NPROC": (bounds.processes, bounds.processes),
        "RLIMIT_NOFILE": (bounds.open_files, bounds.open_files),
        "RLIMIT_CORE": (0, 0),
    }
    return [{"type": kind, "soft": soft, "hard": hard} for kind, (soft, hard) in wanted.items()]
