"""A store of the battle room to test with, on both databases, and rows to put into it."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from homespun.serve.store.arena import RunRow, SessionRow, Vote
from homespun.serve.store.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def session_row() -> Callable[..., SessionRow]:
    def make(id: str = "s1", **more: Any) -> SessionRow:
        row = {"id": id, "created": time.time(), "mode": "battle", "environment": "auto", "model_a": "x",
               "model_b": "y", "voter": "v1", "sampling": {"temperature": 0.7}, "propensity": 0.25}  # fmt: skip
        return SessionRow(**{**row, **more})

    return make


@pytest.fixture
def run_row() -> Callable[..., RunRow]:
    def make(run: str = "r1", session: str = "s1", **more: Any) -> RunRow:
        row = {"run": run, "session": session, "side": "a", "turn": 1, "edit": 0, "created": time.time(),
               "environment": "interpreter", "language": "python", "filename": "main.py", "code": "print(1)",
               "status": "ok", "exit_code": 0, "stdout": "1\n"}  # fmt: skip
        return RunRow(**{**row, **more})

    return make


@pytest.fixture
def vote_row() -> Callable[..., Vote]:
    def make(session: str = "s1", **more: Any) -> Vote:
        row = {"id": str(uuid.uuid4()), "session": session, "time": time.time(), "mode": "battle", "winner": "a",
               "voter": "v1", "address_hash": "h", "model_a": "x", "model_b": "y"}  # fmt: skip
        return Vote(**{**row, **more})

    return make
