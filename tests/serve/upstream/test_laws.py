"""What holds of events, bounds, prices and breakers whatever comes."""

import math
from contextlib import suppress
from fractions import Fraction

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from homespun.errors import ConfigError
from homespun.runs.cost import price as table_price
from homespun.serve.gateway.config import Price, Retries, Target
from homespun.serve.gateway.types import Usage
from homespun.serve.gateway.upstream import usage as counting
from homespun.serve.gateway.upstream.breaker import Breaker
from homespun.serve.gateway.upstream.capability import limit_field, objection
from homespun.serve.gateway.upstream.failure import Failed, refusal, scrub
from homespun.serve.gateway.upstream.price import tariff
from homespun.serve.gateway.upstream.reading import StreamReading
from homespun.serve.gateway.upstream.retry import cooling, pause
from homespun.serve.gateway.upstream.sse import EventParser
from homespun.serve.gateway.upstream.stats import quantile

pytestmark = pytest.mark.slow

# --- server-sent events -----------------------------------------------------------------------------------------

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.sampled_from(
    [
        b"",
        b"data: a",
        b"data:b",
        b"data",
        b"data:  two",
        b": comment",
        b"event: x",
        b"id: 1",
        b"datax: no",
        b"data: \xc3\xa9",
    ]
)
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=30).map(lambda rows: b"".join(line + end for line, end in rows))


def reference(stream: bytes) -> list[bytes]:
    """The standard's algorithm on the whole stream."""
    events, data = [], []
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in text.split(b"\n")[:-1]:
        name, _, value = line.partition(b":")
        if not line:
            events += [b"\n".join(data)] if data else []
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
    return events


@given(stream=STREAMS, mark=st.booleans(), data=st.data())
@settings(max_examples=300)
def test_events_do_not_depend_on_how_the_stream_is_cut(stream, mark, data):
    stream = (b"\xef\xbb\xbf" if mark else b"") + stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parser = EventParser()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += parser.feed(stream[start:end])
    found += parser.feed(b"")
    whole = reference(stream)
    assert found == whole or (stream.endswith(b"\r") and found == whole[:-1])  # a last CR may be half a CRLF


def test_an_event_without_end_is_refused():
    parser = EventParser(most=100)
    for _ in range(9):
        assert parser.feed(b"data: aaaaa") == []
    with pytest.raises(Failed, match="larger than 100"):
        parser.feed(b"data: aaaaa")


def test_a_closing_mark_without_blank_line_counts_and_nothing_else_does():
    for rest, expected in [(b"data: [DONE]", b"[DONE]"), (b"data: [DONE]\n", b"[DONE]"), (b'data: {"a":1}\n', None)]:
        parser = EventParser()
        assert parser.feed(rest) == []
        assert parser.last() == expected


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, "stop", "length"])), max_size=12), st.booleans())
def test_a_stream_is_complete_if_it_says_so_or_all_its_choices_finished(pieces, done):
    reading = StreamReading("t", "/chat/completions", 1, keep_usage=False)
    open_choices = {0}
    for index, finish in pieces:
        choice = {"index": index, "delta": {"content": "x"}, "finish_reason": finish}
        reading.take(orjson.dumps({"choices": [choice]}))
        if finish:
            open_choices.discard(index)
        elif not any(i == index and f for i, f in pieces[: pieces.index((index, finish))]):
            open_choices.add(index)
    finished = {index for index, finish in pieces if finish}
    seen = {index for index, _ in pieces} | {0}
    if done:
        reading.take(b"[DONE]")
    assert reading.complete == (bool(pieces) and (done or seen == finished))
    assert reading.made == len(pieces)


FIELDS = st.sampled_from(["choices", "usage", "error", "index", "delta", "type", "response"])
SCALARS = st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=3)
NESTED = st.recursive(SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(FIELDS, x, max_size=3), max_leaves=8)


@given(st.binary(max_size=40) | NESTED.map(orjson.dumps))
@settings(max_examples=300)
def test_whatever_an_event_holds_is_read_or_refused(data):
    for path in ("/chat/completions", "/responses"):
        reading = StreamReading("t", path, 1, keep_usage=True)
        with suppress(Failed):  # and nothing else is raised
            event = reading.take(data)
            assert event is None or isinstance(event.json, dict)


# --- money ------------------------------------------------------------------------------------------------------

RATES = st.floats(0, 1000, allow_nan=False).map(lambda x: round(x, 6))
PRICES = st.builds(Price, input=RATES, output=RATES, cached_input=st.none() | RATES, reasoning=st.none() | RATES)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@st.composite
def bodies(draw):
    body = {
        "messages": [{"role": "user", "content": text} for text in draw(st.lists(TEXTS, min_size=1, max_size=4))],
        draw(st.sampled_from(["max_tokens", "max_completion_tokens"])): draw(st.integers(1, 5000)),
    }
    if draw(st.booleans()):
        body["n"] = draw(st.integers(1, 5))
    if draw(st.booleans()):
        body["tools"] = [{"type": "function", "function": {"name": "f", "description": draw(TEXTS)}}]
    return body


@given(body=bodies(), price=PRICES, data=st.data())
@settings(max_examples=200)
def test_no_reply_that_keeps_to_its_limits_costs_more_than_the_bound(body, price, data):
    target = Target(name="t", model="m", url="https://example.org", price=price)
    rates, most = tariff(target), counting.bound(target, body)
    limit = body.get("max_tokens") or body["max_completion_tokens"]
    given_bytes = sum(len(m["content"].encode()) for m in body["messages"]) + len(orjson.dumps(body.get("tools", "")))
    read = data.draw(st.integers(0, given_bytes + 16 * len(body["messages"])))
    made = sum(data.draw(st.integers(0, limit)) for _ in range(body.get("n", 1)))
    usage = Usage(read, data.draw(st.integers(0, read)), made, data.draw(st.integers(0, made)))
    assert rates.cost(usage) <= rates.most(most)
    report = {
        "prompt_tokens": usage.input, "completion_tokens": usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }  # fmt: skip
    if usage.input and usage.output:
        assert counting.read_usage(report, most) == usage


COUNTS = st.sampled_from(["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens"])
DETAILS = st.sampled_from(["prompt_tokens_details", "completion_tokens_details"])
PARTS = st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens"]), st.integers() | st.text(max_size=2))
ODD = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.booleans() | PARTS


@given(bodies(), PRICES, st.dictionaries(COUNTS | DETAILS, ODD), st.integers(0, 10**6))
@settings(max_examples=300)
def test_whatever_a_provider_reports_what_is_booked_stays_within_the_bound(body, price, report, made):
    target = Target(name="t", model="m", url="https://example.org", price=price)
    rates, most = tariff(target), counting.bound(target, body)
    booked = counting.believed(report, most, body, lambda: made)
    assert 0 <= rates.cost(booked) <= rates.most(most)


@pytest.mark.parametrize(
    ("given_tokens", "made", "cached", "thought", "ok"),
    [(100, 50, 100, 50, True), (101, 50, 0, 0, False), (100, 51, 0, 0, False), (9, 1, 10, 0, False),
     (9, 1, 0, 2, False), (0, 1, 0, 0, False), (True, 1, 0, 0, False), (9.0, 1, 0, 0, False), (9, 0, 0, 0, True)],
)  # fmt: skip
def test_the_edges_of_what_is_believed(given_tokens, made, cached, thought, ok):
    report = {
        "prompt_tokens": given_tokens, "completion_tokens": made,
        "prompt_tokens_details": {"cached_tokens": cached}, "completion_tokens_details": {"reasoning_tokens": thought},
    }  # fmt: skip
    assert (counting.read_usage(report, counting.Bound(100, 50)) is not None) == ok


@given(PRICES, st.integers(0, 10**6), st.integers(0, 10**6), st.data())
def test_a_price_is_the_exact_sum_rounded_up_once(price, read, made, data):
    cached, thought = data.draw(st.integers(0, read)), data.draw(st.integers(0, made))
    rates = [price.input, price.input if price.cached_input is None else price.cached_input]
    rates += [price.output, price.output if price.reasoning is None else price.reasoning]
    counts = [read - cached, cached, made - thought, thought]
    exact = sum((Fraction(str(rate)) * count * 1000 for rate, count in zip(rates, counts, strict=True)), Fraction(0))
    target = Target(name="t", model="m", url="https://example.org", price=price)
    assert tariff(target).cost(Usage(read, cached, made, thought)) == math.ceil(exact)


def test_the_dated_table_is_asked_and_an_unknown_model_names_its_target():
    target = Target(name="t", model="gpt-4o-mini", url="https://example.org")
    rates = table_price("gpt-4o-mini")
    assert tariff(target).cost(Usage(1000, 0, 500)) == math.ceil((1000 * rates.input + 500 * rates.output) * 1000)
    unknown = Target(name="mine", model="no-such-model-at-all", url="https://example.org")
    with pytest.raises(ConfigError, match=r"target 'mine'.*price = \{ input"):
        tariff(unknown)
    recorded = Target(name="r", model="gpt-4", kind="recorded", strategy="cot")
    assert tariff(recorded).cost(Usage(1000, 0, 1000)) == 90_000_000  # 30 and 60 dollars a million in mid-2023


def test_an_image_counts_as_the_dearest_one_and_only_within_the_context():
    target = Target(name="t", model="m", url="https://example.org", price=Price(input=1, output=1), context=100_000)
    image = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    one = {"messages": [{"role": "user", "content": [image]}], "max_tokens": 1}
    assert counting.bound(target, one).input > counting.IMAGE_TOKENS
    three = {"messages": [{"role": "user", "content": [image] * 3}], "max_tokens": 1}
    assert counting.bound(target, three).input == 100_000
    assert "see images" in (objection(target, one) or "")


def test_thoughts_counted_beside_the_output_are_added_to_it():
    most = counting.Bound(1000, 1000)
    report = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 35,
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    assert counting.read_usage(report, most) == Usage(10, 0, 25, 20)


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [("gpt-4o", {"messages": []}, "max_tokens"), ("o3-mini", {"messages": []}, "max_completion_tokens"),
     ("openai/gpt-5-nano", {"messages": []}, "max_completion_tokens"), ("m", {"input": "x"}, "max_output_tokens")],
)  # fmt: skip
def test_the_limit_has_the_name_that_the_endpoint_knows(model, body, field):
    assert limit_field(Target(name="t", model=model, url="https://example.org"), body) == field


# --- when to try again ------------------------------------------------------------------------------------------


@given(st.integers(1, 10), st.none() | st.floats(0, 100))
def test_a_pause_is_jittered_capped_and_never_shorter_than_asked(attempt, asked):
    retries = Retries(base=0.25, cap=8)
    seconds = pause(retries, attempt, asked)
    assert (asked or 0) <= seconds <= max(min(8, 0.25 * 2 ** (attempt - 1)), asked or 0)
    assert cooling(retries, attempt, asked) == (min(8, 0.25 * 2**attempt) if asked is None else asked)


@pytest.mark.parametrize(
    "secret", ["sk-abcdefgh12345678", "key_0123456789abcdef", "Bearer abc.def.ghi", "http://me:pw@h/"]
)
def test_what_looks_like_a_secret_is_taken_out(secret):
    assert secret.split()[-1] not in scrub(f"failed with {secret} here")
    error = refusal("t", 400, {}, orjson.dumps({"error": {"message": f"bad {secret}"}}))
    assert secret.split()[-1] not in str(error)


@given(st.binary(max_size=60), st.integers(100, 599).filter(lambda status: status != 200))
def test_any_refusal_can_be_read(raw, status):
    error = refusal("t", status, {"Retry-After": "x"}, raw)
    assert 400 <= error.status <= 599
    assert "\n" not in error.message


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40), st.floats(0.01, 1))
def test_a_quantile_is_the_smallest_value_with_its_share_below(values, q):
    found = quantile(values, q)
    assert sum(value <= found for value in values) >= q * len(values) - 1e-9
    assert sum(value < found for value in values) < q * len(values) + 1e-9


class Circuit(RuleBasedStateMachine):
    """A breaker beside a plain model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.now = Breaker(3, 10.0), 0.0
        self.opened: float | None = None
        self.failures, self.calls, self.probe = 0, 0, False

    @rule(seconds=st.floats(0.0, 12.0))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def enter(self):
        allowed = self.breaker.enter(self.now) == 0
        half_open = self.opened is not None and self.now >= self.opened + 10.0
        assert allowed == (self.opened is None or (half_open and not self.probe))
        if allowed and self.opened is not None:
            self.probe = True
        self.calls += allowed

    @precondition(lambda self: self.calls)
    @rule()
    def succeed(self):
        self.breaker.passed()
        self.calls, self.failures, self.opened, self.probe = self.calls - 1, 0, None, False

    @precondition(lambda self: self.calls)
    @rule()
    def fail(self):
        self.breaker.failed(self.now)
        self.calls, self.failures = self.calls - 1, self.failures + 1
        if self.probe or (self.opened is None and self.failures >= 3):
            self.opened, self.probe = self.now, False

    @precondition(lambda self: self.calls)
    @rule()
    def begin(self):
        self.breaker.began()
        if self.probe:
            self.failures, self.opened, self.probe = 2, None, False

    @precondition(lambda self: self.calls)
    @rule()
    def leave(self):
        self.breaker.left()
        self.calls, self.probe = self.calls - 1, False

    @invariant()
    def states_agree(self):
        state = self.breaker.state(self.now)
        assert (state == "closed") == (self.opened is None)
        assert (state == "open") == (self.opened is not None and not self.probe and self.now < self.opened + 10.0)


TestCircuit = pytest.mark.slow(Circuit.TestCase)
