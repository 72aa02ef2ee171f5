"""What every grader shares: gold answers read once, a fast check for tables, a Verdict for single problems.

A grader reads a *span*: the text that a strategy cut out of a completion, or the final value of a program. It makes
the span canonical, so that two canonical answers can be compared and counted as votes.
"""

from abc import ABC, abstractmethod

from homespun.errors import GradeError
from homespun.records import Problem, Verdict
from homespun.tasks.base import Mode, Reading

FAILED = ("[invalid]", "[error]")
"""How the recorded data mark an answer that could not be extracted, or a program that failed."""

SHOWN = 80
"""Characters of an answer that a reason shows."""


def unboxed(text: str) -> str:
    r"""Content of the last ``\boxed{…}`` of a text, braces balanced; the text itself when there is none."""
    start = text.rfind("boxed{")
    if start < 0:
        return text
    start += len("boxed{")
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    return text[start:]


def shown(text: str) -> str:
    """A text on one line, cut to what a reason can show."""
    line = " ".join(text[: 2 * SHOWN].split())
    return f"{line[:SHOWN]}…" if len(line) > SHOWN or len(text) > 2 * SHOWN else line


class TextGrader(ABC):
    """Base of the graders: reading differs by mode, the rest is the same for all.

    Args:
        mode: ``strict`` grades what the answer says; ``paper`` reproduces the released code, faults included.
    """

    name: str
    version: str = "1"

    def __init__(self, mode: Mode = "strict") -> None:
        self.mode: Mode = mode
        self._golds: dict[str, Reading] = {}

    @abstractmethod
    def read_strict(self, text: str) -> Reading:
        """Canonical answer that the text states."""

    @abstractmethod
    def read_paper(self, text: str) -> Reading:
        """Canonical answer as the released code extracts it."""

    def read_gold(self, answer: str) -> Reading:
        """Canonical gold answer; a leading solution up to ``####`` is dropped."""
        return self.read(answer.rsplit("####", 1)[-1])

    def read(self, text: str) -> Reading:
        """Canonical answer in a span, or ``None`` with the reason why there is none."""
        if not text or text.isspace():
            return Reading(None, "no answer")
        if text.strip() in FAILED:
            return Reading(None, "no answer was extracted")
        return self.read_strict(text) if self.mode == "strict" else self.read_paper(text)

    def same(self, answer: str, gold: str) -> bool:
        """Whether two canonical answers agree."""
        return answer == gold

    def gold(self, problem: Problem) -> str:
        """Canonical gold answer of a problem, read once per distinct answer.

        Raises:
            GradeError: the problem has no gold answer, or none that this grader can read.
        """
        where = f"problem {problem.id} of {problem.task}"
        if problem.answer is None:
            raise GradeError("there is no gold answer", where, "a problem with an answer")
        found = self._golds.get(problem.answer)
        if found is None:
            found = self._golds[problem.answer] = self.read_gold(problem.answer)
        if found.answer is None:
            what = f"gold answer {shown(problem.answer)!r} is not {self.name}: {found.reason}"
            raise GradeError(what, where, "another --grader")
        return found.answer

    def check(self, text: str | None, gold: str) -> tuple[float, str | None, str]:
        """The hot path: grades one span against a canonical gold answer, building no record.

        Args:
            text: The span, or ``None`` where a completion held none.
            gold: What `gold` returned.

        Returns:
            Value (1 right, 0 wrong), canonical answer or ``None``, and the reason.
        """
        if text is None:
            return 0.0, None, "no answer"
        answer, reason = self.read(text)
        if answer is None:
            return 0.0, None, reason
        if self.same(answer, gold):
            return 1.0, answer, reason
        return 0.0, answer, f"{shown(answer)} is not {shown(gold)}"

    def grade(self, problem: Problem, text: str | None, subject_id: str = "") -> Verdict:
        """Verdict on one span: 1 right, 0 wrong; an unreadable answer is wrong, and the reason says so.

        Raises:
            GradeError: the problem's gold answer cannot be read.
        """
        value, answer, reason = self.check(text, self.gold(problem))
        return Verdict(
            subject_id=subject_id or problem.id,
            grader=f"{self.name}:{self.mode}",
            grader_version=self.version,
            value=value,
            answer=answer,
            reason=reason,
        )
