"""Contestants that ship: SmolLM2 on this machine, two scripted ones, and real models' recorded programs.

What ships needs neither a key nor a network. The scripted and the recorded contestants know the example prompts only;
`Shipped.knows` tells the room, which never draws somebody who has no answer.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from homespun.arena.examples import SCRIPTED, examples, recorded_contestants, recorded_replies, scripted_replies
from homespun.records import Message, Sampling
from homespun.serve.battle_room.contestants_types import ContestantError, Ended

PIECE = 24
"""Characters of one piece of a streamed answer."""
PAUSE = 0.004
"""Seconds between two pieces."""
UNKNOWN = "there is no answer on record for this prompt: choose one of the examples"


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A contestant whose answers are on file, told apart by the requests of the conversation so far."""

    name: str
    title: str
    organization: str
    licence: str
    answers: Mapping[tuple[str, ...], str]
    """Requests of the conversation, in order and in plain form → the answer to the last."""

    def knows(self, requests: Sequence[str]) -> bool:
        """Whether there is an answer to this conversation.

        Args:
            requests: What was asked so far, the newest last.
        """
        return _key(requests) in self.answers

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Ended]:
        """The answer on file, in pieces.

        Raises:
            ContestantError: there is none.
        """
        text = self.answers.get(_key([message.content for message in messages if message.role == "user"]))
        if text is None:
            raise ContestantError(UNKNOWN)
        for start in range(0, len(text), PIECE):
            yield text[start : start + PIECE]
            await asyncio.sleep(PAUSE)
        yield Ended()


def shipped() -> list[Shipped]:
    """All contestants whose answers are on file."""
    return [*(_scripted(name) for name in SCRIPTED), *(_recorded(model) for model in recorded_contestants())]


def _scripted(name: str) -> Shipped:
    replies = scripted_replies(name)
    answers: dict[tuple[str, ...], str] = {}
    for example in examples():
        if example.followup is not None:
            answers[_key([example.prompt])] = replies[example.id, 1]
            answers[_key([example.prompt, example.followup])] = replies[example.id, 2]
    return Shipped(
        name=f"scripted:{name}",
        title=name.capitalize(),
        organization="homespun",
        licence="Apache-2.0",
        answers=answers,
    )


def _recorded(model: str) -> Shipped:
    answers = {_key([question]): reply for question, reply in recorded_replies(model).items()}
    return Shipped(
        name=f"recorded:{model}", title=model, organization="OpenAI", licence="recorded answers, MIT", answers=answers
    )


def _key(requests: Sequence[str]) -> tuple[str, ...]:
    return tuple(re.sub(r"\s+", " ", text).strip() for text in requests)
