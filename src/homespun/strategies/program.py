"""Program of thought: a program alone, whose result is the answer (Chen et al. 2022, arXiv:2211.12588).

We differ: our own exemplars, and Python for every kind of question; the release writes Datalog for StrategyQA and PDDL
goals for SayCan, which are recognised but not executed here. The program leaves its result in `answer`.
"""

from homespun.records import Message, Problem
from homespun.strategies.base import Mode, Parsed
from homespun.strategies.code import program
from homespun.strategies.exemplars import Exemplar
from homespun.strategies.kinds import Kind
from homespun.strategies.prompt import chat

INSTRUCTION = (
    "Answer with a Python program and nothing else. It uses the standard library and dateutil only, reads no input, "
    "and leaves the result ({asked}; for yes or no a bool or 1 and 0) in the variable answer."
)


class ProgramOfThought:
    """A program, nothing else."""

    name = "pot"
    version = "1"

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Exemplars whose solutions are programs without comments."""
        return chat(problem, INSTRUCTION, _show)

    def parse(self, completion: str, task: str, mode: Mode = "strict", model: str | None = None) -> Parsed:
        """The program; see `code`."""
        return program(completion, task, mode)


def _show(exemplar: Exemplar, kind: Kind) -> str:
    return "\n".join(part for part in (exemplar.imports, *(step.code for step in exemplar.steps)) if part)
