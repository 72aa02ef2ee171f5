"""One request at work: what was spent, how much time is left, and calls that respect both."""

import asyncio
from typing import Any, Protocol

from homespun.serve.gateway.config import Target
from homespun.serve.gateway.routes.ask import Ask, Body, forwarded, question
from homespun.serve.gateway.routes.reader import Problem
from homespun.serve.gateway.types import Attempt, Call, GatewayError, Purpose, Reply

RESERVE = 0.1
"""Seconds before the deadline by which a plan must have ended, so that the best answer so far still gets out."""


class Upstreams(Protocol):
    """What the routes need of `homespun.serve.gateway.upstream.Fleet`."""

    async def call(self, target: str, call: Call, attempts: list[Attempt], *, fallbacks: bool = True) -> Reply:
        """Asks a target; raises UpstreamError."""
        ...

    def bound(self, target: str, body: Body) -> tuple[int, int]:
        """Most (tokens, nanodollars) that one attempt can cost."""
        ...

    def serves(self, target: str, body: Body) -> str | None:
        """``None``, or why the target cannot serve this."""
        ...


class Session:
    """Calls on behalf of one ask; every one of them lands in ``attempts``."""

    def __init__(self, ask: Ask, fleet: Upstreams, attempts: list[Attempt], problem: Problem | None) -> None:
        self.ask, self.fleet, self.attempts, self.problem = ask, fleet, attempts, problem
        self.body: Body = forwarded(ask)
        self.question = question(ask.body)
        self._before, self._held = len(attempts), 0

    def spent(self) -> int:
        """Nanodollars of all attempts of this request."""
        return sum(attempt.nanodollars for attempt in self.attempts)

    def since(self, place: int) -> float:
        """Dollars of the attempts from this place of the list on."""
        return sum(attempt.nanodollars for attempt in self.attempts[place:]) / 1e9

    def late(self) -> bool:
        """Whether it is too late to ask anyone else."""
        return asyncio.get_running_loop().time() >= self.ask.deadline - RESERVE

    def affords(self, target: Target, body: Body | None = None) -> bool:
        """Whether the most that one more call can cost is within what is left, calls under way included."""
        if self.ask.budget is None:
            return True
        most = self.fleet.bound(target.name, self.body if body is None else body)[1]
        return self.spent() + self._held + most <= self.ask.budget

    def tiers(self) -> list[str]:
        """Targets that were asked for an answer, in order, each once."""
        asked = (attempt.target for attempt in self.attempts[self._before :] if attempt.purpose == "answer")
        return list(dict.fromkeys(asked))

    async def call(
        self,
        target: Target,
        *,
        purpose: Purpose = "answer",
        stream: bool = False,
        body: Body | None = None,
        fallbacks: bool = False,
        alone: bool = True,
    ) -> Reply:
        """Asks one target.

        Args:
            target: Whom.
            purpose: What for.
            stream: Whether to stream.
            body: What; the client's body unless given.
            fallbacks: Whether the target's own may answer.
            alone: Nothing else is under way, so that retries may use all that is left of the budget.

        Raises:
            UpstreamError: it failed for good.
            GatewayError: 429, the budget does not allow the call; nothing was spent.
        """
        body = self.body if body is None else body
        left, most = None, 0
        if self.ask.budget is not None:
            most = self.fleet.bound(target.name, body)[1]
            left = self.ask.budget - self.spent() - self._held
            if most > left:
                raise out_of_budget()
            left = most = left if alone else most
        call = Call(
            path="/chat/completions",
            body=self._shaped(body, stream),
            stream=stream,
            deadline=self.ask.deadline if stream else self.ask.deadline - RESERVE / 2,
            purpose=purpose,
            problem=None if self.problem is None else {"task": self.problem[0], "id": self.problem[1]},
            budget=left,
        )
        self._held += most
        try:
            return await self.fleet.call(target.name, call, self.attempts, fallbacks=fallbacks)
        finally:
            self._held -= most

    @staticmethod
    def _shaped(body: Body, stream: bool) -> Body:
        shaped: dict[str, Any] = dict(body)
        if stream:
            shaped["stream"] = True
        else:
            shaped.pop("stream", None)
            shaped.pop("stream_options", None)
        return shaped


def out_of_budget() -> GatewayError:
    """What a client is told whose budget does not allow the next call."""
    what = "What is left of the budget does not cover this request; ask for less (max_tokens) or raise the limit."
    return GatewayError(429, what, kind="insufficient_quota", code="insufficient_quota")
