"""The wire itself, as curl sees it."""

import json
import subprocess
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

ASK = {"model": "stub", "messages": [{"role": "user", "content": "hello there"}]}


def curl(server: Any, path: str, body: object = None, *options: str, key: str | None = "") -> tuple[int, str]:
    token = server.key if key == "" else key
    command = ["curl", "-sS", "--noproxy", "*", "-m", "20", "-w", "\n%{http_code}", *options]
    if token is not None:
        command += ["-H", f"Authorization: Bearer {token}"]
    if body is not None:
        data = body if isinstance(body, str) else json.dumps(body)
        command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        done = subprocess.run([*command, server.root + path], input=data, capture_output=True, text=True, check=True)
    else:
        done = subprocess.run([*command, server.root + path], capture_output=True, text=True, check=True)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


@pytest.mark.parametrize("model", ["stub", "the-usual", "homespun/auto"])
def test_chat(server: Any, model: str) -> None:
    status, text = curl(server, "/v1/chat/completions", {**ASK, "model": model})
    assert (status, json.loads(text)["choices"][0]["message"]["content"]) == (200, "You said: hello there")


def test_a_stream_is_data_lines_that_end_with_done(server: Any) -> None:
    status, text = curl(server, "/v1/chat/completions", {**ASK, "stream": True}, "-N")
    frames = [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]
    assert status == 200
    assert all(frame.startswith("data: ") for frame in frames)
    assert frames[-1] == "data: [DONE]"
    assert all("choices" in json.loads(frame.removeprefix("data: ")) for frame in frames[:-1])


def test_a_cut_stream_ends_with_an_error_and_without_done(server: Any) -> None:
    body = {**ASK, "messages": [{"role": "user", "content": "cut this off please"}], "stream": True}
    _, text = curl(server, "/v1/chat/completions", body, "-N")
    last = text.strip().split("\n\n")[-1]
    assert "error" in json.loads(last.removeprefix("data: "))
    assert "[DONE]" not in text


NO_OBJECTS = {"{": "invalid_json", "[1]": "invalid_json", "": "invalid_json", '{"a": NaN}': "invalid_json"}


@pytest.mark.parametrize(("body", "code"), [*NO_OBJECTS.items(), ("[" * 5000, "too_deep")])
def test_what_is_no_json_object(server: Any, body: str, code: str) -> None:
    status, text = curl(server, "/v1/chat/completions", body)
    assert (status, json.loads(text)["error"]["code"]) == (400, code)


def test_another_method(server: Any) -> None:
    status, text = curl(server, "/v1/chat/completions")
    assert (status, json.loads(text)["error"]["code"]) == (405, "method_not_allowed")


def test_nothing_there(server: Any) -> None:
    status, text = curl(server, "/v1/nothing")
    assert status == 404
    assert json.loads(text)["error"]["message"]


def test_health_needs_no_key(server: Any) -> None:
    for path in ("/healthz", "/readyz"):
        status, _ = curl(server, path, key=None)
        assert status == 200


def test_keys_never_reach_the_log(server: Any) -> None:
    curl(server, "/v1/models", key="hs-this-is-wrong")
    log = server.log.read_text()
    assert server.key not in log
    assert "hs-this-is-wrong" not in log
