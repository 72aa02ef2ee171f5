"""Streams: nothing that was sent is withdrawn. Tools: one call, checked where it is whole, and no switch in between."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.serve.gateway.types import GatewayError, UpstreamError

PRICES = {"cheap": 0.001, "strong": 0.05, "verifier": 0.0001}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
TOOLS = {"tools": [TOOL]}
RESULT = {
    "messages": [
        {"role": "user", "content": "Weather in Bern?"},
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ]
}


def board(fakes, scripts, *, auto=None, **sections):
    auto = {"tiers": ["cheap", "strong"], **({"verifier": "verifier"} if "verifier" in scripts else {}), **(auto or {})}
    return fakes.Board(fakes.settings(list(scripts), auto=auto, **sections), fakes.FakeFleet(scripts, PRICES))


def said(desk) -> str:
    deltas = [c["delta"].get("content") or "" for e in desk.events for c in e.json["choices"]]
    return "".join(deltas)


def call(fakes, arguments, name="weather"):
    made = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return fakes.completion(None, finish="tool_calls", tool_calls=[made])


# --- streams ----------------------------------------------------------------------------------------------------


def test_an_accepted_answer_is_a_proper_stream(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red", "verifier": ["10", "95"]})
    routed = desk.ask(stream=True, body={"stream_options": {"include_usage": True}})
    assert said(desk) == "red"
    assert desk.events[0].json["choices"][0]["delta"]["role"] == "assistant"
    assert desk.events[-2].json["choices"][0]["finish_reason"] == "stop"
    assert desk.events[-1].json["usage"]["completion_tokens"] == 5
    assert routed.reply.body is None
    assert all(not call.stream and "stream_options" not in call.body for _, call in desk.fleet.log)
    assert all(json.loads(event.data) == event.json for event in desk.events)


def test_a_first_tier_is_streamed_only_where_going_on_is_rare(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red", "verifier": "95"})

    async def many(switchboard):
        for _ in range(70):
            routed = await switchboard.answer(desk.make("What is it?", stream=True), desk.attempts)
            async for _ in routed.reply.events:
                pass

    desk.run(many)
    streamed = [call.stream for name, call in desk.fleet.log if name == "cheap"]
    assert streamed.count(True) >= 5
    assert streamed == sorted(streamed)
    # (0 + 3) / (n + 10) < 0.05 from the 51st request on
    assert streamed.index(True) == 51


def test_what_must_be_json_is_never_streamed_early(fakes) -> None:
    desk = board(fakes, {"cheap": '{"a": 1}', "strong": "red"}, auto={"stream_below": 1.0})
    desk.ask(stream=True, body={"response_format": {"type": "json_object"}})
    assert [call.stream for _, call in desk.fleet.log] == [False]
    plain = board(fakes, {"cheap": "blue", "strong": "red"}, auto={"stream_below": 1.0})
    plain.ask(stream=True)
    assert [call.stream for _, call in plain.fleet.log] == [True]


@pytest.mark.parametrize("bad", ["", 0, "connect"])
def test_an_early_stream_that_says_nothing_is_a_failed_tier(fakes, bad) -> None:
    script = {"": "", 0: fakes.Cut(0), "connect": fakes.fail("connect")}[bad]
    desk = board(fakes, {"cheap": script, "strong": "red"}, auto={"stream_below": 1.0})
    routed = desk.ask(stream=True)
    assert said(desk) == "red"
    assert routed.tiers == ["cheap", "strong"]
    assert desk.fleet.closed == (bad != "connect")


def test_a_stream_that_breaks_after_its_first_word_ends_in_an_error(fakes) -> None:
    desk = board(fakes, {"cheap": fakes.Cut(1), "strong": "red"}, auto={"stream_below": 1.0})
    with pytest.raises(UpstreamError, match="cut"):
        desk.ask(stream=True)
    assert desk.fleet.asked() == ["cheap"]


def test_a_stream_that_nobody_reads_is_closed_all_the_same(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red"}, auto={"stream_below": 1.0})

    async def unread(switchboard):
        routed = await switchboard.answer(desk.make("What is it?", stream=True), desk.attempts)
        assert desk.fleet.closed == 0
        await routed.reply.events.aclose()

    desk.run(unread)
    assert desk.fleet.closed == 1


def test_silence_is_an_answer_where_nobody_else_can_be_asked(fakes) -> None:
    desk = board(fakes, {"cheap": ""}, auto={"tiers": ["cheap"]})
    assert desk.ask(stream=True).reply.target == "cheap"
    assert said(desk) == ""
    assert desk.events[-2].json["choices"][0]["finish_reason"] == "stop"


OUTCOMES = st.sampled_from(["blue", "", "fail", "cut0", "cut1", "3 + 4 = 8"])


@pytest.mark.slow
@given(OUTCOMES, OUTCOMES, st.sampled_from(["5", "95"]), st.floats(0, 1), st.booleans())
def test_laws_of_streams_and_books(cheap, strong, verdict, below, streamed) -> None:
    """What reaches the client is one tier's answer, whole unless an error says so; every call is booked."""
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("routes_fakes", Path(__file__).with_name("conftest.py"))
    fakes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fakes)
    made = {"fail": fakes.fail(), "cut0": fakes.Cut(0), "cut1": fakes.Cut(1)}

    def entry(what, name):
        if what in ("cut0", "cut1"):
            return lambda body: made[what] if body.get("stream") else fakes.fail("cut")
        return made.get(what, f"{what} from {name}" if what == "blue" else what)

    scripts = {"cheap": entry(cheap, "cheap"), "strong": entry(strong, "strong"), "verifier": verdict}
    desk = board(fakes, scripts, auto={"stream_below": below, "samples": 1})
    desk.events = []
    failure, text = None, ""
    try:
        routed = desk.ask(stream=streamed)
        text = said(desk) if streamed else routed.reply.body["choices"][0]["message"]["content"]
    except GatewayError as error:
        failure = error
    possible = {"blue from cheap", "blue from strong", "3 + 4 = 8", "", "a long story"}
    assert text in possible
    if failure is None and text.startswith("blue"):
        assert text in (f"blue from {name}" for name in ("cheap", "strong"))
    assert [id(a) for a in desk.attempts] == [id(a) for a in desk.fleet.started]


# --- tools ------------------------------------------------------------------------------------------------------


def test_a_turn_with_tools_is_one_call_streamed_from_its_first_byte(fakes) -> None:
    desk = board(fakes, {"cheap": call(fakes, '{"city": "Bern"}'), "strong": "red", "verifier": "5"})
    routed = desk.ask(stream=True, dial="economy", body=TOOLS)
    assert routed.route == "single"
    assert [(name, c.stream) for name, c in desk.fleet.log] == [("cheap", True)]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("{city: Bern}", "weather"),
        ('{"days": 2}', "weather"),
        ('{"city": 3}', "weather"),
        ('{"city": "Bern"}', "climate"),
    ],
)
def test_tool_calls_that_do_not_fit_lead_on(fakes, arguments: str, name: str) -> None:
    desk = board(fakes, {"cheap": call(fakes, arguments, name), "strong": call(fakes, '{"city": "Bern"}')})
    routed = desk.ask(dial="economy", body=TOOLS)
    assert routed.tiers == ["cheap", "strong"]
    assert not routed.low_confidence
    assert desk.ask(dial="economy", body=TOOLS | {"tool_choice": "required"}).reply.target == "strong"


def test_broken_tool_calls_of_everybody_are_flagged(fakes) -> None:
    desk = board(fakes, {"cheap": call(fakes, "{"), "strong": call(fakes, "{")})
    assert desk.ask(dial="economy", body=TOOLS).low_confidence


def test_a_schema_is_held(fakes) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
    for bad in ('{"n": "one"}', "{}", "n = 1", '["n"]'):
        desk = board(fakes, {"cheap": bad, "strong": '{"n": 1}'})
        assert desk.ask(body=form).reply.target == "strong", bad
    remote = {"$ref": "http://127.0.0.1:1/schema.json"}
    odd = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": remote}}}
    assert board(fakes, {"cheap": "{}", "strong": "red"}).ask(body=odd).reply.target == "cheap"


def test_no_switch_between_a_tool_call_and_its_result(fakes) -> None:
    desk = board(fakes, {"cheap": "sunny", "strong": "rain"})
    for previous in ("cheap", "strong"):
        routed = desk.ask(body=TOOLS | RESULT, previous=previous, dial="quality")
        assert routed.reply.target == previous
        assert routed.record["propensity"] == 1.0


def test_a_failure_while_a_tool_result_waits_asks_nobody_else(fakes) -> None:
    desk = board(fakes, {"cheap": fakes.fail(), "strong": "rain"})
    with pytest.raises(UpstreamError):
        desk.ask(body=TOOLS | RESULT, previous="cheap")
    assert desk.fleet.asked() == ["cheap"]
    assert desk.fleet.fallbacks == [False]


def test_anthropic_tool_results_count_as_such(fakes) -> None:
    turns = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "sunny"}]}]
    desk = board(fakes, {"cheap": fakes.fail(), "strong": "rain"})
    with pytest.raises(UpstreamError):  # bound to the one that called the tool, whatever becomes of it
        desk.ask(body={"messages": turns}, previous="cheap")
    assert desk.fleet.asked() == ["cheap"]


# --- single and fuse --------------------------------------------------------------------------------------------


def test_single_takes_its_tier_by_the_dial_and_the_next_when_it_fails(fakes) -> None:
    scripts = {"cheap": "blue", "strong": "red"}
    for dial, target in (("economy", "cheap"), ("quality", "strong")):
        assert board(fakes, scripts, auto={"mode": "single"}).ask(dial=dial).reply.target == target
    failing = board(fakes, {"cheap": fakes.fail(), "strong": "red"}, auto={"mode": "single"})
    assert failing.ask(dial="economy").tiers == ["cheap", "strong"]
    assert failing.fleet.fallbacks == [False, True]  # the next tier comes before another one's fallbacks


def test_a_conversation_keeps_its_model_without_a_router(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red"})
    assert desk.ask(previous="strong").reply.target == "strong"


def test_fuse_gives_what_most_say(fakes) -> None:
    scripts = {"cheap": "12", "strong": "13", "third": "13"}
    desk = board(fakes, scripts, auto={"mode": "fuse", "tiers": list(scripts)})
    routed = desk.ask()
    assert routed.route == "fuse"
    assert routed.reply.body["choices"][0]["message"]["content"] == "13"
    assert routed.confidence == pytest.approx(2 / 3)
    assert len(desk.attempts) == 3


def test_fuse_without_a_majority_lets_the_verifier_pick(fakes) -> None:
    def verdict(body):
        return "90" if "answer:\n13" in body["messages"][0]["content"] else "10"

    scripts = {"cheap": "12", "strong": "13", "verifier": verdict}
    desk = board(fakes, scripts, auto={"mode": "fuse"})
    routed = desk.ask()
    assert routed.reply.target == "strong"
    assert routed.confidence == pytest.approx(0.9)
    assert [a.purpose for a in desk.attempts].count("judge") == 2


def test_fuse_lives_with_a_failure_and_dies_of_all(fakes) -> None:
    one = board(fakes, {"cheap": fakes.fail(), "strong": "13"}, auto={"mode": "fuse"})
    assert one.ask(stream=True).reply.target == "strong"
    assert said(one) == "13"
    with pytest.raises(UpstreamError):
        board(fakes, {"cheap": fakes.fail(), "strong": fakes.fail()}, auto={"mode": "fuse"}).ask()


def test_the_budget_holds_for_calls_side_by_side(fakes) -> None:
    desk = board(fakes, {"cheap": "12", "strong": "13"}, auto={"mode": "fuse"})
    routed = desk.ask(budget=50_500_000)  # either of them, not both
    assert len(desk.attempts) == 1
    assert sum(a.nanodollars for a in desk.attempts) <= 50_500_000
    assert routed.reply.target == "cheap"


# --- who can serve ----------------------------------------------------------------------------------------------


def test_only_targets_that_can_serve_are_asked_and_none_is_told(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red"})
    desk.fleet.refuses["cheap"] = "it knows no tools"
    assert desk.ask(dial="economy", body=TOOLS).reply.target == "strong"
    desk.fleet.refuses["strong"] = "its context is too short"
    with pytest.raises(GatewayError, match="knows no tools") as caught:
        desk.ask(body=TOOLS)
    assert caught.value.status == 400


def test_the_bound_covers_whatever_the_plan_costs(fakes) -> None:
    scripts = {"cheap": ["12", "14", "15"], "strong": "13", "verifier": "10"}
    desk = board(fakes, scripts, auto={"samples": 2})

    async def both(switchboard):
        ask = desk.make("What is it?")
        bound = switchboard.bound(ask)
        await switchboard.answer(ask, desk.attempts)
        return bound

    tokens, nanodollars = desk.run(both)
    assert nanodollars >= sum(a.nanodollars for a in desk.attempts) > 0
    assert tokens >= sum(a.usage.input + a.usage.output for a in desk.attempts)


def test_closing_waits_for_answers_under_way(fakes) -> None:
    desk = board(fakes, {"cheap": 0.1, "strong": "red"})

    async def closing():
        from homespun.serve.gateway.routes import Switchboard

        switchboard = Switchboard(desk.config, desk.fleet)
        work = asyncio.ensure_future(switchboard.answer(desk.make("What is it?"), desk.attempts))
        await asyncio.sleep(0)
        await switchboard.close()
        return work.done() and work.result().reply.target

    assert asyncio.run(closing()) == "strong"


def test_the_record_holds_no_content_unless_asked_for(fakes) -> None:
    scripts = {"cheap": "the secret answer 3 + 4 = 8", "strong": "red", "verifier": "95"}
    routed = board(fakes, scripts).ask("my secret question")
    assert "secret" not in json.dumps(routed.record)
    assert "3 + 4" not in json.dumps(routed.record)
    kept = board(fakes, scripts, learning={"keep_prompts": True}).ask("my secret question")
    assert kept.record["prompt"] == "my secret question"
    assert "3 + 4 is not 8" in json.dumps(kept.record)


def test_the_record_is_a_row_of_the_table(fakes) -> None:
    from homespun.serve.store.tables import decisions

    row = board(fakes, {"cheap": "blue", "strong": "red"}).ask().record
    columns = {column.name for column in decisions.columns}
    assert set(row) == columns - {"request_id", "time"}
    required = {c.name for c in decisions.columns if not c.nullable} - {"request_id", "time"}
    assert all(row[name] is not None for name in required)


def test_a_problem_named_in_metadata_is_not_forwarded(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red"})
    desk.ask(body={"metadata": {"task": "gsm8k", "id": "0", "team": "x"}})
    assert desk.fleet.log[0][1].body["metadata"] == {"team": "x"}
    desk.ask(body={"metadata": {"task": "gsm8k", "id": "0"}})
    assert "metadata" not in desk.fleet.log[1][1].body
