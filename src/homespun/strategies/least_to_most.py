"""Least-to-most: sub-questions answered in turn, then the question itself (Zhou et al. 2022, arXiv:2205.10625).

We differ: our own exemplars, and, as in Faithful-COT, decomposition and solution come in one call instead of two.
"""

from homespun.records import Message, Problem
from homespun.strategies.base import Mode, Parsed
from homespun.strategies.exemplars import Exemplar
from homespun.strategies.kinds import Kind
from homespun.strategies.prompt import chat, statement
from homespun.strategies.spans import span

INSTRUCTION = (
    "Split the question into simpler ones, answer them in turn as Q1, Q2, …, then answer the question itself under "
    '"Final Answer:" with {asked}, in the form "The answer is …." (a plan: "Plan: …" on a line of its own).'
)


class LeastToMost:
    """Sub-questions from the least to the most difficult."""

    name = "ltm"
    version = "1"

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Exemplars whose solutions go through numbered sub-questions."""
        return chat(problem, INSTRUCTION, _show)

    def parse(self, completion: str, task: str, mode: Mode = "strict", model: str | None = None) -> Parsed:
        """The span after the last "answer is", or a number's closing line under "Final Answer:"."""
        return span(completion, task, self.name, mode, model)


def _show(exemplar: Exemplar, kind: Kind) -> str:
    lines = [f"Q{number}. {step.question}\n{step.words}" for number, step in enumerate(exemplar.steps, 1)]
    return "\n".join([*lines, f"Final Answer: {exemplar.question}", statement(exemplar, kind)])
