"""What runs in a jail, within which bounds, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

WORK = "/work"
"""The only folder, besides /tmp, that a job can write; in memory, capped, gone with the job."""
Status = Literal["ok", "failed", "timeout", "memory", "unavailable"]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one job may use, all its processes together unless said otherwise."""

    seconds: float = 60.0
    """Wall clock from the start, while somebody waits; a job that nobody waits for has hours."""
    cpu_seconds: int = 60
    """Processor time of any one process, whole seconds."""
    memory_mb: int = 1024
    """Memory, MiB: by control group where there is one (all processes, and what lies in /work and /tmp), else private
    memory of any one process."""
    processes: int = 256
    """Processes and threads."""
    disk_mb: int = 128
    """Size of /work, of /tmp and of /dev/shm, each, MiB."""
    output_bytes: int = 1 << 20
    """Standard output and error, each; a job that writes more is stopped and has failed."""
    open_files: int = 1024
    """Descriptors of any one process."""


@dataclass(frozen=True, kw_only=True)
class Bind:
    """A folder or file of the host that the job can read, never write; everybody must be allowed to read it."""

    outside: Path
    inside: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The one way in or out: a unix socket of the host, tied to a port of the job's loopback by our relay inside.

    ``in``: the host accepts a connection from ``socket`` and speaks to whatever listens at ``port`` inside.
    ``out``: whoever connects to ``port`` inside speaks to whatever listens at ``socket`` outside.
    The job has a user of its own, so everybody must be allowed to write to ``socket`` (mode 0666); its folder can be
    closed to all others (mode 0700).
    """

    socket: Path
    port: int
    direction: Literal["in", "out"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command, and all that it may see."""

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Written below /work before the start; relative paths without ``..``."""
    binds: tuple[Bind, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables, beside PATH, HOME, LANG and TMPDIR."""
    bounds: Bounds = Bounds()
    gate: Gate | None = None
    output: Path | None = None
    """A folder of the host that the job can write, as /out: for installing packages, never for a model's program. It is
    given to the job's user, and so is what the job makes there."""
    collect: tuple[str, ...] = ()
    """Patterns (of ``fnmatch``, on paths relative to /work: ``*`` matches a ``/`` too) of files to bring back."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job. ``unavailable``: it never ran, so nothing is known of it; the reason is in stderr."""

    status: Status
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """What was collected: path relative to /work → content. Names and contents are the program's: hostile."""
    peak_mb: float | None = None
    """Most memory in use, MiB, where a control group tells."""


class Running(Protocol):
    """A job that has been started."""

    @property
    def alive(self) -> bool:
        """Whether its command still runs."""
        ...

    def said(self) -> tuple[str, str]:
        """Standard output and error so far."""
        ...

    def wait(self) -> Outcome:
        """Blocks until it has ended by itself or met a bound, then clears everything away. Again: the same outcome."""
        ...

    def kill(self) -> Outcome:
        """Ends it now with all that it started; returns what is known."""
        ...


class Jail(Protocol):
    """One way of isolating a job. Which one is always chosen by name; none stands in for another."""

    name: str

    def start(self, job: Job) -> Running:
        """Starts a job.

        Raises:
            SandboxError: this jail cannot be had here; says what to install.
        """
        ...
