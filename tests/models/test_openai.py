"""The client against a server on loopback that does everything that servers do wrong."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from homespun.errors import ConfigError
from homespun.models.base import Reply
from homespun.models.openai import OpenAI

pytestmark = pytest.mark.anyio
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}


def delta(text: str | None, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}


async def test_n_samples_carry_usage_that_adds_up_to_the_provider_s(endpoint, reply_with, ask, secret):
    endpoint.respond(reply_with("4", "four, I think", usage=USAGE))
    async with endpoint.client() as model:
        rows = await model.sample(ask(temperature=0.7, seed=3, stop=("\n",), max_tokens=9), 2)
    assert [row.text for row in rows] == ["4", "four, I think"]
    assert [row.index for row in rows] == [0, 1]
    assert sum(row.cost.input_tokens for row in rows) == 12
    assert sum(row.cost.cached_tokens for row in rows) == 4
    assert sum(row.cost.output_tokens for row in rows) == 7
    assert not any(row.usage_estimated for row in rows)
    body = endpoint.bodies[0]
    assert (body["n"], body["seed"], body["stop"], body["max_tokens"]) == (2, 3, ["\n"], 9)
    assert endpoint.headers[0]["Authorization"] == f"Bearer {secret}"


async def test_an_endpoint_that_ignores_n_is_called_once_for_each(endpoint, reply_with, ask):
    async def one(_: web.Request, body: dict[str, Any]) -> web.Response:
        return web.json_response(reply_with(f"seed {body['seed']}", usage=USAGE))

    endpoint.handler = one
    async with endpoint.client() as model:
        rows = await model.sample(ask(seed=5), 4)
    assert [row.text for row in rows] == ["seed 5", "seed 6", "seed 7", "seed 8"]
    assert [row.index for row in rows] == [0, 1, 2, 3]
    assert sum(row.cost.input_tokens for row in rows) == 48


async def test_usage_that_is_missing_is_estimated_and_flagged(endpoint, reply_with, ask):
    endpoint.respond(reply_with("12345678"))
    async with endpoint.client() as model:
        [row] = await model.sample(ask("x" * 40))
    assert (row.cost.input_tokens, row.cost.output_tokens, row.usage_estimated) == (10, 2, True)


async def test_log_probs_come_with_the_most_likely_tokens(endpoint, reply_with, ask):
    token = {"token": "4", "logprob": -0.25, "top_logprobs": [{"token": "4", "logprob": -0.25}]}
    endpoint.respond(reply_with("4", logprobs={"content": [token, token | {"logprob": float("-inf")}]}))
    async with endpoint.client(top_logprobs=5) as model:
        [row] = await model.sample(ask(logprobs=True))
    assert row.logprobs == (-0.25, -9999.0)
    assert row.top_logprobs[0] == {"4": -0.25}
    assert endpoint.bodies[0]["top_logprobs"] == 5


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (408, True),
        (409, True),
        (429, True),
        (500, True),
        (503, True),
        (400, False),
        (401, False),
        (404, False),
        (302, False),
    ],
)
async def test_a_refusal_is_a_row_with_its_status(endpoint, ask, status, retryable):
    payload = {"error": {"message": "no, not today"}}
    endpoint.respond(payload, status, {"Retry-After": "7", "Location": "http://127.0.0.1:1/"})
    async with endpoint.client() as model:
        rows = await model.sample(ask(), 3)
    assert len(rows) == 3
    for row in rows:
        assert (row.finish, row.status, row.retryable, row.retry_after) == ("error", status, retryable, 7.0)
        assert row.error == f"status {status}: no, not today"
        assert row.cost.input_tokens == 0


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"choices": 5}', b'{"choices": [1, null]}',
        b'{"choices": []}', b'{"error": {"message": ["x"]}}', b'{"x": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
async def test_a_body_of_no_use_is_a_row_with_a_reason(endpoint, ask, body):
    endpoint.respond(body)
    async with endpoint.client() as model:
        [row] = await model.sample(ask())
    assert row.finish == "error"
    assert row.error
    assert "\n" not in row.error
    assert not row.retryable


async def test_wrong_types_read_as_absent(endpoint, ask):
    message = {"role": 7, "content": [{"type": "text", "text": "fo"}, {"text": "ur \ud800"}, 3]}
    choice = {
        "index": "one",
        "message": message,
        "finish_reason": {"a": 1},
        "logprobs": {"content": [{"logprob": "x"}]},
    }
    endpoint.respond({"choices": [choice], "usage": {"prompt_tokens": -3, "completion_tokens": "many"}})
    async with endpoint.client() as model:
        [row] = await model.sample(ask())
    assert row.text == "four ?"
    assert row.usage_estimated
    assert row.logprobs == (-9999.0,)


async def test_a_huge_body_is_not_read_to_its_end(endpoint, reply_with, ask):
    endpoint.respond(reply_with("x" * 100_000))
    async with endpoint.client(max_bytes=50_000) as model:
        [row] = await model.sample(ask())
    assert row.error == "the response is larger than 50000 bytes"


async def test_a_stream_gives_what_a_whole_response_gives(endpoint, reply_with, ask):
    token = {"content": [{"token": "4", "logprob": -0.5}]}
    last = delta(None, "length")
    last["choices"][0]["logprobs"] = token
    endpoint.stream(delta("fo"), delta("ur"), last, {"choices": [], "usage": USAGE}, "[DONE]")
    async with endpoint.client(stream=True) as model:
        [row] = await model.sample(ask())
    assert (row.text, row.finish, row.logprobs) == ("four", "length", (-0.5,))
    assert (row.cost.input_tokens, row.cost.output_tokens, row.usage_estimated) == (12, 7, False)
    assert endpoint.bodies[0]["stream_options"] == {"include_usage": True}


async def test_choices_of_a_stream_are_told_apart(endpoint, ask):
    events = [delta("a", index=1), delta("b"), delta("c", "stop", index=1), delta("d", "stop"), "[DONE]"]
    endpoint.stream(*events)
    async with endpoint.client(stream=True) as model:
        rows = await model.sample(ask(), 2)
    assert [row.text for row in rows] == ["bd", "ac"]


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("done", [(), ("[DONE]",)])
async def test_a_stream_without_an_end_is_an_error_and_what_came_is_counted(endpoint, ask, cut, done):
    endpoint.stream(delta("four is the"), *done, cut=cut)
    async with endpoint.client(stream=True) as model:
        [row] = await model.sample(ask())
    assert (row.finish, row.text, row.retryable) == ("error", "", True)
    assert row.cost.output_tokens == 3
    assert row.usage_estimated


async def test_an_error_inside_a_stream_is_an_error(endpoint, ask):
    endpoint.stream(delta("fo"), {"error": {"message": "overloaded"}}, delta("ur", "stop"), "[DONE]")
    async with endpoint.client(stream=True) as model:
        [row] = await model.sample(ask())
    assert row.error == "the provider reports: overloaded"


async def test_a_slow_first_token_is_given_up(endpoint, ask):
    endpoint.stream(delta("four", "stop"), first=5)
    async with endpoint.client(stream=True, first_token=0.05) as model:
        [row] = await model.sample(ask())
    assert row.error == "no first token within 0.05 s"
    assert row.retryable


async def test_a_first_token_in_time_lifts_that_limit(endpoint, ask):
    async def slow_end(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"data: {json.dumps(delta('fo'))}\n\n".encode())
        await asyncio.sleep(0.6)
        await response.write(f"data: {json.dumps(delta('ur', 'stop'))}\n\ndata: [DONE]".encode())
        return response

    endpoint.handler = slow_end
    async with endpoint.client(stream=True, first_token=0.4) as model:
        [row] = await model.sample(ask())
    assert row.text == "four"


async def test_a_response_that_never_ends_is_given_up(endpoint, ask):
    async def hang(_: web.Request, __: dict[str, Any]) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    endpoint.handler = hang
    async with endpoint.client(total=0.05) as model:
        [row] = await model.sample(ask("x" * 80))
    assert row.error == "no end within 0.05 s"
    assert row.cost.input_tokens == 20  # the provider may have worked on it


async def test_newer_models_are_told_their_limit_by_its_new_name(endpoint, reply_with, ask):
    async def picky(_: web.Request, body: dict[str, Any]) -> web.Response:
        if "max_tokens" in body:
            message = "Unsupported parameter: use 'max_completion_tokens' instead"
            return web.json_response({"error": {"message": message}}, status=400)
        return web.json_response(reply_with("4"))

    endpoint.handler = picky
    async with endpoint.client() as model:
        assert [row.text for row in await model.sample(ask())] == ["4"]
        await model.sample(ask())
    assert ["max_tokens" in body for body in endpoint.bodies] == [True, False, False]


async def test_one_session_serves_all_calls_and_closes(endpoint, reply_with, ask):
    ports: set[Any] = set()

    async def note(request: web.Request, _: dict[str, Any]) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return web.json_response(reply_with("4"))

    endpoint.handler = note
    async with endpoint.client() as model:
        for _ in range(5):
            await model.sample(ask())
    assert len(ports) == 1


async def test_the_key_is_shown_nowhere(endpoint, ask, secret):
    endpoint.respond({"error": {"message": f"Incorrect API key provided: {secret}"}}, 401)
    async with endpoint.client() as model:
        [row] = await model.sample(ask())
        assert secret not in repr(model) + repr(row) + row.model_dump_json()
        assert "[key]" in row.error


async def test_no_one_at_home_is_a_row(ask):
    model = OpenAI("tiny", base_url="http://127.0.0.1:1/v1", api_key="")
    [row] = await model.sample(ask())
    await model.close()
    assert isinstance(row, Reply)
    assert row.retryable
    assert row.cost.input_tokens == 0


@pytest.mark.parametrize("key", ["two words", "line\nend", "schlüssel"])
def test_a_key_that_fits_no_header_is_refused_unseen(key):
    with pytest.raises(ConfigError) as caught:
        OpenAI("tiny", api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://host/v1", "nonsense", "http://", "http://user:pass@host/v1"])
def test_an_address_of_no_endpoint_is_refused(url):
    with pytest.raises(ConfigError, match="base URL"):
        OpenAI("tiny", base_url=url, api_key="")


def test_address_and_key_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")
    assert OpenAI("m", api_key="").name == "http://127.0.0.1:9/v1#m"
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert OpenAI("m", api_key="").name == "openai:m"
