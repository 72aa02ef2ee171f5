"""Kept answers: the same request is answered again, another one never, and a claim is answered once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homespun.serve.gateway.config import Cache
from homespun.serve.gateway.kept import Kept
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.database import Database
from homespun.serve.store.keys import Key

ONE = Key("one", "one", "team", None, False, None)
TWO = Key("two", "two", "team", None, False, None)
THREE = Key("three", "three", "other", None, False, None)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/books.db")
    database.migrate()
    yield database
    database.close()


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, **more}


def found(kept: Kept, request: dict[str, Any], key: Key | None, *, asked: str | None = None, model: str = "m") -> Any:
    place = kept.place("chat", model, request, key, asked)
    return None if place is None else asyncio.run(kept.find(place))


def put(kept: Kept, request: dict[str, Any], key: Key | None, answer: bytes, *, asked: str | None = None) -> None:
    place = kept.place("chat", "m", request, key, asked)
    assert place is not None
    asyncio.run(kept.keep(place, "target", answer))


def test_the_same_request_is_a_hit_and_any_other_is_not(database):
    kept = Kept(Cache(exact=True), database)
    put(kept, body("hello"), ONE, b"{}")
    hit = found(kept, body("hello"), ONE)
    assert (hit.body, hit.target, hit.how) == (b"{}", "target", "exact")
    assert found(kept, body("hello", user="x", stream=True, metadata={"a": "b"}), ONE) is not None
    for other in (body("hallo"), body("hello", max_tokens=5), body("hello", seed=1), body("hello", unknown=1)):
        assert found(kept, other, ONE) is None
    assert found(kept, body("hello"), ONE, model="n") is None


@pytest.mark.parametrize(
    ("scope", "sees"),
    [("key", {"one"}), ("team", {"one", "two"}), ("all", {"one", "two", "three", None})],
)
def test_a_hit_never_leaves_its_scope(database, scope, sees):
    kept = Kept(Cache(exact=True, scope=scope), database)
    put(kept, body("hello"), ONE, b"{}")
    for key in (ONE, TWO, THREE, None):
        name = None if key is None else key.id
        assert (found(kept, body("hello"), key) is not None) == (name in sees), name


def test_tools_and_warm_requests_are_kept_only_when_asked_for(database):
    kept = Kept(Cache(exact=True), database)
    tools = body("hello", tools=[{"type": "function", "function": {"name": "f"}}])
    warm = body("hello", temperature=0.7)
    default = {"messages": [{"role": "user", "content": "hello"}]}
    for request in (tools, warm, default):
        assert kept.place("chat", "m", request, ONE, None) is None
        assert kept.place("chat", "m", request, ONE, "on") is not None
    assert kept.place("chat", "m", body("hello"), ONE, "off") is None
    assert Kept(Cache(), database).place("chat", "m", body("hello"), ONE, "on") is None


def test_an_answer_expires_and_a_large_one_is_not_kept(database, monkeypatch):
    kept = Kept(Cache(exact=True, ttl=10, max_bytes=1024), database)
    put(kept, body("large"), ONE, b"x" * 1025)
    assert found(kept, body("large"), ONE) is None
    put(kept, body("old"), ONE, b"{}")
    assert found(kept, body("old"), ONE) is not None
    import time

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 11)
    assert found(kept, body("old"), ONE) is None


@pytest.mark.slow
def test_a_question_that_means_the_same_is_a_hit(database):
    kept = Kept(Cache(semantic=0.85), database)
    put(kept, body("What is the capital city of France?"), ONE, b"{}")
    assert found(kept, body("What is the capital of France?"), ONE).how == "semantic"
    assert found(kept, body("What is the capital city of France?"), ONE).how == "exact"
    assert found(kept, body("How do I bake bread?"), ONE) is None
    assert found(kept, body("What is the capital of France?"), TWO) is None
    assert found(kept, body("What is the capital of France?", max_tokens=3), ONE) is None


def claim(kept: Kept, name: str, key: Key | None, request: bytes, seconds: float = 60) -> Any:
    return asyncio.run(kept.claim(name, key, request, seconds))


def test_a_claim_is_answered_once_and_repeated_after_that(database):
    kept = Kept(Cache(), database)
    assert claim(kept, "a", ONE, b"request") is None
    with pytest.raises(GatewayError) as busy:
        claim(kept, "a", ONE, b"request")
    assert busy.value.status == 409
    asyncio.run(kept.fulfil("a", ONE, b"answer"))
    assert claim(kept, "a", ONE, b"request") == b"answer"
    with pytest.raises(GatewayError) as other:
        claim(kept, "a", ONE, b"another request")
    assert other.value.status == 422
    assert claim(kept, "a", TWO, b"another request") is None


def test_a_claim_without_an_answer_may_be_made_again(database):
    kept = Kept(Cache(), database)
    assert claim(kept, "a", ONE, b"request") is None
    asyncio.run(kept.fulfil("a", ONE, None))
    assert claim(kept, "a", ONE, b"request") is None
    assert claim(kept, "b", ONE, b"request", seconds=-1) is None
    assert claim(kept, "b", ONE, b"request") is None  # its worker died long ago


def test_of_many_claims_at_once_one_is_granted(database):
    kept = Kept(Cache(), database)

    async def race() -> list[Any]:
        return await asyncio.gather(*(kept.claim("a", ONE, b"r", 60) for _ in range(20)), return_exceptions=True)

    results = asyncio.run(race())
    assert results.count(None) == 1
    assert all(isinstance(result, GatewayError) and result.status == 409 for result in results if result is not None)
