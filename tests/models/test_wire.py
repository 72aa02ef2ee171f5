"""The wire format: no bytes make the reader raise, and a stream reads the same however it is cut into chunks."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.models import wire
from homespun.models.client import read_lines

KEYS = st.sampled_from(
    ["choices", "message", "content", "text", "delta", "index", "finish_reason", "logprobs", "logprob", "top_logprobs",
     "token", "usage", "prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens", "error"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)
OBJECT = st.dictionaries(KEYS, JSON, max_size=5)


def usable(outcome: wire.Completion | wire.Broken) -> bool:
    if isinstance(outcome, wire.Broken):
        return bool(outcome.reason)
    for choice in outcome.choices:
        choice.text.encode()
        assert all(-9999 <= value <= 0 for value in choice.logprobs)
    return True


@given(st.binary(max_size=200) | OBJECT.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_the_reader_raise(body):
    assert usable(wire.read_completion(body))


@given(st.lists(st.binary(max_size=60) | OBJECT.map(lambda value: json.dumps(value).encode()), max_size=6))
def test_no_stream_makes_the_reader_raise(events):
    reader = wire.StreamReader()
    for event in events:
        reader.feed(b"data: " + event)
    assert usable(reader.result())


@given(st.lists(st.text(max_size=10), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_stream_reads_the_same_however_it_is_cut(parts, random):
    events = [{"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]} for part in parts]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    stream = b"".join(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\r\n\r\n" for event in events)
    cuts = sorted(random.randrange(len(stream)) for _ in range(5))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def read() -> wire.Completion | wire.Broken:
        reader = wire.StreamReader()
        async for line in read_lines(chunks(), 10_000):
            reader.feed(line)
        return reader.result()

    outcome = asyncio.run(read())
    assert isinstance(outcome, wire.Completion)
    assert outcome.choices[0].text == "".join(parts)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 1000), min_size=1, max_size=9))
def test_shares_add_up_and_follow_their_weights(total, weights):
    shares = wire.split_evenly(total, weights)
    assert sum(shares) == total
    exact = [total * (weight + 1) / sum(w + 1 for w in weights) for weight in weights]
    assert all(abs(share - wanted) < 1 for share, wanted in zip(shares, exact, strict=True))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("3", 3), ("2.5", 2.5), ("-4", 0), ("soon", None), ("inf", None), ("nan", None), ("", None)],
)
def test_retry_after_in_seconds(header, seconds):
    assert wire.read_retry_after(header) == seconds


def test_retry_after_as_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert wire.read_retry_after(later) == pytest.approx(90, abs=2)
    assert wire.read_retry_after("Tue, 15 Nov 1994 08:12:31 GMT") == 0
    assert wire.read_retry_after("Tue, 15 Nov 1994 08:12:31 -0000") is not None
