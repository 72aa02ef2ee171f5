"""The real command in front of a misbehaving upstream; a `Served` can be killed and started again where it stood."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homespun.serve.store import keys
from homespun.serve.store.database import Database

HERE = Path(__file__).parent
SETTINGS = """
[server]
state = "{folder}/state"
database = "{database}"
max_body = 200000
workers = 1
drain = 10

[timeouts]
first_token = 1.5
total = 6

[retries]
attempts = 2
base = 0.01
cap = 0.05
breaker_failures = 1000000

[[target]]
name = "stub"
url = "http://127.0.0.1:{port}/v1"
model = "stub-large"
private = true
max_output = 100
price = {{ input = 1.0, output = 2.0 }}
"""


class Served:
    """One gateway on disk, running or not."""

    def __init__(self, folder: Path, upstream: int):
        self.folder, self.workers = folder, 1
        """Processes that must say that they listen; a test that sets more writes it to the file as well."""
        self.database = f"sqlite:///{folder}/homespun.db"
        settings = SETTINGS.format(folder=folder, port=upstream, database=self.database)
        (folder / "homespun.toml").write_text(settings)
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def key(self, name: str, **options: Any) -> str:
        database = Database(self.database)
        database.migrate()
        try:
            return database.run_now(lambda connection: keys.create(connection, name, **options)[1])
        finally:
            database.close()

    def start(self, *options: str) -> "Served":
        command = [sys.executable, "-m", "homespun.cli.main", "serve", "--port", "0", *options]
        command += ["--config", str(self.folder / "homespun.toml")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, cwd=self.folder, start_new_session=True)
        until = time.monotonic() + 90
        while time.monotonic() < until and self.process.poll() is None:
            found = re.findall(r"listening on (http://\S+?)/v1", self.log.read_text())
            if len(found) == self.workers:
                self.url = found[0]
                return self
            time.sleep(0.05)
        raise AssertionError(f"homespun serve did not start: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """What a power switch does to all its processes."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """Asks it to stop, and does not wait."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Stops it in good order; its exit code."""
        assert self.process is not None
        self.terminate()
        try:
            return self.process.wait(25)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the books say."""
        with sqlite3.connect(self.folder / "homespun.db") as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    with subprocess.Popen([sys.executable, HERE / "upstream_stub.py"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture
def served(tmp_path: Path, upstream: int) -> Iterator[Served]:
    gateway = Served(tmp_path, upstream)
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.kill()
