"""Faithful chain of thought: sub-questions as comments, each with its code, executed (arXiv:2301.13379, §3).

Each comment names the steps that it builds on and the words that support it, so that the reasoning that is shown is
the reasoning that is run. We differ: our own exemplars, and Python for every kind of question (see `program`).
"""

from homespun.records import Message, Problem
from homespun.strategies.base import Mode, Parsed
from homespun.strategies.code import program
from homespun.strategies.exemplars import Exemplar, Step
from homespun.strategies.kinds import Kind
from homespun.strategies.prompt import chat

INSTRUCTION = (
    "Answer with a Python program and nothing else. Before each piece of code write a comment: the number and text of "
    "the sub-question that it answers, then in brackets the steps that it depends on, or independent, and its support: "
    "words of the question or outside knowledge. It uses the standard library and dateutil only, reads no input, and "
    "leaves the result ({asked}; for yes or no a bool or 1 and 0) in the variable answer."
)


class FaithfulChainOfThought:
    """Sub-questions in words interleaved with code."""

    name = "fcot"
    version = "1"

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Exemplars whose programs carry their sub-questions as comments."""
        return chat(problem, INSTRUCTION, _show)

    def parse(self, completion: str, task: str, mode: Mode = "strict", model: str | None = None) -> Parsed:
        """The program; see `code`."""
        return program(completion, task, mode)


def _show(exemplar: Exemplar, kind: Kind) -> str:
    blocks = [_block(number, step) for number, step in enumerate(exemplar.steps, 1)]
    return "\n".join(part for part in (exemplar.imports, *blocks) if part)


def _block(number: int, step: Step) -> str:
    depends = f"depends on {', '.join(map(str, step.after))}" if step.after else "independent"
    support = f'"{step.support}"' if step.support else ""
    return f"# {number}. {step.question} ({depends}, support: [{support}])\n{step.code}"
