"""From how a job ended to its status."""

import re
import signal
from dataclasses import dataclass

from homespun.sandbox.jail.types import Status

TAIL = 4_000
"""Characters at the end of standard error that are looked at."""
OUT_OF_TIME = 128 + signal.SIGXCPU
OUT_OF_MEMORY = re.compile(
    r"^MemoryError\b"  # Python
    r"|JavaScript heap out of memory|Array buffer allocation failed|ERR_MEMORY_ALLOCATION_FAILED"  # Node
    r"|java\.lang\.OutOfMemoryError|insufficient memory for the Java Runtime"
    r"|std::bad_alloc"  # C++
    r"|^fatal error: (?:runtime: )?(?:out of memory|cannot allocate memory)|runtime: out of memory"  # Go
    r"|memory allocation of \d+ bytes failed",  # Rust
    re.MULTILINE,
)
"""How the languages' runtimes say that they got no memory. C's programs say nothing."""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Why we ended a job that had not ended by itself."""

    status: Status
    why: str


def exit_code(returned: int) -> int:
    """As a shell has it: 128 and the signal for a process that a signal ended."""
    return 128 - returned if returned < 0 else returned


def status(code: int, stderr: str, *, ran_out: bool) -> Status:
    """The status of a job that ended by itself.

    Args:
        code: Its exit code, as of a shell.
        stderr: What it wrote there.
        ran_out: Whether the kernel killed one of its processes for want of memory.
    """
    if code == 0:
        return "ok"
    if ran_out or OUT_OF_MEMORY.search(stderr[-TAIL:]):
        return "memory"
    return "timeout" if code == OUT_OF_TIME else "failed"
