"""Checks of requests: against JSON Schema on mutated requests, the faults by name, and nesting bombs."""

import copy
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.serve.gateway import messages, schema
from homespun.serve.gateway.checks import Check
from homespun.serve.gateway.shapes import SCHEMAS
from homespun.serve.gateway.types import GatewayError

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PARTS = [
    {"type": "text", "text": "a"},
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    {"type": "file", "file": {"file_id": "f"}},
    {"type": "video_url", "video_url": {}},
]
CHAT = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": "Be short."},
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "user", "content": PARTS, "name": "n"},
        {"role": "assistant", "content": None, "tool_calls": [CALL, {"id": "d", "type": "custom", "custom": {}}]},
        {"role": "tool", "content": "42", "tool_call_id": "c"},
        {"role": "assistant", "content": "x", "refusal": None, "audio": None, "function_call": None},
        {"role": "function", "name": "g", "content": "1"},
    ],
    "stream": True,
    "stream_options": {"include_usage": True},
    "n": 1,
    "temperature": 0.5,
    "top_p": 1,
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "presence_penalty": -1,
    "frequency_penalty": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "seed": -1,
    "stop": ["a", "b"],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}, {"type": "other"}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
    "metadata": {"a": "b"},
    "logit_bias": {"1": 2},
    "user": "u",
    "unheard_of": [1],
}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
MESSAGES: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                IMAGE,
                {"type": "document", "title": None, "source": {"type": "text", "data": "d"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "thinking"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [IMAGE], "is_error": True},
                {"type": "tool_result", "tool_use_id": "t"},
            ],
        },
        {"role": "system", "content": "now"},
    ],
    "stream": False,
    "stop_sequences": ["a"],
    "temperature": 1,
    "top_p": 0.5,
    "top_k": 4,
    "tools": [{"name": "f", "input_schema": {}, "type": "custom", "description": None}, {"type": "bash_20250124"}],
    "tool_choice": {"type": "tool", "name": "f"},
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "service_tier": "auto",
}
EMBEDDINGS = {"model": "m", "input": [[1, 2]], "encoding_format": "float", "dimensions": 3, "user": "u"}
RESPONSES = {
    "model": "m",
    "input": [{"role": "user", "content": "a"}],
    "instructions": "i",
    "stream": True,
    "max_output_tokens": 4,
    "temperature": 1,
    "top_p": 0,
    "tools": [{"type": "function", "name": "f"}],
    "metadata": {},
    "previous_response_id": "r",
}
APIS: dict[str, tuple[Callable[[Any], None], dict[str, Any]]] = {
    "ChatCompletionRequest": (schema.check_chat, CHAT),
    "MessagesRequest": (schema.check_messages, MESSAGES),
    "EmbeddingsRequest": (schema.check_embeddings, EMBEDDINGS),
    "ResponsesRequest": (schema.check_responses, RESPONSES),
}
WORDS = ["auto", "user", "assistant", "function", "text", "custom", "tool_result", "tool_use", "base64", "json_schema"]
ODD = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2, 5, 10**9, 0.5, 2.5, "", "a", *WORDS),
        *([], {}, [1], ["a"], ["a"] * 5, [None], [{}], [[]], [[1], "a"], {"type": "text"}, {"type": ""}),
        *({"type": "text", "text": "t"}, {"role": "user", "content": "c"}, {"type": ["a"]}),
    ]
)
"""No whole floats: for JSON Schema 1.0 is an integer, for the upstreams it is none."""


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, part in inner for place in places(part, (*here, key)))]


@st.composite
def mutated(draw: st.DrawFn, body: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(changed)[1:] or [()]))
        if not place:
            break
        holder: Any = changed
        for key in place[:-1]:
            holder = holder[key]
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[place[-1]]
        else:
            holder[place[-1]] = copy.deepcopy(draw(ODD))
    return changed


def refused(check: Callable[[Any], None], body: Any) -> GatewayError | None:
    try:
        check(body)
    except GatewayError as error:
        return error
    return None


def validator(name: str) -> Any:
    return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}})


VALIDATORS = {name: validator(name) for name in APIS}


@pytest.mark.parametrize("name", APIS)
def test_the_full_request_passes(name: str) -> None:
    check, body = APIS[name]
    check(body)
    VALIDATORS[name].validate(body)


@pytest.mark.slow
@pytest.mark.parametrize("name", APIS)
def test_checks_and_schema_agree(name: str) -> None:
    check, body = APIS[name]

    @settings(max_examples=200)
    @given(mutated(body))
    def agree(changed: dict[str, Any]) -> None:
        error = refused(check, changed)
        assert (error is None) == VALIDATORS[name].is_valid(changed), error
        if error is not None:
            assert (error.status, error.param is None) == (400, False)

    agree()


SAYABLE = {**MESSAGES, "tools": MESSAGES["tools"][:1]}


@pytest.mark.slow
@settings(max_examples=300)
@given(st.one_of(st.just(SAYABLE), mutated(SAYABLE)))
def test_what_passes_is_translated_or_refused(changed: dict[str, Any]) -> None:
    fault = refused(schema.check_messages, changed) or refused(messages.to_chat, changed)
    assert fault is None or (fault.status == 400 and changed != SAYABLE)
    if fault is None:
        schema.check_chat(messages.to_chat(changed))


@pytest.mark.parametrize(
    ("change", "param", "says"),
    [
        ({"model": None}, "model", "Missing required parameter: 'model'"),
        ({"messages": []}, "messages", "it is empty"),
        ({"messages": [{"role": "king", "content": "a"}]}, "messages[0].role", "developer"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "got an integer"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text", "got null"),
        ({"n": 129}, "n", "1 to 128"),
        ({"temperature": 2.1}, "temperature", "0 to 2"),
        ({"temperature": True}, "temperature", "got a boolean"),
        ({"max_tokens": 0}, "max_tokens", "1 to"),
        ({"max_tokens": 1.0}, "max_tokens", "got a number"),
        ({"stop": ["a"] * 5}, "stop", "at most 4"),
        ({"stream_options": {}, "stream": False}, "stream_options", "stream is true"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "an object"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "an object"),
    ],
)
def test_the_fault_is_named(change: dict[str, Any], param: str, says: str) -> None:
    error = refused(schema.check_chat, {**CHAT, **change})
    assert error is not None
    assert error.param == param
    assert says in error.message


def test_a_long_value_is_not_told_back() -> None:
    error = refused(schema.check_chat, {**CHAT, "model": ["x" * 10_000]})
    assert error is not None
    assert len(error.message) < 200


strings = st.text('[]{}\\"a', max_size=6)
json = st.recursive(
    st.one_of(st.none(), strings),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(strings, inner, max_size=3)),
    max_leaves=20,
)


def nesting(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(nesting, value.values() if isinstance(value, dict) else value), default=0)


@pytest.mark.slow
@given(json, st.integers(0, 6))
def test_depth_is_counted_as_by_walking_the_value(value: Any, most: int) -> None:
    raw = orjson.dumps(value)
    deep = refused(lambda data: schema.depth(data, most), raw)
    assert (deep is not None) == (nesting(value) > most)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb",
    [b"[" * 8_000_000, b'{"a":' * 1_000_000, b"[{}," * 100_000 + b"[" * 70, b'["' + b"[" * 9 + b'",' + b"[" * 90],
    ids=["lists", "objects", "between pairs", "behind a string"],
)
def test_bombs_are_refused(bomb: bytes) -> None:
    assert refused(lambda data: schema.depth(data, 64), bomb) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "raw",
    [b"[]" * 4_000_000, b'"' + b'\\"[' * 2_000_000, b"]" * 100 + b"[" * 60, b'{"a": "' + b"[" * 900 + b'"}'],
    ids=["wide", "a string without an end", "unpaired", "in a string"],
)
def test_what_is_shallow_or_no_json_is_left_to_the_parser(raw: bytes) -> None:
    schema.depth(raw, 64)


def test_checks_are_functions_of_value_and_place() -> None:
    """What `checks` builds composes: a check of checks is a check."""
    from homespun.serve.gateway import checks

    nested: Check = checks.list_of(checks.list_of(checks.integer(0, 9)))
    nested([[1, 2], [3]], "x")
    error = refused(lambda value: nested(value, "x"), [[1], [2, 10]])
    assert error is not None
    assert error.param == "x[1][1]"
