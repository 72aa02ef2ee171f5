"""The official Python client, unchanged, against the real command."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

MODELS = ["stub", "the-usual", "homespun/auto"]
SAID = [{"role": "user", "content": "hello there"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}},
}
TIME: Any = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}
ARGUMENTS = '{"place": "Bern", "days": 2}'


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    with openai.OpenAI(base_url=server.url, api_key=server.key, max_retries=0, timeout=20) as made:
        yield made


def client_of(server: Any, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key=key, max_retries=0, timeout=20)


@pytest.mark.parametrize("model", MODELS)
def test_chat(client: Any, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=SAID, temperature=0)
    assert answer.choices[0].message.content == "You said: hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 7)


@pytest.mark.parametrize("model", MODELS)
def test_stream(client: Any, model: str) -> None:
    chunks = list(client.chat.completions.create(model=model, messages=SAID, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said: hello there"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


@pytest.mark.parametrize("model", MODELS)
def test_stream_with_usage(client: Any, model: str) -> None:
    options = {"include_usage": True}
    *_, last = client.chat.completions.create(model=model, messages=SAID, stream=True, stream_options=options)
    assert (last.choices, last.usage.prompt_tokens, last.usage.completion_tokens) == ([], 12, 7)


@pytest.mark.parametrize("model", MODELS)
def test_tools(client: Any, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=SAID, tools=[WEATHER, TIME])
    calls = answer.choices[0].message.tool_calls
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("call_0", "weather", ARGUMENTS),
        ("call_1", "time", ARGUMENTS),
    ]
    assert answer.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("model", MODELS)
def test_tools_streamed_through_the_clients_own_assembler(client: Any, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=SAID, tools=[WEATHER, TIME]) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_completion()
    assert kinds.count("tool_calls.function.arguments.done") == 2
    assert [call.function.arguments for call in answer.choices[0].message.tool_calls] == [ARGUMENTS, ARGUMENTS]


@pytest.mark.parametrize("model", MODELS)
def test_a_tools_result_goes_back(client: Any, model: str) -> None:
    first = client.chat.completions.create(model=model, messages=SAID, tools=[WEATHER])
    turns = [*SAID, first.choices[0].message, {"role": "tool", "tool_call_id": "call_0", "content": "snow"}]
    second = client.chat.completions.with_raw_response.create(model=model, messages=turns, tools=[WEATHER])
    assert second.parse().choices[0].message.content == "You said: snow"


@pytest.mark.parametrize("model", MODELS)
def test_parsed_answers(client: Any, model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=SAID, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Bern", degrees=3)


def test_unknown_fields_reach_the_upstream(client: Any) -> None:
    answer = client.chat.completions.create(
        model="stub", messages=SAID, seed=3, extra_body={"min_p": 0.1, "nested": {"a": [1, None]}}
    )
    echo = answer.model_extra["echo"]
    assert (echo["seed"], echo["min_p"], echo["nested"]) == (3, 0.1, {"a": [1, None]})
    assert echo["model"] == "stub-large"


def test_several_choices(client: Any) -> None:
    answer = client.chat.completions.create(model="stub", messages=SAID, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


@pytest.mark.parametrize("given", ["one", ["one", "two"], [1, 2, 3]])
def test_embeddings(client: Any, given: Any) -> None:
    answer = client.embeddings.create(model="embedder", input=given)
    assert answer.data[0].embedding == [0.25, -0.5, 1.0]
    assert len(answer.data) == (2 if given == ["one", "two"] else 1)


def test_responses_go_through_where_the_target_speaks_them(client: Any) -> None:
    answer = client.responses.create(model="stub", input="hello", metadata={"a": "b"})
    assert answer.output_text == "You said: hello"
    assert answer.model_extra["echo"]["metadata"] == {"a": "b"}


@pytest.mark.parametrize("model", ["stub", "cheap", "homespun/auto"])
def test_responses_streamed(client: Any, model: str) -> None:
    with client.responses.stream(model=model, input="hello") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert (text, final.output_text) == ("You said: hello", "You said: hello")
    assert (final.usage.input_tokens, final.usage.output_tokens) == (12, 7)


@pytest.mark.parametrize("model", ["stub", "cheap"])
def test_a_repeated_response_is_as_whole_as_the_first(client: Any, model: str) -> None:
    """With the cache on, whatever kept it."""
    asked = {"model": model, "input": "again", "temperature": 0}
    for _ in range(2):
        assert client.responses.create(**asked).output_text == "You said: again"
        with client.responses.stream(**asked) as stream:
            assert stream.until_done().get_final_response().output_text == "You said: again"


def test_a_kept_answer_serves_whole_and_streamed(client: Any) -> None:
    asked = {"model": "stub", "messages": [{"role": "user", "content": "keep this"}], "temperature": 0}
    first = client.chat.completions.with_raw_response.create(**asked)
    second = client.chat.completions.with_raw_response.create(**asked)
    assert [raw.headers["x-homespun-cache"] for raw in (first, second)] == ["miss", "exact"]
    assert second.parse() == first.parse()
    assert float(second.headers["x-homespun-cost"]) == 0
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said: keep this"


@pytest.mark.parametrize("model", ["cheap", "homespun/auto"])
def test_responses_elsewhere_are_translated(client: Any, model: str) -> None:
    raw = client.responses.with_raw_response.create(model=model, instructions="Be short.", input="hello")
    answer = raw.parse()
    assert (answer.output_text, answer.status) == ("You said: hello", "completed")
    assert raw.headers["x-homespun-model"]
    parsed = client.responses.parse(model=model, input="hello", text_format=Weather)
    assert parsed.output_parsed == Weather(city="Bern", degrees=3)
    function = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    called = client.responses.create(model=model, input="hello", tools=[function])
    (call,) = called.output
    assert (call.name, call.arguments) == ("weather", ARGUMENTS)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "snow"}
    said = client.responses.create(model=model, input=[{"role": "user", "content": "hello"}, call, result])
    assert said.output_text == "You said: snow"


def test_responses_that_need_state_are_refused(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="'responses'") as caught:
        client.responses.create(model="cheap", input="hello", previous_response_id="resp_1")
    assert caught.value.param == "previous_response_id"


def test_embeddings_elsewhere_name_the_targets_that_can(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="ask embedder") as caught:
        client.embeddings.create(model="stub", input="hello")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_able")


def test_models(client: Any, server: Any) -> None:
    names = {model.id for model in client.models.list()}
    assert {"stub", "cheap", "embedder", "the-usual", "homespun/auto", "homespun/quality"} <= names
    assert client.models.retrieve("homespun/auto").id == "homespun/auto"
    with client_of(server, server.narrow) as narrow:
        assert {model.id for model in narrow.models.list()} == {"the-usual"}


@pytest.mark.parametrize(("model", "target"), [("stub", "stub"), ("the-usual", "stub"), ("homespun/auto", None)])
def test_headers_tell_how_it_came_about(client: Any, model: str, target: str | None) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=SAID)
    assert raw.headers["x-homespun-model"] in ([target] if target else ["cheap", "stub"])
    assert raw.headers["x-homespun-route"] in ("single", "cascade", "fuse")
    assert raw.headers["x-homespun-model"] in raw.headers["x-homespun-tiers"].split(",")
    assert float(raw.headers["x-homespun-cost"]) > 0
    assert raw.headers["x-request-id"]
    if target is None:
        assert 0 <= float(raw.headers["x-homespun-confidence"]) <= 1


def test_the_cost_is_tokens_times_price(client: Any) -> None:
    raw = client.chat.completions.with_raw_response.create(model="stub", messages=SAID)
    assert float(raw.headers["x-homespun-cost"]) == pytest.approx((8 * 1.0 + 4 * 0.5 + 7 * 2.0) / 1e6)


@pytest.mark.parametrize("stream", [False, True])
def test_no_valid_key(server: Any, stream: bool) -> None:
    with client_of(server, "hs-wrong") as wrong, pytest.raises(openai.AuthenticationError) as caught:
        wrong.chat.completions.create(model="stub", messages=SAID, stream=stream)
    assert caught.value.code == "invalid_api_key"


def test_no_such_model(client: Any) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nope", messages=SAID)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_model_that_is_not_for_this_key(server: Any) -> None:
    with client_of(server, server.narrow) as narrow:
        assert narrow.chat.completions.create(model="the-usual", messages=SAID).choices
        with pytest.raises(openai.PermissionDeniedError):
            narrow.chat.completions.create(model="cheap", messages=SAID)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"temperature": 3}, "temperature"),
        ({"messages": [{"role": "king", "content": "a"}]}, "messages[0].role"),
        ({"extra_body": {"stream_options": {}}}, "stream_options"),
    ],
)
def test_wrong_requests(client: Any, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "stub", "messages": SAID} | fields)
    assert caught.value.param == param


def test_a_body_that_is_too_large(client: Any) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="stub", messages=[{"role": "user", "content": "x" * 2**20}])
    assert caught.value.status_code == 413


def test_a_limit_of_the_key(server: Any) -> None:
    with client_of(server, server.limited) as limited:
        limited.chat.completions.create(model="stub", messages=SAID)
        with pytest.raises(openai.RateLimitError) as caught:
            limited.chat.completions.create(model="stub", messages=SAID)
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_upstream_refuses(client: Any, status: int, kind: type[openai.APIStatusError], stream: bool) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(
            model="stub", messages=[{"role": "user", "content": f"fail {status}"}], stream=stream
        )
    assert caught.value.status_code == status or (status >= 500 and caught.value.status_code in (502, 503))
    assert "127.0.0.1" not in str(caught.value)


def test_an_upstream_that_refuses_our_key_is_not_the_clients_fault(client: Any) -> None:
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="barred", messages=[{"role": "user", "content": "fail 401"}])


@pytest.mark.parametrize("model", ["stub", "cheap"])
def test_a_cut_response_stream_ends_with_its_error(client: Any, model: str) -> None:
    """This client hands the error on as an event."""
    kinds = [event.type for event in client.responses.create(model=model, input="cut this off please", stream=True)]
    assert kinds[-1] == "error"
    assert not {"response.completed", "response.incomplete"} & set(kinds)


@pytest.mark.parametrize("model", ["stub", "the-usual"])
def test_a_cut_stream_raises(client: Any, model: str) -> None:
    turns = [{"role": "user", "content": "cut this off please"}]
    got: list[Any] = []
    with pytest.raises(openai.APIError):
        got.extend(client.chat.completions.create(model=model, messages=turns, stream=True))
    assert got
    assert all(chunk.choices[0].finish_reason is None for chunk in got)


async def _many(server: Any) -> list[str]:
    import asyncio

    async with openai.AsyncOpenAI(base_url=server.url, api_key=server.key, max_retries=0) as made:
        answers = await asyncio.gather(
            *(
                made.chat.completions.create(model="stub", messages=[{"role": "user", "content": f"number {i}"}])
                for i in range(50)
            )
        )
    return [answer.choices[0].message.content or "" for answer in answers]


def test_many_at_once_get_their_own_answers(server: Any) -> None:
    import asyncio

    assert asyncio.run(_many(server)) == [f"You said: number {i}" for i in range(50)]
