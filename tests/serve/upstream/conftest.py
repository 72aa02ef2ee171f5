"""The faulty upstream, and fleets in front of it."""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from homespun.serve.gateway.config import GatewayConfig, Price, Retries, Target, Timeouts
from homespun.serve.gateway.types import Attempt, Call, Reply
from homespun.serve.gateway.upstream import Fleet

PRICE = Price(input=1.0, output=2.0)
FAST = Retries(attempts=3, base=0.001, cap=0.01, breaker_failures=50)
BODY = {"messages": [{"role": "user", "content": "What lasts?"}], "max_tokens": 50}


def _load() -> ModuleType:
    if "faulty" not in sys.modules:  # tests are no package: the stub is loaded by its path, once
        spec = importlib.util.spec_from_file_location("faulty", Path(__file__).with_name("faulty.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules["faulty"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["faulty"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def stub_module() -> ModuleType:
    """The module of the stub."""
    return _load()


@pytest.fixture
async def faulty(anyio_backend: str, stub_module: ModuleType) -> AsyncIterator[Any]:
    """A stub that serves."""
    stub = stub_module.Faulty()
    runner = await stub_module.serve(stub)
    yield stub
    stub.released.set()
    await runner.cleanup()


class Asker:
    """A fleet, the rows that its calls left, and short ways to ask."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.attempts = fleet, list[Attempt]()

    async def ask(self, target: str, *, seconds: float = 5.0, stream: bool = False, **fields: Any) -> Reply:
        fallbacks = fields.pop("fallbacks", True)
        call = Call(fields.pop("path", "/chat/completions"), {**BODY, **fields}, stream)
        call.budget, call.covers = fields.pop("budget", None), fields.pop("covers", None)
        for ours in ("budget", "covers"):
            call.body.pop(ours, None)
        call.deadline = asyncio.get_running_loop().time() + seconds
        return await self.fleet.call(target, call, self.attempts, fallbacks=fallbacks)

    async def stream(self, target: str, **fields: Any) -> tuple[list[dict[str, Any]], BaseException | None]:
        """All events of a stream and how it ended; failing to open raises."""
        reply = await self.ask(target, stream=True, **fields)
        events: list[dict[str, Any]] = []
        try:
            async for event in reply.events:
                events.append(event.json)
        except Exception as error:
            return events, error
        return events, None

    @property
    def outcomes(self) -> list[str]:
        return [attempt.outcome for attempt in self.attempts]

    @property
    def billed(self) -> int:
        """Tokens on the books."""
        return sum(attempt.usage.input + attempt.usage.output for attempt in self.attempts)


@pytest.fixture
async def asking(faulty: Any) -> AsyncIterator[Callable[..., Asker]]:
    """Makes a fleet: each mode names a target; keyword ``targets`` gives them in full."""
    made: list[Fleet] = []

    def make(*modes: str, retries: Retries = FAST, timeouts: Timeouts | None = None, **fields: Any) -> Asker:
        fields = {"url": faulty.url, "private": True, "price": PRICE} | fields
        more = fields.pop("targets", ())
        targets = [Target(name=mode, model=mode, **fields) for mode in modes]
        config = GatewayConfig(target=(*targets, *more), retries=retries, timeouts=timeouts or Timeouts())
        made.append(Fleet(config))
        return Asker(made[-1])

    yield make
    for fleet in made:
        await fleet.close()
