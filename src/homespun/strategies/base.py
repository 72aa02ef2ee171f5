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


class Strategy(Protocol):
    """Prompt and parse together, one file each."""

    name: str
    version: str

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Chat messages for a problem, exemplars of our own included."""
        ...

    def parse(self, completion: str, task: str, mode: Mode = "strict") -> Parsed:
        """Splits a completion; never executes anything."""
        ...
