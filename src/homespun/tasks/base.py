"""The seam of tasks: problems with gold answers, and the grader that compares an answer with the gold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from homespun.records import Problem, Verdict

Mode = Literal["strict", "paper"]
"""``strict`` (default) grades what the answer says; ``paper`` reproduces the released code, faults included."""


class Reading(NamedTuple):
    """What a grader read from a text: a canonical answer, or ``None`` and the reason why not."""

    answer: str | None
    reason: str


class Grader(Protocol):
    """Reads an answer from a text and compares it with the gold."""

    name: str
    version: str
    mode: Mode

    def read(self, text: str) -> Reading:
        """Canonical answer in ``text``: the span that a strategy cut out, or what a program returned."""
        ...

    def gold(self, problem: Problem) -> str:
        """Canonical gold answer. Raises GradeError when the problem has none that can be read."""
        ...

    def same(self, answer: str, gold: str) -> bool:
        """Whether two canonical answers agree."""
        ...

    def grade(self, problem: Problem, text: str | None, subject_id: str = "") -> Verdict:
        """Verdict: 1 right, 0 wrong (an unreadable answer is wrong, and the reason says so)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """A data set: how to load its problems, what licence they carry, how answers are graded."""

    name: str
    grader: Callable[[Mode], Grader]
    load: Callable[[str], list[Problem]]
    splits: tuple[str, ...]
    licence: str
    source: str
