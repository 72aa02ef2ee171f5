"""A fleet that does what a script says, with the interface of the real one, and a switchboard before it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from homespun.serve.gateway.chunks import split
from homespun.serve.gateway.config import GatewayConfig, parse
from homespun.serve.gateway.routes import Ask, Switchboard
from homespun.serve.gateway.types import Attempt, Call, Event, Reply, Routed, UpstreamError, Usage

NANO = 1_000_000_000


def completion(text: str | None = "yes", *, finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


class Cut(Exception):
    """A stream that breaks after so many events."""

    def __init__(self, after: int) -> None:
        super().__init__(after)
        self.after = after


class FakeFleet:
    """Targets by script: each call takes the next entry, the last one is kept; an entry may be a function of the body.

    A text or a completion is answered, an UpstreamError raised, a number waited for; a price is dollars per call.
    """

    def __init__(self, scripts: dict[str, Any], prices: dict[str, float] | None = None) -> None:
        self.scripts = {name: list(value) if isinstance(value, list) else [value] for name, value in scripts.items()}
        self.prices = prices or {}
        self.log: list[tuple[str, Call]] = []
        self.started: list[Attempt] = []
        self.fallbacks: list[bool] = []
        self.refuses: dict[str, str] = {}
        self.closed = 0

    def asked(self, purpose: str = "answer") -> list[str]:
        return [name for name, call in self.log if call.purpose == purpose]

    def bound(self, target: str, body: dict[str, Any]) -> tuple[int, int]:
        return 100, round(self.prices.get(target, 0.0) * NANO)

    def bounded(self, target: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"max_tokens": 100, **body}

    def serves(self, target: str, body: dict[str, Any]) -> str | None:
        return self.refuses.get(target)

    async def call(self, target: str, call: Call, attempts: list[Attempt], *, fallbacks: bool = True) -> Reply:
        attempt = Attempt(target=target, purpose=call.purpose, time=0.0)
        attempts.append(attempt)
        self.started.append(attempt)
        self.log.append((target, call))
        self.fallbacks.append(fallbacks)
        script = self.scripts[target]
        entry = script.pop(0) if len(script) > 1 else script[0]
        if callable(entry):
            entry = entry(call.body)
        if isinstance(entry, (int, float)):
            await asyncio.sleep(entry)
            attempt.outcome = "timeout"
            raise UpstreamError("timeout", f"{target} took too long", status=504)
        if isinstance(entry, UpstreamError):
            attempt.outcome = "error"
            raise entry
        attempt.nanodollars = round(self.prices.get(target, 0.0) * NANO)
        attempt.usage = Usage(10, 0, 5, 0)
        attempt.outcome = "ok"
        if isinstance(entry, Cut):
            return Reply(target, attempt, events=self._events(completion("a long story"), entry.after))
        body = entry if isinstance(entry, dict) else completion(entry)
        if call.stream:
            return Reply(target, attempt, events=self._events(body, None))
        return Reply(target, attempt, body=body, raw=json.dumps(body).encode())

    async def _events(self, body: dict[str, Any], cut: int | None) -> AsyncGenerator[Event]:
        try:
            for place, event in enumerate(split(body, usage=True)):
                if place == cut:
                    raise UpstreamError("cut", "the stream was cut")
                yield event
        finally:
            self.closed += 1


def fail(reason: str = "status", status: int = 502) -> UpstreamError:
    return UpstreamError(reason, f"failed: {reason}", status=status)


def settings(names: list[str], **sections: Any) -> GatewayConfig:
    """Settings with these targets; ``auto`` and others as sections; capabilities by ``capabilities={name: [...]}``."""
    able = sections.pop("capabilities", {})
    arms = sections.pop("arms", {})
    targets = [
        {"name": name, "kind": "scripted", "model": "echo", "capabilities": able.get(name, ["tools", "json"])}
        | ({"arm": arms[name]} if name in arms else {})
        for name in names
    ]
    return parse({"target": targets, **sections})


class Board:
    """A switchboard on a fake fleet, and what it was asked."""

    def __init__(self, config: GatewayConfig, fleet: FakeFleet, **parts: Any) -> None:
        self.config, self.fleet, self.parts = config, fleet, parts
        self.attempts: list[Attempt] = []

    def ask(self, text: str = "What is it?", *, seconds: float = 30.0, **fields: Any) -> Routed:
        """One answer, its stream read to the end into ``self.events``."""
        return asyncio.run(self._ask(text, seconds, fields, None))

    def run(self, work: Callable[[Switchboard], Any]) -> Any:
        """Anything with a switchboard."""

        async def inside() -> Any:
            board = Switchboard(self.config, self.fleet, **self.parts)
            try:
                return await work(board)
            finally:
                await board.close()

        return asyncio.run(inside())

    async def _ask(self, text: str, seconds: float, fields: dict[str, Any], board: Switchboard | None) -> Routed:
        own = board is None
        board = board or Switchboard(self.config, self.fleet, **self.parts)
        try:
            ask = self.make(text, seconds, **fields)
            routed = await board.answer(ask, self.attempts)
            self.events = [e async for e in routed.reply.events] if routed.reply.events is not None else []
            return routed
        finally:
            if own:
                await board.close()

    @staticmethod
    def make(text: str, seconds: float = 30.0, **fields: Any) -> Ask:
        body = {"model": "homespun/auto", "messages": [{"role": "user", "content": text}], **fields.pop("body", {})}
        loop = asyncio.get_running_loop()
        given = {"request_id": "r", "stream": False, "dial": "balanced", "deadline": loop.time() + seconds, **fields}
        return Ask(body=body, **given)


@pytest.fixture
def fakes() -> Any:
    """The names above, since test modules here cannot import one another."""
    from types import SimpleNamespace

    return SimpleNamespace(
        Board=Board, FakeFleet=FakeFleet, completion=completion, fail=fail, settings=settings, Cut=Cut
    )
