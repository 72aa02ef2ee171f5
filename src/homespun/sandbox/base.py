"""The seam of sandboxes: a Program goes in, an Execution comes out."""

from dataclasses import dataclass
from typing import Protocol

from homespun.records import Execution


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one program may use. It may start neither processes nor threads."""

    seconds: float = 10.0
    """Wall clock per program (the paper's extraction timeout is 10 s)."""
    cpu_seconds: int = 2
    """Processor time per program, whole seconds: an endless loop ends here, however busy the machine is."""
    memory_mb: int = 512
    """Address space, MiB."""
    file_mb: int = 16
    """Size of its work folder, and of any file in it, MiB."""
    output_bytes: int = 64 * 1024
    """Standard output and error, each; a program that writes more is stopped."""
    source_bytes: int = 1024 * 1024
    """Longest source that is accepted."""


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
    prelude: str = ""
    """Our own source, run first in the same namespace: names that the prompt promised."""


class Sandbox(Protocol):
    """Runs one program away from everything that matters."""

    def run(self, program: Program) -> Execution:
        """Never raises for what the program does; raises SandboxError only if no sandbox can be had."""
        ...
