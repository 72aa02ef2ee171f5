"""The seam of sandboxes: a Program goes in, an Execution comes out."""

from dataclasses import dataclass
from typing import Protocol

from homespun.records import Execution


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one program may use."""

    seconds: float = 10.0
    """Wall clock per program (the paper's extraction timeout is 10 s)."""
    cpu_seconds: float = 10.0
    """Processor time per program."""
    memory_mb: int = 512
    """Address space, MiB."""
    processes: int = 16
    """Processes and threads."""
    output_bytes: int = 64 * 1024
    """Standard output and error kept, each."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """Source that a model wrote: hostile until proven otherwise.

    ``result`` names the variable whose final value is wanted (``answer`` by convention); where it is unset
    the last line of standard output stands in for it.
    """

    id: str
    source: str
    language: str = "python"
    result: str | None = "answer"


class Sandbox(Protocol):
    """Runs one program away from everything that matters."""

    def run(self, program: Program) -> Execution:
        """Never raises for what the program does; raises SandboxError only if no sandbox can be had."""
        ...
