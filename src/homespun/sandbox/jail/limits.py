"""Limits on each process of a job, set from outside before its command starts; all that it starts inherits them."""

import os
import resource

from homespun.sandbox.jail.types import Bounds

ROOM = 16 << 30
"""Address space beyond the memory of a job without a group, bytes: V8 and the JVM reserve much that they never use."""
LEAST = 1 << 30
"""Private memory that such a process has at least, bytes: V8 takes half of it for code before it runs anything."""


def limit(pid: int, bounds: Bounds, *, memory: bool) -> None:
    """Limits process ``pid``.

    Args:
        pid: It has not started anything yet.
        bounds: What it may use.
        memory: Whether to bound memory too, since no group does. The bound is on private writable memory
            (RLIMIT_DATA), which is what programs use, and with some room on address space.
    """
    wanted = {
        resource.RLIMIT_CPU: (bounds.cpu_seconds, bounds.cpu_seconds + 1),
        resource.RLIMIT_NPROC: (bounds.processes, bounds.processes),
        resource.RLIMIT_NOFILE: (bounds.open_files, bounds.open_files),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
        resource.RLIMIT_MEMLOCK: (1 << 20, 1 << 20),
    }
    if memory:
        size = max(bounds.memory_mb << 20, LEAST)
        wanted |= {resource.RLIMIT_DATA: (size, size), resource.RLIMIT_AS: (size + ROOM, size + ROOM)}
    for kind, (soft, hard) in wanted.items():
        if os.geteuid() != 0:  # a user may lower a limit, never raise it
            most = resource.prlimit(pid, kind)[1]
            soft, hard = (value if most == resource.RLIM_INFINITY else min(value, most) for value in (soft, hard))
        resource.prlimit(pid, kind, (soft, hard))
