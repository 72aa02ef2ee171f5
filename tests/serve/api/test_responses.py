"""The Responses API by chat completions: examples by hand, and laws judged by the official client."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from homespun.serve.gateway import schema
from homespun.serve.gateway.responses import from_chat, to_chat
from homespun.serve.gateway.responses_stream import ResponsesStream
from homespun.serve.gateway.types import Event, GatewayError

JSON = dict[str, Any]
FULL: JSON = {
    "model": "m",
    "instructions": "Be short.",
    "input": [
        {"role": "user", "content": "Hi"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
            ],
        },
        {"type": "reasoning", "id": "rs", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
    ],
    "max_output_tokens": 9,
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": None}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    "reasoning": {"effort": "low"},
    "store": False,
    "temperature": 0.5,
    "min_p": 0.1,
}


def test_the_full_request() -> None:
    assert to_chat(FULL) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Hi"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "c2", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
        ],
        "max_tokens": 9,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "reasoning_effort": "low",
        "temperature": 0.5,
        "min_p": 0.1,
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"input": [{"type": "item_reference", "id": "a"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(fields: JSON, param: str) -> None:
    with pytest.raises(GatewayError, match="'responses'") as caught:
        to_chat({"model": "m", "input": "Hi", **fields})
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, "model_not_able")


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, part in inner for place in places(part, (*here, key)))]


ODD = st.sampled_from([None, True, 0, 0.5, "", "a", "user", [], {}, ["a"], [{}], [[]], {"type": "text"}, {"type": []}])


@st.composite
def mutated(draw: st.DrawFn) -> JSON:
    changed = copy.deepcopy(FULL)
    place = draw(st.sampled_from(places(changed)[1:]))
    holder: Any = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = copy.deepcopy(draw(ODD))
    return changed


@pytest.mark.slow
@settings(max_examples=400)
@given(mutated())
def test_any_request_is_translated_or_refused(changed: JSON) -> None:
    try:
        schema.check_responses(changed)
        chat = to_chat(changed)
    except GatewayError as error:
        status, param = error.status, error.param
        assert (status, bool(param)) == (400, True)
    else:
        schema.check_chat(chat)


@st.composite
def completions(draw: st.DrawFn) -> tuple[list[JSON], JSON]:
    """A completion, streamed and whole."""
    shared = {"id": "chatcmpl-1", "created": 5, "model": "m"}
    texts = draw(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), max_size=3))
    field = draw(st.sampled_from(["content", "refusal"]))
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": f"f{i}", "arguments": '{"a": [1, 2]}'}}
        for i in range(draw(st.integers(0, 3)))
    ]
    finish = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
    deltas: list[JSON] = [{field: text} for text in texts]
    heads = [{"index": i, **call, "function": {"name": f"f{i}"}} for i, call in enumerate(calls)]
    deltas += [{"tool_calls": [head]} for head in heads]
    tails = [
        {"index": i, "function": {"arguments": piece}} for i in range(len(calls)) for piece in ('{"a": ', "[1, 2]}")
    ]
    order = draw(st.permutations(range(len(calls)))) if calls else []
    deltas += [{"tool_calls": [tail]} for i in order for tail in tails if tail["index"] == i]
    chunks = [{**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2}}
    chunks += [
        {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {**shared, "choices": [], "usage": usage},
    ]
    message = {field: "".join(texts) or None, "tool_calls": calls}
    return chunks, {**shared, "choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def events(stream: bytes) -> list[JSON]:
    frames = [frame.split("\n") for frame in stream.decode().split("\n\n")[:-1]]
    found = [orjson.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [name for name, _ in frames] == [f"event: {event['type']}" for event in found]
    return found


@pytest.mark.slow
@given(completions())
def test_the_stream_put_together_is_the_whole_answer(given: tuple[list[JSON], JSON]) -> None:
    import openai
    from openai.lib.streaming.responses._responses import ResponseStreamState
    from openai.types.responses import Response, ResponseStreamEvent

    known: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    chunks, whole = given
    stream = ResponsesStream({"model": "asked"})
    got = events(b"".join(stream.feed(Event(b"", chunk)) for chunk in chunks) + stream.end())
    wanted = from_chat(whole, {"model": "asked"})
    assert got[-1]["response"] == wanted
    assert got[-1]["type"] == f"response.{wanted['status']}"
    assert [event["sequence_number"] for event in got] == list(range(len(got)))
    state: Any = ResponseStreamState(input_tools=[], text_format=openai.omit)
    deltas = {"output_text": "", "refusal": ""}
    for event in got:
        state.handle_event(known.validate_python(event))
        for kind in deltas:
            deltas[kind] += event["delta"] if event["type"] == f"response.{kind}.delta" else ""
    final = Response.model_validate(wanted)
    assert deltas["output_text"] == final.output_text
    done = [event["item"] for event in got if event["type"] == "response.output_item.done"]
    assert done == wanted["output"]


@pytest.mark.slow
@given(completions(), st.integers(0, 12))
def test_a_broken_stream_never_looks_whole(given: tuple[list[JSON], JSON], cut: int) -> None:
    stream = ResponsesStream({"model": "asked"})
    out = b"".join(stream.feed(Event(b"", chunk)) for chunk in given[0][:cut])
    got = events(out + stream.fail(GatewayError(502, "It broke.", code="upstream_cut")))
    assert got[-1]["type"] == "error"
    assert not {"response.completed", "response.incomplete"} & {event["type"] for event in got}


def test_an_answer_tells_what_was_asked() -> None:
    whole = {"id": "chatcmpl-9", "choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}]}
    answer = from_chat(whole, FULL)
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (answer["instructions"], answer["max_output_tokens"], answer["tools"]) == ("Be short.", 9, FULL["tools"])
    assert answer["usage"] is None
    assert answer["output"][0]["content"][0]["text"] == "Hi"
