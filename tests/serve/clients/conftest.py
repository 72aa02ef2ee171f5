"""The real command, `homespun serve`, in front of a stub upstream; started once for all contract tests."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
HOMESPUN = Path(sys.executable).with_name("homespun")
SETTINGS = """
[server]
state = "{folder}/state"
database = "sqlite:///{folder}/homespun.db"
max_body = 1048576

[retries]
attempts = 1
breaker_failures = 1000000

[cache]
exact = true

[alias]
"the-usual" = "stub"

[auto]
tiers = ["cheap", "stub"]
mode = "cascade"

[[target]]
name = "cheap"
url = "http://127.0.0.1:{port}/v1"
model = "stub-small"
private = true
price = {{ input = 0.1, output = 0.2 }}
capabilities = ["tools", "json", "logprobs"]

[[target]]
name = "stub"
url = "http://127.0.0.1:{port}/v1"
model = "stub-large"
private = true
price = {{ input = 1.0, cached_input = 0.5, output = 2.0 }}
capabilities = ["tools", "json", "vision", "responses", "logprobs"]

[[target]]
name = "barred"
url = "http://127.0.0.1:{port}/v1"
model = "stub-barred"
private = true
price = {{ input = 1.0, output = 2.0 }}

[[target]]
name = "embedder"
url = "http://127.0.0.1:{port}/v1"
model = "stub-embed"
private = true
price = {{ input = 0.01, output = 0 }}
capabilities = ["embeddings"]
"""


@dataclass(frozen=True)
class Server:
    """A gateway that listens, and the keys it knows."""

    url: str
    """Up to and including ``/v1``."""
    key: str
    limited: str
    """A key that may ask once a minute."""
    narrow: str
    """A key that may only ask for the alias."""
    log: Path

    @property
    def root(self) -> str:
        """Without ``/v1``."""
        return self.url.removesuffix("/v1")


def _key(folder: Path, name: str, *options: str) -> str:
    command = [HOMESPUN, "keys", "create", name, *options, "--config", folder / "homespun.toml", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["key"]


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"listening on (http://\S+?/v1)", log.read_text()):
            return found.group(1)
        time.sleep(0.05)
    raise AssertionError(f"homespun serve did not start: {log.read_text()[-3000:]}")


def _wait(url: str) -> None:
    """Workers may need a moment after the address is told."""
    until = time.monotonic() + 30
    while True:
        try:
            if httpx.get(f"{url.removesuffix('/v1')}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            assert time.monotonic() < until, "the gateway is not ready"
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def upstream() -> Iterator[int]:
    """Port of the stub upstream."""
    process = subprocess.Popen([sys.executable, HERE / "stub.py"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdout.close()
        _end(process)


@pytest.fixture(scope="session")
def server(upstream: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway of one worker with keys, targets, an alias and ``homespun/…``."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "homespun.toml").write_text(SETTINGS.format(folder=folder, port=upstream))
    key = _key(folder, "contract")
    limited = _key(folder, "limited", "--rpm", "1")
    narrow = _key(folder, "narrow", "--models", "the-usual")
    log = folder / "log"
    with log.open("wb") as stderr:
        command = [HOMESPUN, "serve", "--config", folder / "homespun.toml", "--port", "0"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr, env=os.environ)
    try:
        url = _address(process, log)
        _wait(url)
        yield Server(url, key, limited, narrow, log)
    finally:
        _end(process)


@pytest.fixture(scope="session")
def node() -> Path:
    """Folder in which Node finds the client."""
    command = [sys.executable, HERE.parents[2] / "tools" / "node_client.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())
