"""What a driver says of how a job is to be started."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homespun.errors import SandboxError
from homespun.sandbox.jail.types import WORK, Bounds, Job


class Handed:
    """Descriptors that bwrap inherits, and what it is to read from them."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def content(self, content: bytes) -> str:
        """A file in memory; its number, for a command line."""
        number = os.memfd_create("homespun")
        self.numbers.append(number)
        os.write(number, content)
        os.lseek(number, 0, os.SEEK_SET)
        return str(number)

    def close(self) -> None:
        """Closes our side of them."""
        while self.numbers:
            os.close(self.numbers.pop())


def listed(arguments: Sequence[str]) -> bytes:
    """Arguments as bwrap reads them from a file.

    Raises:
        SandboxError: one has a NUL in it, and would be read as several.
    """
    for argument in arguments:
        if "\0" in argument:
            raise SandboxError("a NUL in what a job is given", repr(argument))
    return b"".join(os.fsencode(argument) + b"\0" for argument in arguments)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a driver starts a job."""

    arguments: Sequence[str]
    """Of bwrap."""
    command: Sequence[str]
    """What bwrap starts."""
    group: Bounds
    """What everything in the jail may use together, the driver's own processes included."""
    each: Bounds | None
    """What any one process may use; None where the command limits them itself."""
    all_seconds: float | None = None
    """Processor time of everything in the jail, where that is watched from outside."""
    broken: re.Pattern[str] | None = None
    """Standard error of a command of the driver's own that could not start the job's."""
    work: str = WORK
    """Where the workspace is, as bwrap's first process sees it."""


Planner = Callable[[Job, int, Handed], Plan]
"""From a job, its user and the descriptors to be handed over."""
