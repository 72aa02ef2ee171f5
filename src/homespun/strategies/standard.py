"""Standard prompting: the answer and nothing else (the baseline of Faithful-COT, arXiv:2301.13379, §4).

We differ: our own exemplars, asked as a chat. The answer is read by `spans`.
"""

from homespun.records import Message, Problem
from homespun.strategies.base import Mode, Parsed
from homespun.strategies.prompt import chat, statement
from homespun.strategies.spans import span

INSTRUCTION = 'Answer with {asked} and nothing else, in the form "The answer is …." (a plan: "Plan: …").'


class Standard:
    """Answer only."""

    name = "standard"
    version = "1"

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Exemplars whose solutions are their answers."""
        return chat(problem, INSTRUCTION, statement)

    def parse(self, completion: str, task: str, mode: Mode = "strict", model: str | None = None) -> Parsed:
        """The span after "answer is", or a number's closing line."""
        return span(completion, task, self.name, mode, model)
