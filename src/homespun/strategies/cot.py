"""Chain of thought: steps in words, then the answer (Wei et al. 2022, arXiv:2201.11903).

We differ: our own exemplars, asked as a chat. The answer is read by `spans`.
"""

from homespun.records import Message, Problem
from homespun.strategies.base import Mode, Parsed
from homespun.strategies.exemplars import Exemplar
from homespun.strategies.kinds import Kind
from homespun.strategies.prompt import chat, statement
from homespun.strategies.spans import span

INSTRUCTION = (
    'Think step by step in plain sentences. Close with {asked} in the form "The answer is …." (a plan: "Plan: …" on a '
    "line of its own)."
)


class ChainOfThought:
    """Steps in words, then the answer."""

    name = "cot"
    version = "1"

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Exemplars whose solutions are worked out in sentences."""
        return chat(problem, INSTRUCTION, _show)

    def parse(self, completion: str, task: str, mode: Mode = "strict", model: str | None = None) -> Parsed:
        """The span after the last "answer is", or a number's closing line."""
        return span(completion, task, self.name, mode, model)


def _show(exemplar: Exemplar, kind: Kind) -> str:
    steps = " ".join(step.words for step in exemplar.steps)
    return steps + ("\n" if kind == "plan" else " ") + statement(exemplar, kind)
