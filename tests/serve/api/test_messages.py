"""The Messages API in OpenAI's terms: examples by hand, both ways."""

import orjson
import pytest

from homespun.serve.gateway.messages import arguments_input, error_body, from_chat, stop_reason, to_chat, usage
from homespun.serve.gateway.types import GatewayError

PNG = "iVBORw0KGgo="
WEATHER = {
    "name": "weather",
    "description": "Weather of a place.",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
}


def ask(**fields: object) -> dict[str, object]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **fields}


def test_a_plain_request() -> None:
    assert to_chat(
        ask(system="Be kind.", temperature=0.5, stop_sequences=["END"], metadata={"user_id": "u1", "id": "p"})
    ) == {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "temperature": 0.5,
        "stop": ["END"],
        "user": "u1",
        "metadata": {"id": "p"},
    }


def test_unknown_fields_go_through_and_those_of_anthropic_stay_behind() -> None:
    chat = to_chat(ask(seed=3, min_p=0.1, top_k=5, thinking={"type": "adaptive"}, cache_control={"type": "ephemeral"}))
    assert {name: chat[name] for name in ("seed", "min_p", "top_k")} == {"seed": 3, "min_p": 0.1, "top_k": 5}
    assert not {"thinking", "cache_control"} & set(chat)


def test_blocks_of_a_user() -> None:
    content = [
        {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A page."}},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        },
    ]
    (message,) = to_chat(ask(messages=[{"role": "user", "content": content}]))["messages"]
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "text", "text": "A page."},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
    ]


def test_a_tool_and_its_result() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    turns = [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"place": "Bern"}},
                {"type": "tool_use", "id": "t2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "Snow"}, picture]},
                {"type": "tool_result", "tool_use_id": "t2", "content": "no place", "is_error": True},
                {"type": "text", "text": "Well?"},
            ],
        },
    ]
    chat = to_chat(ask(messages=turns, tools=[WEATHER], tool_choice={"type": "any", "disable_parallel_tool_use": True}))
    assert chat["messages"] == [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Bern"}'}},
                {"id": "t2", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "Snow"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no place"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "text", "text": "Well?"},
            ],
        },
    ]
    assert chat["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "parameters": WEATHER["input_schema"],
                "description": "Weather of a place.",
            },
        }
    ]
    assert (chat["tool_choice"], chat["parallel_tool_calls"]) == ("required", False)


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_choice_of_a_tool(choice: dict[str, str], wanted: object) -> None:
    assert to_chat(ask(tools=[WEATHER], tool_choice=choice))["tool_choice"] == wanted


def test_effort_and_format() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    chat = to_chat(ask(output_config={"effort": "max", "format": {"type": "json_schema", "schema": schema}}))
    assert chat["reasoning_effort"] == "xhigh"
    assert chat["response_format"]["json_schema"]["schema"] == schema


def test_a_stream_asks_for_its_usage() -> None:
    assert to_chat(ask(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in to_chat(ask(stream=False))


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "server_tool_use", "id": "a"}]}]},
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(fields: dict[str, object]) -> None:
    with pytest.raises(GatewayError) as caught:
        to_chat(ask(**fields))
    assert caught.value.status == 400
    assert caught.value.param in ("tools", "messages")


def test_an_answer() -> None:
    completion = {
        "id": "chatcmpl-7",
        "model": "big",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "I look.",
                    "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
                },
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}},
    }
    assert from_chat(completion) == {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": "big",
        "content": [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 4,
            "output_tokens": 4,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 6,
        },
    }


def test_the_model_asked_for_stands_in() -> None:
    assert from_chat({"choices": []}, {"model": "asked"})["model"] == "asked"


@pytest.mark.parametrize(
    ("choice", "called", "refused", "wanted"),
    [
        ({"finish_reason": "stop"}, False, False, ("end_turn", None)),
        ({"finish_reason": None}, False, False, ("end_turn", None)),
        ({"finish_reason": "length"}, False, False, ("max_tokens", None)),
        ({"finish_reason": "length"}, True, False, ("max_tokens", None)),
        ({"finish_reason": "tool_calls"}, True, False, ("tool_use", None)),
        ({"finish_reason": "stop"}, True, False, ("tool_use", None)),
        ({"finish_reason": "content_filter"}, False, False, ("refusal", None)),
        ({"finish_reason": "stop"}, False, True, ("refusal", None)),
        ({"finish_reason": "stop", "stop_reason": "END"}, False, False, ("stop_sequence", "END")),
        ({"finish_reason": "stop", "stop_reason": 128001}, False, False, ("end_turn", None)),
        ({"finish_reason": "unheard-of"}, False, False, ("end_turn", None)),
    ],
)
def test_why_it_ended(choice: dict[str, object], called: bool, refused: bool, wanted: object) -> None:
    assert stop_reason(choice, called=called, refused=refused) == wanted


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ("", {}),
        ("  ", {}),
        ('{"a": [1, 2]}', {"a": [1, 2]}),
        ('{"a": [1, 2', {"a": [1, 2]}),
        ('{"a": 1, "b', {"a": 1}),
        ("[1]", {"arguments": "[1]"}),
        ("not json", {"arguments": "not json"}),
        ('{"a": NaN}', {"arguments": '{"a": NaN}'}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments: str, wanted: object) -> None:
    found = arguments_input(arguments)
    assert found == wanted
    orjson.dumps(found)


def test_more_cached_than_read_is_not_believed() -> None:
    assert usage({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}})["input_tokens"] == 0
    assert usage(None)["output_tokens"] == 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_errors_carry_the_type_of_their_status(status: int, kind: str) -> None:
    assert error_body(GatewayError(status, "No.")) == {"type": "error", "error": {"type": kind, "message": "No."}}
