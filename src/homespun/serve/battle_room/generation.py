"""One contestant's answer to a conversation: streamed, bounded, stoppable, and never an exception."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homespun.records import Cost, Message, Sampling
from homespun.serve.battle_room.contestants_types import NOTHING, Contestant, ContestantError, Ended
from homespun.serve.battle_room.sessions import Turn

log = logging.getLogger("homespun.arena")

PIECE_SECONDS = 0.05
"""Pieces that come faster are told together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of it."""

    text: str
    finish: str | None
    """``None``: it broke off."""
    started: float
    """Seconds since 1970."""
    seconds: float
    cost: Cost = NOTHING
    error: str | None = None


def conversation(system: str | None, turns: Sequence[Turn]) -> list[Message]:
    """What a contestant is sent: its own side of the session; a turn that it never answered is left out."""
    messages = [Message(role="system", content=system)] if system else []
    for turn in turns[:-1]:
        if turn.reply:
            messages += [Message(role="user", content=turn.user), Message(role="assistant", content=turn.reply)]
    return [*messages, Message(role="user", content=turns[-1].user)]


class _Gathering:
    """Pieces on their way, told at most every `PIECE_SECONDS`."""

    def __init__(self, tell: Callable[[str], None], most: int) -> None:
        self._tell, self._room = tell, most
        self._parts: list[str] = []
        self._waiting: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, piece: str) -> bool:
        """Takes a piece; false when there is no more room."""
        piece = piece[: self._room]
        self._room -= len(piece)
        if piece:
            self._parts.append(piece)
            self._waiting.append(piece)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(PIECE_SECONDS, self.flush)
        return self._room > 0

    def flush(self) -> None:
        """Tells what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            text, self._waiting = "".join(self._waiting), []
            self._tell(text)


async def answer(
    contestant: Contestant,
    messages: Sequence[Message],
    sampling: Sampling,
    *,
    seconds: float,
    characters: int,
    tell: Callable[[str], None],
) -> Answer:
    """Asks a contestant.

    Args:
        contestant: Whom.
        messages: The conversation.
        sampling: How.
        seconds: How long it may take.
        characters: How long it may be; cut there.
        tell: Gets the pieces.
    """
    started, clock = time.time(), time.monotonic()
    gathering, cost = _Gathering(tell, characters), NOTHING
    finish, error = "stop", None
    stream = contestant.stream(messages, sampling)
    try:
        async with asyncio.timeout(seconds):
            async for piece in stream:
                if isinstance(piece, Ended):
                    finish, cost = piece.finish, piece.cost
                elif not gathering.add(piece):
                    finish = "length"
                    break
        if not gathering.text.strip():
            error = "The model gave an empty answer; regenerate it."
    except ContestantError as failure:
        error, cost = f"The model gave no whole answer: {failure.message}; regenerate it.", failure.cost
    except TimeoutError:
        error = f"The model did not finish within {seconds:g} seconds; regenerate it."
    except asyncio.CancelledError:
        error = "Stopped."
    except Exception as failure:
        # what it says may tell who the model is: to the log alone, and without the text of a conversation
        log.error("contestant %s failed: %s", contestant.name, type(failure).__name__)
        error = "The model failed; regenerate the answer."
    finally:
        if (close := getattr(stream, "aclose", None)) is not None:
            await close()
        gathering.flush()
    return Answer(
        text=gathering.text,
        finish=None if error else finish,
        started=started,
        seconds=time.monotonic() - clock,
        cost=cost,
        error=error,
    )
