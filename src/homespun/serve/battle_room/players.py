"""What the room needs of whoever runs programs; `homespun.sandbox.runner.Runner` is one."""

from collections.abc import Callable, Sequence
from typing import Protocol

from homespun.records import Execution
from homespun.sandbox.reply import Dependency, Found

Say = Callable[[str, str], None]
"""Hears what goes on: a stream (``build``, ``run``, ``stdout``, ``stderr``) and a text."""


class Figure(Protocol):
    """A picture that the program drew."""

    @property
    def png(self) -> bytes:
        """The picture."""
        ...


class Frame(Protocol):
    """A picture of its page; ``png`` is none where it could not be taken."""

    @property
    def at(self) -> float:
        """Seconds after the page had loaded."""
        ...

    @property
    def png(self) -> bytes | None:
        """The picture."""
        ...

    @property
    def blank(self) -> bool:
        """Whether it is of one colour."""
        ...

    @property
    def note(self) -> str:
        """What is to be said of it."""
        ...


class Played(Protocol):
    """What came of a run, as `homespun.sandbox.runner.Played` tells it."""

    @property
    def execution(self) -> Execution:
        """Status and output."""
        ...

    @property
    def url(self) -> str | None:
        """Origin of its page, while that is open."""
        ...

    @property
    def pictures(self) -> Sequence[Figure]:
        """What it drew."""
        ...

    @property
    def shots(self) -> Sequence[Frame]:
        """Looks at its page."""
        ...

    @property
    def build_log(self) -> str:
        """What the installation of packages said."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What was done to the program on the way."""
        ...

    @property
    def dependencies(self) -> Sequence[Dependency]:
        """The packages that it had."""
        ...


class Player(Protocol):
    """Who runs programs: `homespun.sandbox.runner.Runner`."""

    async def run(
        self,
        found: Found,
        *,
        run_id: str,
        dependencies: Sequence[Dependency] | None = None,
        on_log: Say | None = None,
    ) -> Played:
        """Runs a program; its page stays open until `close_run`."""
        ...

    async def look(self, run_id: str) -> Sequence[Frame]:
        """Pictures of a run's page, taken now; none where there is none."""
        ...

    async def close_run(self, run_id: str) -> None:
        """Closes a run's page."""
        ...
