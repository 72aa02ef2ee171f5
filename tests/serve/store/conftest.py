"""Books to test with, and what must always be true of them."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from homespun.serve.gateway.types import Attempt, Usage
from homespun.serve.store import keys
from homespun.serve.store.books import Books
from homespun.serve.store.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
async def books(database: Database, tmp_path: Path) -> AsyncIterator[Books]:
    books = await Books.open(database, tmp_path / "state")
    yield books
    await books.close()


@pytest.fixture
def new_key(database: Database) -> Callable[..., tuple[keys.Key, str]]:
    def make(name: str = "tests", **settings: Any) -> tuple[keys.Key, str]:
        return database.run_now(lambda connection: keys.create(connection, name, **settings))

    return make


@pytest.fixture
def request_row() -> Callable[..., dict[str, Any]]:
    def make(id: str, key: keys.Key | None, *, nanodollars: int, tokens: int, **more: Any) -> dict[str, Any]:
        row = {
            "id": id, "time": time.time(), "worker": "w", "key_id": key and key.id, "team": key and key.team,
            "endpoint": "chat", "model": "m", "target": "m", "route": "single", "tiers": ["m"], "confidence": None,
            "stream": False, "status": 200, "outcome": "ok", "error": None, "cache": None, "input_tokens": tokens,
            "cached_tokens": 0, "output_tokens": 0, "estimated": False, "nanodollars": nanodollars,
            "reference_nanodollars": None, "seconds": 0.1, "first_byte_seconds": None, "conversation": None,
            "router": None,
        }  # fmt: skip
        return row | more

    return make


@pytest.fixture
def attempt() -> Callable[..., Attempt]:
    def make(nanodollars: int = 0, tokens: int = 0) -> Attempt:
        usage = Usage(input=tokens)
        return Attempt("m", "answer", time.time(), outcome="ok", usage=usage, nanodollars=nanodollars)

    return make


@pytest.fixture
def audit(database: Database) -> Callable[[], dict[str, int]]:
    """Checks what must be true between any two transactions, and gives the sums."""

    def check(connection: Connection) -> dict[str, int]:
        def one(query: str) -> int:
            return int(connection.execute(text(query)).scalar() or 0)

        over = """SELECT count(*) FROM meters m JOIN limits l ON l.id = m.limit_id
                  WHERE m.spent + m.reserved > l.amount OR m.spent < 0 OR m.reserved < 0"""
        assert one(over) == 0, "spent and reserved exceed an amount"
        torn = """SELECT count(*) FROM meters m WHERE m.reserved <> (SELECT coalesce(sum(amount), 0) FROM leases l
                  WHERE l.limit_id = m.limit_id AND l."window" = m."window")"""
        assert one(torn) == 0, "leases do not add up to what is reserved"
        assert one("SELECT count(*) FROM leases WHERE amount <= 0") == 0
        units = {"nanodollars": "nanodollars", "requests": "1", "tokens": "input_tokens + output_tokens"}
        for unit, column in units.items():
            wrong = f"""SELECT count(*) FROM limits l WHERE l.subject_kind = 'key' AND l.unit = '{unit}' AND
                (SELECT coalesce(sum({column}), 0) FROM requests r WHERE r.key_id = l.subject) <>
                (SELECT coalesce(sum(m.spent), 0) FROM meters m WHERE m.limit_id = l.id)"""
            assert one(wrong) == 0, f"the ledger and the meters of {unit} differ"
        return {
            "requests": one("SELECT count(*) FROM requests"),
            "attempts": one("SELECT count(*) FROM attempts"),
            "nanodollars": one("SELECT sum(nanodollars) FROM requests"),
            "interrupted": one("SELECT count(*) FROM requests WHERE outcome = 'interrupted'"),
            "reserved": one("SELECT sum(reserved) FROM meters"),
            "leases": one("SELECT count(*) FROM leases"),
        }

    return lambda: database.run_now(check, read_only=True)
