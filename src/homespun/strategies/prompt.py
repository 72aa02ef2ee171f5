"""Puts exemplars and a question together as a chat: an instruction, then question and answer in turn."""

from collections.abc import Callable

from homespun.records import Message, Problem
from homespun.strategies.exemplars import Exemplar, exemplars
from homespun.strategies.kinds import ASKED, Kind, kind_of

SCENE: dict[Kind, str] = {
    "plausibility": "Is the following sentence plausible? ",
    "plan": (
        "You steer a robot with find(x), pick(x), put(x) and done(). Places: counter, table, user, trash, bowl. "
        "The user says: "
    ),
}


def chat(problem: Problem, instruction: str, show: Callable[[Exemplar, Kind], str]) -> tuple[Message, ...]:
    """Messages of a few-shot prompt.

    Args:
        problem: The question to ask.
        instruction: How to answer; ``{asked}`` stands for the kind of answer that is wanted.
        show: Writes an exemplar's solution in the form of the strategy.
    """
    kind = kind_of(problem.task)
    scene = SCENE.get(kind, "")
    turns = [Message(role="system", content=instruction.format(asked=ASKED[kind]))]
    for exemplar in exemplars(kind):
        turns.append(Message(role="user", content=scene + exemplar.question))
        turns.append(Message(role="assistant", content=show(exemplar, kind)))
    return (*turns, Message(role="user", content=scene + problem.question))


def statement(exemplar: Exemplar, kind: Kind) -> str:
    """The sentence that states the answer, in the form that `spans` reads."""
    return f"Plan: {exemplar.answer}" if kind == "plan" else f"The answer is {exemplar.answer}."
