"""One worker's books: what is let through, what is refused and how, and what ends up in the ledger."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import text

from homespun.serve.gateway.types import NANO, Attempt, GatewayError
from homespun.serve.store import escrow, keys
from homespun.serve.store.books import Books
from homespun.serve.store.database import Database, DatabaseError

pytestmark = pytest.mark.anyio
NewKey = Callable[..., tuple[keys.Key, str]]
Rows = Callable[..., dict[str, Any]]
Audit = Callable[[], dict[str, int]]


async def known(books: Books, token: str) -> keys.Key:
    while (key := books.key(token)) is None:
        await books.flush()
    return key


def settle(books: Books, hold: Any, row: dict[str, Any], attempts: list[Attempt]) -> None:
    books.begin(hold, row["id"], row["time"], {"endpoint": "chat", "model": "m", "stream": False})
    books.settle(hold, row, attempts)


async def all_that_is_left(books: Books, key: keys.Key | None) -> int:
    for count in range(1000):
        try:
            await books.reserve(key, tokens=0, nanodollars=0)
        except GatewayError as error:
            if error.status != 429:
                raise
            return count
    raise OverflowError


async def test_a_request_from_reservation_to_ledger(
    books: Books, new_key: NewKey, request_row: Rows, attempt: Callable[..., Attempt], audit: Audit, database: Database
) -> None:
    limits = [("nanodollars", "month", 10 * NANO), ("requests", "day", 60), ("tokens", "ever", 10_000)]
    key = await known(books, new_key(team="core", limits=limits)[1])
    assert books.limited(key)
    assert not books.limited(None)
    hold = await books.reserve(key, tokens=100, nanodollars=NANO)
    books.begin(hold, "r1", time.time(), {"endpoint": "chat", "model": "m", "stream": False})
    decision = {
        "request_id": "r1", "time": 1.0, "router": "v1", "dial": "balanced", "arms": ["a"], "chosen": "a",
        "propensity": 1.0, "path": [{"stage": "stop"}],
    }  # fmt: skip
    books.settle(hold, request_row("r1", key, nanodollars=NANO // 4, tokens=40), [attempt(NANO // 4, 40)], decision)
    books.note("labels", {"request_id": "r1", "arm": "a", "time": 2.0, "source": "feedback", "score": 1.0})
    with pytest.raises(ValueError, match="keys"):
        books.note("keys", {})
    with pytest.raises(RuntimeError, match="settled before"):
        books.settle(hold, request_row("r1", key, nanodollars=0, tokens=0), [])
    await books.flush()
    assert audit()["nanodollars"] == NANO // 4
    used = {entry["unit"]: entry for entry in await books.usage(key)}
    assert [used[unit]["spent"] for unit in keys.UNITS] == [NANO // 4, 1, 40]
    assert used["tokens"]["amount"] == 10_000
    assert used["tokens"]["left"] == 10_000 - 40 - used["tokens"]["reserved"]
    stored = database.run_now(
        lambda c: [c.execute(text(f"SELECT count(*) FROM {t}")).scalar() for t in ("attempts", "decisions", "labels")]
    )
    assert stored == [1, 1, 1]
    await books.close()
    assert audit()["reserved"] == 0


@pytest.mark.slow
async def test_what_was_not_used_is_free_again(books: Books, new_key: NewKey, request_row: Rows, audit: Audit) -> None:
    key = await known(books, new_key(limits=[("nanodollars", "ever", 100)])[1])
    for number in range(10):
        hold = await books.reserve(key, tokens=0, nanodollars=55)
        with pytest.raises(GatewayError):
            await books.reserve(key, tokens=0, nanodollars=55)
        settle(books, hold, request_row(f"r{number}", key, nanodollars=5, tokens=0), [])
    books.release(await books.reserve(key, tokens=0, nanodollars=50))
    await books.flush()
    assert audit()["nanodollars"] == 50
    with pytest.raises(GatewayError):
        await books.reserve(key, tokens=0, nanodollars=51)
    books.release(await books.reserve(key, tokens=0, nanodollars=50))


@pytest.mark.slow
async def test_refusals_say_what_and_until_when(books: Books, new_key: NewKey) -> None:
    key = await known(books, new_key("rpm", limits=[("requests", "hour", 2)])[1])
    for _ in range(2):
        await books.reserve(key, tokens=0, nanodollars=0)
    with pytest.raises(GatewayError) as caught:
        await books.reserve(key, tokens=0, nanodollars=0)
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after == pytest.approx(3600 - time.time() % 3600, abs=60)
    assert "limit of 2 requests per hour" in caught.value.message
    key = await known(books, new_key("money", limits=[("nanodollars", "day", NANO)])[1])
    with pytest.raises(GatewayError) as caught:
        await books.reserve(key, tokens=0, nanodollars=NANO + 1)
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (429, "insufficient_quota", None)
    assert "$1.00 per day" in caught.value.message
    key = await known(books, new_key("tokens", limits=[("tokens", "minute", 10)])[1])
    with pytest.raises(GatewayError) as caught:
        await books.reserve(key, tokens=11, nanodollars=0)
    assert (caught.value.code, caught.value.retry_after) == ("rate_limit_exceeded", None), "waiting would not help"


@pytest.mark.slow
async def test_limits_of_key_team_and_everybody_all_count(books: Books, database: Database, new_key: NewKey) -> None:
    one = await known(books, new_key("one", team="core", limits=[("requests", "ever", 5)])[1])
    two = await known(books, new_key("two", team="core")[1])
    three = await known(books, new_key("three")[1])
    database.run_now(lambda c: keys.set_limit(c, "team", "core", "requests", "ever", 7))
    database.run_now(lambda c: keys.set_limit(c, "all", "", "requests", "ever", 9))
    await books.flush()
    assert [await all_that_is_left(books, key) for key in (one, two, three, None)] == [5, 2, 2, 0]


@pytest.mark.slow
async def test_a_limit_may_change_while_requests_run(books: Books, database: Database, new_key: NewKey) -> None:
    key = await known(books, new_key(limits=[("requests", "ever", 1000)])[1])

    def change(amount: int | None) -> None:
        database.run_now(lambda c: keys.set_limit(c, "key", key.id, "requests", "ever", amount))

    for _ in range(3):
        await books.reserve(key, tokens=0, nanodollars=0)
    change(4)
    await books.flush()
    await books.flush()
    await books.reserve(key, tokens=0, nanodollars=0)
    with pytest.raises(GatewayError):
        await books.reserve(key, tokens=0, nanodollars=0)
    change(5)
    await books.flush()
    await asyncio.sleep(0.3)  # a refusal stands for a moment
    await books.reserve(key, tokens=0, nanodollars=0)
    change(None)
    await books.flush()
    for _ in range(10):
        await books.reserve(key, tokens=0, nanodollars=0)


@pytest.mark.slow
async def test_dearer_than_reserved_is_booked_and_told(
    books: Books, new_key: NewKey, request_row: Rows, database: Database
) -> None:
    key = await known(books, new_key(limits=[("nanodollars", "ever", 100)])[1])
    hold = await books.reserve(key, tokens=0, nanodollars=90)
    settle(books, hold, request_row("r", key, nanodollars=250, tokens=3), [])
    assert books.status()["overdrawn"] == {"requests": 1, "nanodollars": 160, "tokens": 3}
    await books.flush()
    assert [(e["spent"], e["reserved"], e["left"]) for e in await books.usage(key)] == [(250, 0, 0)]
    with pytest.raises(GatewayError):
        await books.reserve(key, tokens=0, nanodollars=1)


@pytest.mark.slow
async def test_windows_are_those_of_the_beginning_whatever_the_clock_does(
    books: Books, new_key: NewKey, request_row: Rows, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await known(books, new_key(limits=[("requests", "minute", 3)])[1])
    clock = [6000.0]
    monkeypatch.setattr(escrow.time, "time", lambda: clock[0])

    async def grant() -> Any:
        return await books.reserve(key, tokens=0, nanodollars=0)

    holds = [await grant() for _ in range(3)]
    with pytest.raises(GatewayError):
        await grant()
    clock[0] = 6060.0
    holds += [await grant() for _ in range(3)]
    clock[0] = 6000.5  # the clock steps back: that minute is still used up
    with pytest.raises(GatewayError):
        await grant()
    for number, hold in enumerate(holds):
        settle(books, hold, request_row(f"r{number}", key, nanodollars=0, tokens=0), [])
    clock[0] = 9000.0
    await books.flush()
    await books.flush()
    rows = database.run_now(lambda c: c.execute(text('SELECT "window", spent, reserved FROM meters ORDER BY 1')).all())
    assert [tuple(row) for row in rows] == [(6000, 3, 0), (6060, 3, 0)]


@pytest.mark.slow
async def test_idle_leases_go_back_and_others_can_have_them(
    database: Database, books: Books, tmp_path: Path, new_key: NewKey, audit: Audit
) -> None:
    token = new_key(limits=[("requests", "ever", 100)])[1]
    other = await Books.open(database, tmp_path / "other")
    key = await known(books, token)
    await known(other, token)
    books.release(await books.reserve(key, tokens=0, nanodollars=0))
    assert audit()["reserved"] > 1
    for _ in range(100):  # all of it, though `books` holds some that it does not use
        await other.reserve(key, tokens=0, nanodollars=0)
    with pytest.raises(GatewayError):
        await books.reserve(key, tokens=0, nanodollars=0)
    await other.close()
    await asyncio.sleep(0.3)  # a refusal stands for a moment
    books.release(await books.reserve(key, tokens=0, nanodollars=0))
    deadline = time.monotonic() + 10
    while audit()["leases"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_the_database_may_be_away(
    books: Books, database: Database, new_key: NewKey, request_row: Rows, monkeypatch: pytest.MonkeyPatch, audit: Audit
) -> None:
    key = await known(books, new_key(limits=[("requests", "ever", 160)])[1])
    books.release(await books.reserve(key, tokens=0, nanodollars=0))
    real = database.run

    async def away(*_: Any, **__: Any) -> Any:
        raise DatabaseError("connection refused", "there")

    monkeypatch.setattr(database, "run", away)
    with pytest.raises(DatabaseError):
        await books.flush()
    served = 0
    while (hold := books.try_reserve(key, tokens=0, nanodollars=0)) is not None:
        settle(books, hold, request_row(f"r{served}", key, nanodollars=7, tokens=1), [])
        served += 1
    assert served > 5, "requests go on with what is leased"
    with pytest.raises(GatewayError) as caught:
        await books.reserve(key, tokens=0, nanodollars=0)
    assert (caught.value.status, caught.value.code) == (503, "books_unavailable")
    assert books.status()["database"] == "connection refused"
    assert books.status()["behind_bytes"] > 0
    monkeypatch.setattr(database, "run", real)
    deadline = time.monotonic() + 20
    while books.status()["database"] != "ok" or books.status()["behind_bytes"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert audit() | {"reserved": 0, "leases": 0} == {
        "requests": served, "attempts": 0, "nanodollars": 7 * served, "interrupted": 0, "reserved": 0, "leases": 0
    }  # fmt: skip


@pytest.mark.slow
async def test_a_commit_of_unknown_outcome_is_booked_once(
    books: Books, database: Database, new_key: NewKey, request_row: Rows, monkeypatch: pytest.MonkeyPatch, audit: Audit
) -> None:
    key = await known(books, new_key(limits=[("nanodollars", "ever", 10_000)])[1])
    real, turn = database.run, [0]

    async def cut(fn: Any, **settings: Any) -> Any:
        done = await real(fn, **settings)
        turn[0] += 1
        if turn[0] % 2:
            raise DatabaseError("the connection broke after the commit", "there")
        return done

    for number in range(6):
        hold = await books.reserve(key, tokens=0, nanodollars=100)
        monkeypatch.setattr(database, "run", cut)
        settle(books, hold, request_row(f"r{number}", key, nanodollars=30, tokens=0), [])
        while books.status()["behind_bytes"]:
            await asyncio.sleep(0.02)
        monkeypatch.setattr(database, "run", real)
        while books.status()["database"] != "ok":
            await asyncio.sleep(0.02)
        audit()
    await books.close()
    sums = audit()
    assert (sums["requests"], sums["nanodollars"], sums["reserved"]) == (6, 180, 0)


async def test_a_hostile_row_holds_up_nobody(
    books: Books, database: Database, new_key: NewKey, request_row: Rows, attempt: Callable[..., Attempt]
) -> None:
    key = await known(books, new_key()[1])
    odd = {"model": "a\0b", "error": "\ud800", "seconds": float("nan"), "tiers": [1, {"a": None}], "status": 2**40,
           "confidence": "high", "target": 7, "unknown": 1, "stream": None}  # fmt: skip
    settle(
        books,
        await books.reserve(key, tokens=0, nanodollars=0),
        request_row("odd", key, nanodollars=2**70, tokens=0, **odd),
        [],
    )
    settle(
        books,
        await books.reserve(key, tokens=0, nanodollars=0),
        request_row("good", key, nanodollars=1, tokens=1),
        [attempt()],
    )
    books.note("alarms", {"time": "yesterday"})
    await books.flush()
    rows = database.run_now(lambda c: c.execute(text("SELECT id, model, status FROM requests ORDER BY id")).all())
    assert [tuple(row) for row in rows] == [("good", "m", 200), ("odd", "a\ufffdb", 2**31 - 1)]
    assert books.status()["rejected"] == 0


async def test_a_journal_that_nobody_understands_keeps_nobody_from_starting(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "journal" / "old"
    folder.mkdir(parents=True)
    payload = b'{"of": "another version"}'
    (folder / "00000001.log").write_bytes(b"s%08x %b\n" % (crc32(payload), payload))
    books = await Books.open(database, tmp_path / "state")
    assert books.status()["recovered"]["workers"] == 0
    await books.close()
    assert (folder / "00000001.log").exists()
