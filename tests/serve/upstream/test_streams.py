"""Streams: complete ones end cleanly, cut ones never do, and nothing is tried again once an event is out."""

import asyncio

import pytest

from homespun.serve.gateway.chunks import Assembler
from homespun.serve.gateway.config import Retries, Timeouts
from homespun.serve.gateway.types import UpstreamError

pytestmark = pytest.mark.anyio


def text(events) -> str:
    assembler = Assembler()
    for event in events:
        assembler.feed(event)
    return assembler.text


@pytest.mark.parametrize("mode", ["ok", "no-done", "abort-after-finish", "trickle"])
async def test_a_complete_stream_ends_cleanly(faulty, asking, mode):
    asker = asking(mode)
    events, error = await asker.stream(mode)
    assert error is None
    assert text(events) == "Plain cloth lasts."
    assert asker.outcomes == ["ok"]
    assert asker.attempts[0].first_byte_seconds <= asker.attempts[0].seconds
    if mode != "abort-after-finish":
        assert asker.billed == 17
        assert not asker.attempts[0].usage.estimated


async def test_usage_is_always_asked_for_and_told_only_to_who_asked(faulty, asking):
    asker = asking("ok")
    quiet, _ = await asker.stream("ok")
    asked, _ = await asker.stream("ok", stream_options={"include_usage": True, "include_obfuscation": False})
    assert [call.body["stream_options"]["include_usage"] for call in faulty.calls] == [True, True]
    assert faulty.calls[1].body["stream_options"]["include_obfuscation"] is False
    assert all(event["choices"] for event in quiet)
    assert asked[-1]["usage"]["prompt_tokens"] == 12
    assert asked[:-1] == quiet
    assert [attempt.usage.estimated for attempt in asker.attempts] == [False, False]


@pytest.mark.parametrize("mode", ["cut", "cut-hard", "no-finish", "error-event"])
async def test_a_cut_stream_never_ends_cleanly_and_is_billed_for_what_came(faulty, asking, mode):
    asker = asking(mode, "ok", fallbacks=("ok",))
    events, error = await asker.stream(mode)
    assert isinstance(error, UpstreamError)
    assert text(events)
    assert faulty.modes == [mode]  # no second call after the first event
    [attempt] = asker.attempts
    assert attempt.outcome == "cut"
    assert attempt.usage.estimated
    assert attempt.usage.output > 0
    assert attempt.nanodollars == attempt.usage.input * 1000 + attempt.usage.output * 2000
    assert "sk-1234567890" not in str(error)


async def test_an_error_that_comes_with_the_first_events_is_tried_again(faulty, asking):
    asker = asking("error-at-once*1")
    events, error = await asker.stream("error-at-once*1")
    assert error is None
    assert text(events) == "Plain cloth lasts."
    assert faulty.modes == ["error-at-once", "ok"]
    assert asker.outcomes == ["error", "ok"]
    assert asker.attempts[0].usage.output == 1  # three bytes came, and may be billed


async def test_a_stream_without_events_was_not_begun_and_is_tried_again(faulty, asking):
    asker = asking("empty*1")
    _, error = await asker.stream("empty*1")
    assert error is None
    assert faulty.modes == ["empty", "ok"]


async def test_a_stream_that_falls_silent_is_a_timeout(faulty, asking):
    asker = asking("stall", timeouts=Timeouts(idle=0.1))
    events, error = await asker.stream("stall")
    assert len(events) == 3
    assert error.reason == "timeout"
    assert asker.outcomes == ["timeout"]
    assert asker.attempts[0].usage.output > 0


async def test_tools_arrive_piece_by_piece(faulty, asking):
    asker = asking("tools")
    events, error = await asker.stream("tools")
    assert error is None
    assembler = Assembler()
    for event in events:
        assembler.feed(event)
    [call] = assembler.body["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": '{"a":1}'}


@pytest.mark.parametrize("taken", [0, 2])
async def test_who_leaves_closes_the_upstream_and_pays_for_what_came(faulty, asking, taken):
    asker = asking("stall")
    reply = await asker.ask("stall", stream=True)
    for _ in range(taken):
        await anext(reply.events)
    await reply.events.aclose()  # also before the first event was taken
    assert asker.outcomes == ["cancelled"]
    assert asker.attempts[0].usage.estimated
    assert asker.attempts[0].usage.input > 0
    await asyncio.sleep(0.05)
    assert faulty.calls[0].closed_early
    with pytest.raises(StopAsyncIteration):
        await anext(reply.events)
    await reply.events.aclose()
    assert asker.fleet.health()[0]["running"] == 0


async def test_a_reader_that_is_cancelled_closes_the_upstream(faulty, asking):
    asker = asking("stall")
    reply = await asker.ask("stall", stream=True)

    async def read():
        async for _ in reply.events:
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asker.outcomes == ["cancelled"]
    await asyncio.sleep(0.05)
    assert faulty.calls[0].closed_early


async def test_a_connection_whose_last_bytes_come_late_is_used_again(faulty, asking):
    asker = asking("late-end")
    for _ in range(3):
        assert (await asker.stream("late-end"))[1] is None
        await asyncio.sleep(0.08)
    assert len({call.port for call in faulty.calls}) == 1


async def test_a_connection_is_used_again_after_whole_answers_and_streams(faulty, asking):
    asker = asking("ok")
    for _ in range(3):
        await asker.ask("ok")
        await asker.stream("ok")
        await asyncio.sleep(0.02)
    assert len(faulty.calls) == 6
    assert len({call.port for call in faulty.calls}) == 1


async def test_a_stream_ends_at_the_deadline(faulty, asking):
    asker = asking("stall", retries=Retries(attempts=1))
    events, error = await asker.stream("stall", seconds=0.2)
    assert events
    assert error.reason == "timeout"
