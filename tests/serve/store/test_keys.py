"""Keys: a true one is known, a false one costs the same work, and the secret is nowhere but with its owner."""

import asyncio
import logging
import time
from collections.abc import Callable
from hmac import compare_digest
from pathlib import Path

import pytest
from sqlalchemy import text

from homespun.errors import ConfigError
from homespun.serve.store import keys
from homespun.serve.store.books import Books
from homespun.serve.store.database import Database

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], bool]) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < 10
        await asyncio.sleep(0.02)
    return time.monotonic() - start


@pytest.mark.slow
async def test_keys_come_and_go_for_every_worker(database: Database, books: Books, tmp_path: Path) -> None:
    other = await Books.open(database, tmp_path / "elsewhere")
    assert not database.run_now(keys.any_key)
    key, token = database.run_now(lambda c: keys.create(c, "ci", team="core", models=["a", "b"], admin=True))
    assert database.run_now(keys.any_key)
    for worker in (books, other):
        await until(lambda worker=worker: worker.key(token) is not None)
        found = worker.key(token)
        assert found == key
        assert (found.name, found.team, found.models, found.admin) == ("ci", "core", {"a", "b"}, True)
    assert database.run_now(lambda c: keys.revoke(c, "ci")) == key.id
    for worker in (books, other):
        await until(lambda worker=worker: worker.key(token) is None)
    assert not database.run_now(keys.any_key)
    await other.close()


async def test_only_the_whole_token_opens(database: Database) -> None:
    key, token = database.run_now(lambda c: keys.create(c, "ci", expires=2000.0))
    registry = database.run_now(keys.load)
    assert registry.key(token, 1999.0) == key
    assert registry.key(token, 2000.0) is None, "expired"
    id, secret = token.split("-", 2)[1:]
    assert len(secret) >= 43, "256 bits"
    wrong = [
        "", "hs", "hs-", "hs--", f"hs-{id}", f"hs-{id}-", f"hs-{id}-{secret[:-1]}", f"hs-{id}-{secret}x",
        f"sk-{id}-{secret}", f"hs-{id[:-1]}-{secret}", f"hs-{id}-{secret.swapcase()}", f" {token}", "hs-\x00-\udc80",
        "x" * 10_000, token + "\n",
    ]  # fmt: skip
    assert [registry.key(other, 1.0) for other in wrong] == [None] * len(wrong)


async def test_known_and_unknown_ids_cost_the_same_work(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = database.run_now(lambda c: keys.create(c, "ci"))
    registry = database.run_now(keys.load)
    hashed, compared, digest = list[str](), list[int](), keys._digest
    monkeypatch.setattr(keys, "_digest", lambda secret: (hashed.append(secret), digest(secret))[1])

    def compare(left: bytes, right: bytes) -> bool:
        compared.append(len(right))
        return compare_digest(left, right)

    monkeypatch.setattr(keys.hmac, "compare_digest", compare)
    for candidate in (token, token[:-2] + "xx", "hs-0000000000-" + token[-43:], "nonsense"):
        registry.key(candidate, 1.0)
    assert len(hashed) == 4
    assert compared == [32] * 4, "a hash of the same length each time"


async def test_the_secret_is_nowhere(
    database: Database, books: Books, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key, token = database.run_now(lambda c: keys.create(c, "ci"))
    await until(lambda: books.key(token) is not None)
    secret = token.split("-", 2)[2]
    stored = str(database.run_now(lambda c: c.execute(text("SELECT * FROM keys")).all()))
    said = [repr(key), repr(books), repr(database), str(books.status()), caplog.text, stored]
    with pytest.raises(ConfigError) as caught:
        database.run_now(lambda c: keys.revoke(c, token))
    said.append(str(caught.value))
    with pytest.raises(ConfigError) as caught:
        database.run_now(lambda c: keys.create(c, token))
    said.append(str(caught.value))
    assert not [words for words in said if secret in words]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret.encode() in path.read_bytes()]


async def test_what_cannot_be(database: Database) -> None:
    def create(*_: object, **settings: object) -> None:
        database.run_now(lambda c: keys.create(c, **settings))  # type: ignore[arg-type]

    for settings in ({"name": ""}, {"name": "a\nb"}, {"name": "a" * 101}, {"name": "a", "team": " "}):
        with pytest.raises(ConfigError):
            create(**settings)
    for limit in (("dollars", "day", 1), ("tokens", "year", 1), ("tokens", "day", -1), ("tokens", "day", 2**63)):
        with pytest.raises(ConfigError):
            create(name="a", limits=[limit])
    assert not database.run_now(keys.any_key), "a key whose limits are wrong is not made"
    for name in ("twice", "twice"):
        create(name=name)
    with pytest.raises(ConfigError, match="2 keys are called 'twice'"):
        database.run_now(lambda c: keys.revoke(c, "twice"))
    with pytest.raises(ConfigError, match="no key 'none'"):
        database.run_now(lambda c: keys.revoke(c, "none"))
