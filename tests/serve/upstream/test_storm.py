"""Two thousand calls of which a fifth go wrong: all are answered or failed rightly, and the books equal the stub's."""

import asyncio
import random
from collections import Counter

import pytest

from homespun.serve.gateway.config import Retries, Target
from homespun.serve.gateway.types import Attempt, Call, UpstreamError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CALLS, AT_ONCE = 2000, 32
STREAM_FAULTS = ("429", "500", "503", "reset", "error-200", "empty", "cut", "cut-hard", "no-finish", "error-event")


@pytest.mark.parametrize("fallback", [False, True])
async def test_a_storm(faulty, asking, fallback):
    faulty.faults = (*faulty.faults, *STREAM_FAULTS)
    names = ("random", "spare") if fallback else ("random",)
    targets = [
        Target(
            name=name, model="random", url=faulty.url, private=True, price={"input": 1.0, "output": 2.0},
            fallbacks=("spare",) if fallback and name == "random" else (),
        )
        for name in names
    ]  # fmt: skip
    fleet = asking(targets=targets, retries=Retries(attempts=3, base=0.001, cap=0.004, breaker_failures=1000)).fleet
    rng, seen, books = random.Random(5), Counter[str](), list[Attempt]()
    queue = iter(range(CALLS))
    loop = asyncio.get_running_loop()

    async def worker() -> None:
        for _ in queue:
            attempts: list[Attempt] = []
            stream, leaves = rng.random() < 0.4, rng.random() < 0.1
            body = {"messages": [{"role": "user", "content": "What lasts?"}], "max_tokens": 50}
            call = Call("/chat/completions", body, stream, loop.time() + 30, budget=10**7)
            seen[await one(call, attempts, leaves)] += 1
            books.extend(attempts)

    async def one(call: Call, attempts: list[Attempt], leaves: bool) -> str:
        emitted = False
        try:
            reply = await fleet.call("random", call, attempts)
            if not call.stream:
                assert reply.body["choices"][0]["message"]["content"] == "Plain cloth lasts."
                assert attempts[-1].outcome == "ok"
                return "answered"
            calls_before = len(attempts)
            text = ""
            async for event in reply.events:
                emitted = True
                text += event.json["choices"][0]["delta"].get("content") or ""
                if leaves and text:
                    await reply.events.aclose()
                    assert attempts[-1].outcome == "cancelled"
                    return "left"
            assert text == "Plain cloth lasts."  # nothing that was cut ends cleanly
            assert attempts[-1].outcome == "ok"
            assert len(attempts) == calls_before
            return "answered"
        except UpstreamError as caught:
            error = caught
        assert error.status in (429, 502, 503)
        assert error.body()["error"]["message"]
        assert attempts[-1].outcome in (("cut",) if emitted else ("error", "cut"))
        return "cut" if emitted else "failed"

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())

    assert sum(seen.values()) == CALLS
    assert seen["answered"] > 0.8 * CALLS
    assert seen["left"] and seen["cut"]  # noqa: PT018
    assert len(books) == len(faulty.calls)
    assert len({attempt.id for attempt in books}) == len(books)
    assert "interrupted" not in {attempt.outcome for attempt in books}
    whole = [attempt for attempt in books if attempt.outcome == "ok"]
    billed = [call for call in faulty.calls if call.billed == 17]
    assert len(billed) - seen["left"] <= len(whole) <= len(billed)  # who left may have had the last word sent to him
    assert all((a.usage.input, a.usage.output, a.usage.estimated) == (12, 5, False) for a in whole)
    assert sum(attempt.nanodollars for attempt in whole) == len(whole) * 22_000
    assert all(row["running"] == 0 for row in fleet.health())
    assert sum(row["calls"] for row in fleet.health()) == len(books)
