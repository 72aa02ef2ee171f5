"""Anthropic's official Python client, unchanged, against the real command."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

MODELS = ["stub", "the-usual", "homespun/auto"]
SAID = [{"role": "user", "content": "hello there"}]
TOOLS: Any = [
    {"name": "weather", "description": "Weather.", "input_schema": {"type": "object", "properties": {}}},
    {"name": "time", "input_schema": {"type": "object", "properties": {}}},
]
INPUT = {"place": "Bern", "days": 2}


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=server.root, api_key=server.key, max_retries=0, timeout=20) as made:
        yield made


@pytest.mark.parametrize("model", MODELS)
def test_create(client: Any, model: str) -> None:
    message = client.messages.create(model=model, max_tokens=50, system="Be short.", messages=SAID)
    assert (message.content[0].text, message.stop_reason) == ("You said: hello there", "end_turn")
    counted = message.usage
    assert (counted.input_tokens, counted.cache_read_input_tokens, counted.output_tokens) == (8, 4, 7)


@pytest.mark.parametrize("model", MODELS)
def test_stream(client: Any, model: str) -> None:
    with client.messages.stream(model=model, max_tokens=50, messages=SAID) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert (text, message.content[0].text) == ("You said: hello there", "You said: hello there")
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("end_turn", 8, 7)


@pytest.mark.parametrize("model", MODELS)
def test_tools(client: Any, model: str) -> None:
    message = client.messages.create(model=model, max_tokens=50, messages=SAID, tools=TOOLS)
    assert [(block.name, block.input) for block in message.content] == [("weather", INPUT), ("time", INPUT)]
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("model", MODELS)
def test_tools_streamed(client: Any, model: str) -> None:
    with client.messages.stream(model=model, max_tokens=50, messages=SAID, tools=TOOLS) as stream:
        partial = [event.partial_json for event in stream if event.type == "input_json"]
        message = stream.get_final_message()
    assert [(block.name, block.input) for block in message.content] == [("weather", INPUT), ("time", INPUT)]
    assert message.stop_reason == "tool_use"
    assert partial


@pytest.mark.parametrize("model", MODELS)
def test_a_tools_result_goes_back(client: Any, model: str) -> None:
    first = client.messages.create(model=model, max_tokens=50, messages=SAID, tools=TOOLS[:1])
    result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "snow"}
    turns = [*SAID, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(model=model, max_tokens=50, messages=turns, tools=TOOLS[:1])
    assert second.content[0].text == "You said: snow"


def test_a_kept_answer_serves_whole_and_streamed(client: Any) -> None:
    asked: Any = {"model": "stub", "max_tokens": 50, "messages": SAID, "extra_body": {"temperature": 0}}
    first, second = client.messages.create(**asked), client.messages.create(**asked)
    assert second == first
    with client.messages.stream(**asked) as stream:
        assert stream.get_final_message().content[0].text == first.content[0].text


def test_a_key_as_bearer(server: Any) -> None:
    with anthropic.Anthropic(base_url=server.root, auth_token=server.key, max_retries=0) as bearer:
        assert bearer.messages.create(model="stub", max_tokens=5, messages=SAID).content


def test_errors(client: Any, server: Any) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="nope", max_tokens=5, messages=SAID)
    assert missing.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as wrong:
        client.messages.create(model="stub", max_tokens=0, messages=SAID)
    assert wrong.value.body["error"]["type"] == "invalid_request_error"
    with (
        anthropic.Anthropic(base_url=server.root, api_key="hs-wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError) as unknown,
    ):
        stranger.messages.create(model="stub", max_tokens=5, messages=SAID)
    assert unknown.value.body["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(("status", "kind"), [(429, anthropic.RateLimitError), (500, anthropic.InternalServerError)])
def test_what_the_upstream_refuses(client: Any, status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        client.messages.create(model="stub", max_tokens=5, messages=[{"role": "user", "content": f"fail {status}"}])


def test_a_cut_stream_raises(client: Any) -> None:
    turns = [{"role": "user", "content": "cut this off please"}]
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        client.messages.stream(model="stub", max_tokens=5, messages=turns) as stream,
    ):
        list(stream)
    assert caught.value.body["error"]["type"] == "api_error"
