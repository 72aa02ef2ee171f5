"""For each fault of an upstream: what the caller sees, how often it was called, and what is on the books."""

import asyncio
from typing import Any

import orjson
import pytest

from homespun.serve.gateway.config import Retries, Target, Timeouts
from homespun.serve.gateway.types import UpstreamError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_whole_answer_is_handed_on_byte_for_byte_and_priced(faulty, asking):
    asker = asking("ok")
    reply = await asker.ask("ok")
    assert orjson.loads(reply.raw) == reply.body
    assert reply.body["choices"][0]["message"]["content"] == "Plain cloth lasts."
    [attempt] = asker.attempts
    assert (attempt.outcome, attempt.status, attempt.usage.input, attempt.usage.output) == ("ok", 200, 12, 5)
    assert attempt.nanodollars == 12 * 1000 + 5 * 2000
    assert not attempt.usage.estimated
    assert reply.attempt is attempt
    assert 0 < attempt.seconds < 5


async def test_unknown_fields_travel_and_the_model_is_the_targets(faulty, asking):
    asker = asking(
        targets=[Target(name="mine", model="echo", url=faulty.url, private=True, price={"input": 1, "output": 1})]
    )
    await asker.ask("mine", model="whatever", thinking={"budget": 7}, seed=3, stream_options={"x": 1})
    [seen] = faulty.calls
    assert seen.body["model"] == "echo"
    assert seen.body["thinking"] == {"budget": 7}
    assert seen.body["seed"] == 3
    assert "stream_options" not in seen.body  # belongs to streams only, and providers refuse it elsewhere


@pytest.mark.parametrize(
    "mode", ["429", "408", "409", "500", "503", "garbage", "not-json", "no-choices", "error-200", "reset"]
)
async def test_what_may_pass_is_tried_again_and_every_attempt_is_on_the_books(faulty, asking, mode):
    asker = asking(f"{mode}*2")
    reply = await asker.ask(f"{mode}*2")
    assert reply.body["choices"]
    assert faulty.modes == [mode, mode, "ok"]
    assert asker.outcomes == ["error", "error", "ok"]
    assert len({attempt.id for attempt in asker.attempts}) == 3
    assert all(attempt.error for attempt in asker.attempts[:2])


@pytest.mark.parametrize(
    ("mode", "reason", "status", "upstream_status"),
    [
        ("429", "status", 429, 429), ("500", "status", 502, 500), ("503", "status", 503, 503),
        ("garbage", "garbage", 502, None), ("not-json", "garbage", 502, None), ("no-choices", "garbage", 502, None),
        ("error-200", "garbage", 502, None), ("reset", "reset", 502, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_what_does_not_pass_fails_after_all_attempts(
    faulty, asking, mode, reason, status, upstream_status, stream
):
    asker = asking(mode)
    with pytest.raises(UpstreamError) as caught:
        await asker.ask(mode, stream=stream)
    error = caught.value
    assert (error.reason, error.status, error.upstream_status) == (reason, status, upstream_status)
    assert len(faulty.calls) == len(asker.attempts) == 3
    assert error.body()["error"]["message"]


async def test_garbage_with_status_200_may_be_billed_and_is_booked_as_an_estimate(faulty, asking):
    asker = asking("not-json", retries=Retries(attempts=1))
    with pytest.raises(UpstreamError):
        await asker.ask("not-json")
    [attempt] = asker.attempts
    assert attempt.usage.estimated
    assert attempt.usage.output == len(b"<html>welcome</html>") / 4
    assert attempt.nanodollars > 0


async def test_retry_after_is_waited_for(faulty, asking):
    asker = asking("429-after*1")
    started = asyncio.get_running_loop().time()
    await asker.ask("429-after*1")
    assert asyncio.get_running_loop().time() - started >= 0.05
    assert faulty.modes == ["429-after", "ok"]


async def test_a_retry_after_beyond_the_deadline_goes_to_the_fallback_at_once(faulty, asking):
    asker = asking("429-long", "ok", fallbacks=("ok",))
    reply = await asker.ask("429-long", seconds=3.0)
    assert reply.target == "ok"
    assert faulty.modes == ["429-long", "ok"]
    with pytest.raises(UpstreamError) as caught:  # the key is still cooling: nobody is called
        await asker.ask("429-long", seconds=3.0, fallbacks=False)
    assert caught.value.status == 429
    assert caught.value.retry_after > 3000
    assert len(faulty.calls) == 2


@pytest.mark.parametrize(
    ("mode", "status", "code"), [("400", 400, "bad_value"), ("404", 404, "model_not_found"), ("422", 422, None)]
)
async def test_the_clients_own_error_passes_through_once(faulty, asking, mode, status, code, monkeypatch):
    monkeypatch.setenv("UP_KEY", "sk-very-secret-key-1")
    asker = asking(mode, "ok", fallbacks=("ok",), key_env="UP_KEY")
    with pytest.raises(UpstreamError) as caught:
        await asker.ask(mode)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert faulty.modes == [mode]
    assert "secret" not in str(caught.value.body())
    assert "secret" not in str(asker.attempts)
    assert asker.billed == 0


async def test_a_redirect_is_not_followed(faulty, asking):
    asker = asking("redirect")
    with pytest.raises(UpstreamError, match="redirect") as caught:
        await asker.ask("redirect")
    assert caught.value.reason == "refused"
    assert len(faulty.calls) == 1


async def test_a_huge_answer_is_not_read_to_its_end(faulty, asking):
    asker = asking("huge")
    with pytest.raises(UpstreamError, match="larger than"):
        await asker.ask("huge")
    assert len(faulty.calls) == 1


async def test_a_hang_ends_at_the_deadline_and_the_connection_is_closed(faulty, asking):
    asker = asking("hang")
    with pytest.raises(UpstreamError) as caught:
        await asker.ask("hang", seconds=0.15)
    assert (caught.value.reason, caught.value.status) == ("timeout", 504)
    assert asker.outcomes == ["timeout"]
    await asyncio.sleep(0.05)
    assert faulty.calls[0].closed_early


async def test_a_target_that_hangs_leaves_time_for_its_fallback(faulty, asking):
    slow = Target(
        name="slow", model="hang", url=faulty.url, private=True, price={"input": 1, "output": 1},
        timeouts=Timeouts(total=0.1), fallbacks=("ok",),
    )  # fmt: skip
    asker = asking("ok", targets=[slow], retries=Retries(attempts=1))
    assert (await asker.ask("slow")).target == "ok"
    assert asker.outcomes == ["timeout", "ok"]


async def test_a_slow_first_event_of_a_stream_is_tried_again_elsewhere(faulty, asking):
    asker = asking("slow", "ok", timeouts=Timeouts(first_token=0.1), fallbacks=("ok",), retries=Retries(attempts=1))
    reply = await asker.ask("slow", stream=True)
    assert reply.target == "ok"
    assert [event async for event in reply.events]
    assert asker.outcomes == ["timeout", "ok"]


async def test_the_deadline_ends_the_retries(faulty, asking):
    asker = asking("500", retries=Retries(attempts=10, base=5.0, cap=20.0))
    with pytest.raises(UpstreamError):
        await asker.ask("500", seconds=0.2)
    assert 1 <= len(faulty.calls) <= 4


async def test_nobody_listens(asking):
    asker = asking(
        targets=[
            Target(name="gone", model="m", url="http://127.0.0.1:9/v1", private=True, price={"input": 1, "output": 1})
        ]
    )
    with pytest.raises(UpstreamError) as caught:
        await asker.ask("gone")
    assert caught.value.reason == "connect"
    assert [a.status for a in asker.attempts] == [None] * 3
    assert asker.billed == 0


async def test_a_cancelled_call_closes_the_connection_and_stays_on_the_books(faulty, asking):
    asker = asking("hang")
    task = asyncio.create_task(asker.ask("hang"))
    while not faulty.calls:
        await asyncio.sleep(0.01)
    assert [attempt.outcome for attempt in asker.attempts] == ["interrupted"]  # there from its start
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asker.outcomes == ["cancelled"]
    await asyncio.sleep(0.05)
    assert faulty.calls[0].closed_early


@pytest.mark.parametrize("mode", ["usage-negative", "usage-text", "usage-absurd", "usage-zero", "usage-none"])
@pytest.mark.parametrize("stream", [False, True])
async def test_usage_that_cannot_be_true_is_replaced_by_an_estimate(faulty, asking, mode, stream):
    asker = asking(mode)
    if stream:
        assert (await asker.stream(mode))[1] is None
    else:
        await asker.ask(mode)
    usage = asker.attempts[0].usage
    assert usage.estimated
    assert 0 < usage.input < 50
    assert usage.output == 5  # 18 bytes, four to a token
    assert asker.attempts[0].nanodollars == usage.input * 1000 + usage.output * 2000


@pytest.mark.parametrize("stream", [False, True])
async def test_cached_and_reasoning_tokens_have_their_own_rates(faulty, asking, stream):
    price = {"input": 1.0, "cached_input": 0.25, "output": 2.0, "reasoning": 3.0}
    asker = asking("cached", price=price)
    if stream:
        await asker.stream("cached")
    else:
        await asker.ask("cached")
    usage = asker.attempts[0].usage
    assert (usage.input, usage.cached, usage.output, usage.reasoning) == (12, 8, 5, 3)
    assert asker.attempts[0].nanodollars == 4 * 1000 + 8 * 250 + 2 * 2000 + 3 * 3000


async def test_embeddings_have_input_only(faulty, asking):
    asker = asking("ok", capabilities={"embeddings"})
    reply = await asker.fleet.call("ok", _embedding(), asker.attempts)
    assert reply.body["data"]
    assert (asker.attempts[0].usage.input, asker.attempts[0].usage.output) == (12, 0)
    assert not asker.attempts[0].usage.estimated


def _embedding() -> Any:
    from homespun.serve.gateway.types import Call

    return Call("/embeddings", {"input": "cloth, plain and cheap", "model": "ok"}, deadline=0.0, purpose="embedding")
