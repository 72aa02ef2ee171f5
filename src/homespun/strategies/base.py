"""The seam of strategies: how a problem becomes a prompt, and how a completion becomes an answer or a program."""

from typing import Literal, NamedTuple, Protocol

from homespun.records import Message, Problem

Mode = Literal["strict", "paper"]


class Parsed(NamedTuple):
    """What a completion holds: an answer's text, or a program to run for it, or neither and the reason."""

    text: str | None
    program: str | None
    language: str | None
    reason: str
    prelude: str = ""
    """Source that the program may rely on: names that the prompt promised."""

    @classmethod
    def answer(cls, text: str, reason: str) -> "Parsed":
        """An answer's text, and where it stood."""
        return cls(text, None, None, reason)

    @classmethod
    def code(cls, source: str, language: str, prelude: str = "") -> "Parsed":
        """A program to run."""
        return cls(None, source, language, f"a {language} program", prelude)

    @classmethod
    def nothing(cls, reason: str) -> "Parsed":
        """No answer, and why."""
        return cls(None, None, None, reason)


class Strategy(Protocol):
    """Prompt and parse together, one file each."""

    name: str
    version: str

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Chat messages for a problem, exemplars of our own included."""
        ...

    def parse(self, completion: str, task: str, mode: Mode = "strict", model: str | None = None) -> Parsed:
        """Splits a completion; never executes anything.

        Args:
            completion: What the model wrote.
            task: Name of the data set; it decides what kind of answer is looked for.
            mode: ``strict`` reads the answer that is stated; ``paper`` reproduces the released extraction.
            model: Who wrote it. Only ``paper`` looks at it: the release read some models by another rule.
        """
        ...
