"""Feedback over HTTP: who may label what, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from homespun.serve.gateway.learning.feedback import feedback_routes, parse
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.database import Database
from homespun.serve.store.tables import decisions, requests

pytestmark = pytest.mark.slow


class FakeBooks:
    """Remembers notes; a flush brings what was waiting into the database."""

    def __init__(self, database: Database) -> None:
        self.database, self.noted, self.waiting = database, list[dict[str, Any]](), list[dict[str, Any]]()

    def note(self, table: str, row: dict[str, Any]) -> None:
        assert table == "labels"
        self.noted.append(row)

    async def flush(self) -> None:
        rows, self.waiting = self.waiting, []
        for row in rows:
            await self.database.run(lambda connection, row=row: connection.execute(insert(requests).values(**row)))


def request_row(request_id: str, key_id: str | None, target: str | None) -> dict[str, Any]:
    filled = {"worker": "w", "endpoint": "chat", "model": "m", "route": "single", "outcome": "ok"}
    numbers = dict.fromkeys(("time", "seconds", "input_tokens", "cached_tokens", "output_tokens", "nanodollars"), 0)
    rest = {"tiers": [], "stream": False, "status": 200, "estimated": False}
    return {"id": request_id, "key_id": key_id, "target": target, **filled, **numbers, **rest}


def decision_row(request_id: str) -> dict[str, Any]:
    return {"request_id": request_id, "time": 0.0, "router": "v", "dial": "d", "arms": [], "chosen": "a",
            "answered": "the-arm", "propensity": 1.0, "path": []}  # fmt: skip


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Any]:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    database.migrate()
    database.run_now(lambda c: c.execute(insert(requests).values(**request_row("r1", "k1", "the-target"))))
    database.run_now(lambda c: c.execute(insert(decisions).values(**decision_row("r1"))))
    database.run_now(lambda c: c.execute(insert(requests).values(**request_row("r2", "k1", None))))
    books = FakeBooks(database)
    books.waiting = [request_row("r3", "k1", "the-target")]

    def authenticate(request: Request) -> Any:
        name = request.headers.get("x-key")
        if name is None:
            raise GatewayError(401, "An API key is needed.", kind="authentication_error")
        return None if name == "none" else SimpleNamespace(id=name, admin=name == "admin")

    yield SimpleNamespace(database=database, books=books, authenticate=authenticate)
    database.close()


@pytest.fixture
def client(gateway: Any) -> TestClient:
    app = FastAPI()
    app.include_router(feedback_routes(gateway))

    @app.exception_handler(GatewayError)
    async def refused(_: Request, error: GatewayError) -> JSONResponse:
        return JSONResponse(error.body(), error.status)

    return TestClient(app)


def say(client: TestClient, key: str | None, **body: Any) -> Any:
    return client.post("/v1/feedback", json=body, headers={} if key is None else {"x-key": key})


def test_whoever_asked_may_label_the_arm_that_answered(client: TestClient, gateway: Any) -> None:
    done = say(client, "k1", id="r1", thumb="up", detail="nice")
    assert done.status_code == 200
    assert done.json()["score"] == 1.0
    (row,) = gateway.books.noted
    assert (row["arm"], row["source"], row["score"], row["key_id"], row["detail"]) == (
        "the-arm", "feedback", 1.0, "k1", "nice",
    )  # fmt: skip
    assert say(client, "k1", id="r1", thumb="up", detail="nice").json()["id"] == done.json()["id"]
    assert say(client, "admin", id="r1", score=0.25).status_code == 200
    assert say(client, "none", id="r1", score=0).status_code == 200  # a gateway without keys


def test_for_others_it_does_not_exist(client: TestClient, gateway: Any) -> None:
    assert say(client, "k2", id="r1", score=1).status_code == 404
    assert say(client, "k1", id="nothing", score=1).status_code == 404
    assert say(client, None, id="r1", score=1).status_code == 401
    assert say(client, "k1", id="r2", score=1).status_code == 409
    assert gateway.books.noted == []


def test_what_is_still_in_the_journal_is_found(client: TestClient, gateway: Any) -> None:
    assert say(client, "k1", id="r3", score=0.5).status_code == 200
    assert gateway.books.noted[0]["arm"] == "the-target"


def test_too_large_is_refused(client: TestClient) -> None:
    assert say(client, "k1", id="r1", score=1, detail="x" * 20_000).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"1", b"{}", b'{"id": "r1"}', b'{"id": 5, "score": 1}', b'{"id": "r", "score": 2}',
        b'{"id": "r", "score": true}', b'{"id": "r", "score": NaN}', b'{"id": "r", "thumb": "sideways"}',
        b'{"id": "r", "thumb": ["up"]}', b'{"id": "r", "score": 1, "thumb": "up"}', b'{"id": "r", "score": "1"}',
        b'{"id": "r", "score": 1, "extra": 1}', b'{"id": "r\\u0000", "score": 1}', b'{"id": "\\ud800", "score": 1}',
        b'{"id": "r", "score": 1, "detail": 5}', b'{"id": "", "score": 1}', b"\xff\xfe", b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(body: bytes) -> None:
    with pytest.raises(GatewayError) as error:
        parse(body)
    assert error.value.status == 400


@given(st.floats(0, 1))
def test_scores_pass_as_they_are(score: float) -> None:
    assert parse(f'{{"id": "r", "score": {score!r}}}'.encode()) == ("r", score, None)
