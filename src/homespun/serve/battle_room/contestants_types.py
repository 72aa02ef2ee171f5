"""What a contestant is, and how a target of the gateway becomes one."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from homespun.records import Cost, Finish, Message, Sampling
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import NANO, Attempt, Call, Reply, UpstreamError
from homespun.serve.gateway.upstream import Fleet
from homespun.serve.gateway.upstream.capability import limit_field

NOTHING = Cost()
REASONS = {
    "timeout": "it took too long",
    "connect": "it could not be reached",
    "tls": "it could not be reached",
    "reset": "its answer broke off",
    "cut": "its answer broke off",
    "garbage": "its answer could not be read",
    "breaker": "it has failed several times in a row",
    "refused": "it does not take this request",
}
"""Why a model failed, in words that no model is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an answer ended and what it cost; a contestant may say so as its last piece."""

    finish: Finish = "stop"
    cost: Cost = NOTHING


class ContestantError(RuntimeError):
    """A contestant gave no answer, or broke off.

    Args:
        message: Why, fit for a voter's eyes: it must not tell who the contestant is.
        cost: What it has cost all the same.
    """

    def __init__(self, message: str, cost: Cost | None = None) -> None:
        super().__init__(message)
        self.message, self.cost = message, cost or NOTHING


class Contestant(Protocol):
    """Someone who answers."""

    @property
    def name(self) -> str:
        """Its id in votes and rankings."""
        ...

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    @property
    def organization(self) -> str:
        """Who made it."""
        ...

    @property
    def licence(self) -> str:
        """Under which licence."""
        ...

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Ended]:
        """The answer, piece by piece; closing the iterator stops it.

        Args:
            messages: The conversation, system prompt first.
            sampling: Temperature, top-p, most tokens.

        Raises:
            ContestantError: no answer, or it broke off.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class FleetContestant:
    """A target of the settings. Nobody answers in its place: its fallbacks are other models."""

    fleet: Fleet
    target: Target
    title: str
    organization: str = ""
    licence: str = ""

    @property
    def name(self) -> str:
        """The target's name."""
        return self.target.name

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Ended]:
        """Asks the target.

        Raises:
            ContestantError: it failed.
        """
        attempts: list[Attempt] = []
        events = None
        try:
            reply = await self.fleet.call(self.target.name, self._call(messages, sampling), attempts, fallbacks=False)
            events = reply.events
            finish: Finish = "stop"
            async for piece in _pieces(reply):
                if piece.text:
                    yield piece.text
                finish = piece.finish or finish
            yield Ended(finish=finish, cost=_cost(attempts))
        except UpstreamError as error:
            raise ContestantError(REASONS.get(error.reason, "it failed"), _cost(attempts)) from None
        finally:
            if events is not None:
                await events.aclose()

    def _call(self, messages: Sequence[Message], sampling: Sampling) -> Call:
        body: dict[str, Any] = {
            "messages": [message.model_dump() for message in messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stream": True,
        }
        body[limit_field(self.target, body)] = min(sampling.max_tokens, self.target.max_output)
        return Call("/chat/completions", body, stream=True)


@dataclass(slots=True)
class _Piece:
    text: str
    finish: Finish | None


_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "filter"}


async def _pieces(reply: Reply) -> AsyncGenerator[_Piece]:
    """Content and ending of the first choice."""
    if reply.events is None:
        yield _piece(reply.body or {}, "message")
        return
    async for event in reply.events:
        yield _piece(event.json, "delta")


def _piece(body: dict[str, Any], part: str) -> _Piece:
    choices = body.get("choices")
    first: Any = choices[0] if isinstance(choices, list) and choices else None
    choice = cast("dict[str, Any]", first) if isinstance(first, dict) else {}
    inner: Any = choice.get(part)
    text: Any = cast("dict[str, Any]", inner).get("content") if isinstance(inner, dict) else None
    return _Piece(text if isinstance(text, str) else "", _FINISH.get(str(choice.get("finish_reason"))))


def _cost(attempts: Sequence[Attempt]) -> Cost:
    """All attempts together, those that failed included."""
    return Cost.total(
        Cost(
            input_tokens=one.usage.input,
            cached_tokens=one.usage.cached,
            output_tokens=one.usage.output,
            dollars=one.nanodollars / NANO,
            seconds=one.seconds,
        )
        for one in attempts
    )
