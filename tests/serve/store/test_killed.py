"""Processes that are killed, and processes that compete: nothing lost, nothing doubled, nothing exceeded."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from homespun.serve.store import keys, workers
from homespun.serve.store.books import Books
from homespun.serve.store.database import Database

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
Audit = Callable[[], dict[str, int]]

COMMON = """
import asyncio, os, sys, time
from pathlib import Path
from homespun.serve.gateway.types import Attempt, GatewayError, Usage
from homespun.serve.store import escrow, journal
from homespun.serve.store.books import Books
from homespun.serve.store.database import Database
url, state, token = sys.argv[1:4]
def row(id, key, cost):
    return dict(id=id, time=time.time(), worker="w", key_id=key.id, endpoint="chat", model="m", route="single",
                tiers=["m"], stream=False, status=200, outcome="ok", input_tokens=3, output_tokens=4,
                nanodollars=cost, seconds=0.1)
"""
BUSY = (
    COMMON
    + """
from homespun.serve.store import clerk
clerk.TICK_SECONDS = 0.005
async def main():
    books = await Books.open(Database(url), Path(state))
    books._journal._segment_bytes = 20_000
    print("open", flush=True)
    key, number, running = books.key(token), 0, []
    while True:
        hold = books.try_reserve(key, tokens=10, nanodollars=50) or await books.reserve(key, tokens=10, nanodollars=50)
        number += 1
        id = f"r-{books.worker}-{number}"
        books.begin(hold, id, time.time(), {"endpoint": "chat", "model": "m"})
        running.append((hold, id))
        if len(running) > 5:
            hold, id = running.pop(number % 5)
            attempt = Attempt("m", "answer", time.time(), usage=Usage(3, 0, 4), nanodollars=40)
            books.settle(hold, row(id, key, 40), [attempt])
            os.write(1, f"{id}\\n".encode())
        if number % 20 == 0:
            await asyncio.sleep(0)
asyncio.run(main())
"""
)
CROWD = (
    COMMON
    + """
async def main():
    books = await Books.open(Database(url), Path(state))
    key = books.key(token)
    print("open", flush=True)
    sys.stdin.readline()
    async def ask(number):
        try:
            hold = await books.reserve(key, tokens=0, nanodollars=20)
        except GatewayError as error:
            return error.code
        id = f"r-{books.worker}-{number}"
        books.begin(hold, id, time.time(), {})
        await asyncio.sleep(0.05)
        books.settle(hold, row(id, key, 20), [])
        return "ok"
    codes = await asyncio.gather(*(ask(number) for number in range(67)))
    await books.close()
    import json
    print(json.dumps({code: codes.count(code) for code in codes}))
asyncio.run(main())
"""
)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def make(code: str, *arguments: Any) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", code, *map(str, arguments)]
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield make
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


async def test_killed_at_any_instant_nothing_is_lost_or_doubled(
    database: Database, database_url: str, tmp_path: Path, audit: Audit, start: Start
) -> None:
    limits = [("nanodollars", "ever", 10**12), ("requests", "ever", 10**9), ("tokens", "ever", 10**10)]
    _, token = database.run_now(lambda c: keys.create(c, "k", limits=limits))  # type: ignore[arg-type]
    chance, acknowledged = random.Random(11), list[str]()
    for _ in range(3):
        process = start(BUSY, database_url, tmp_path / "state", token)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        killer = asyncio.create_task(asyncio.sleep(chance.uniform(0.05, 0.6)))
        reading = asyncio.create_task(asyncio.to_thread(process.stdout.read))
        await killer
        process.send_signal(signal.SIGKILL)
        process.wait()
        acknowledged += [line for line in (await reading).split("\n")[:-1] if line.startswith("r-")]
        audit()  # also while nobody has recovered it
    books = await Books.open(database, tmp_path / "state")
    found = books.status()["recovered"]
    assert found["workers"] == 1, "each recovered the one before"
    await books.close()
    sums = audit()
    booked = database.run_now(lambda c: list(c.execute(text("SELECT id, outcome FROM requests"))))
    settled = {row.id for row in booked if row.outcome == "ok"}
    assert len(acknowledged) > 100
    assert set(acknowledged) <= settled
    assert len(settled) - len(acknowledged) <= 3, "written down, but killed before it could say so"
    assert sums["attempts"] == len(settled)
    assert 0 < sums["interrupted"] <= 6 * 3
    assert sums["nanodollars"] == 40 * len(settled) + 50 * sums["interrupted"]
    assert (sums["reserved"], sums["leases"]) == (0, 0)
    assert not list((tmp_path / "state" / "journal").iterdir())


class Killed(BaseException):
    """What ends the work where it stands."""


async def test_killed_while_recovering(
    database: Database, database_url: str, tmp_path: Path, audit: Audit, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [("nanodollars", "ever", 10**12), ("requests", "ever", 10**9)]
    _, token = database.run_now(lambda c: keys.create(c, "k", limits=limits))  # type: ignore[arg-type]
    process = start(BUSY, database_url, tmp_path / "state", token)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(400)]
    process.kill()
    lines += process.stdout.read().split("\n")[:-1]
    real, turns = database.run, [0]

    async def dying(fn: Any, **settings: Any) -> Any:
        turns[0] += 1
        if turns[0] == limit:
            raise Killed
        return await real(fn, **settings)

    monkeypatch.setattr(database, "run", dying)
    for limit in range(1, 30):  # noqa: B007
        turns[0] = 0
        try:
            books = await Books.open(database, tmp_path / "state")
        except Killed:
            audit()
            continue
        break
    monkeypatch.setattr(database, "run", real)
    await books.close()
    sums = audit()
    acknowledged = {line.strip() for line in lines if line.startswith("r-")}
    assert acknowledged
    assert sums["requests"] - sums["interrupted"] - len(acknowledged) in (0, 1)
    assert sums["reserved"] == 0


async def test_two_hundred_in_three_processes_never_exceed_a_budget(
    database: Database, database_url: str, tmp_path: Path, audit: Audit, start: Start
) -> None:
    machines = 1 if database.sqlite else 3
    _, token = database.run_now(lambda c: keys.create(c, "k", limits=[("nanodollars", "month", 1000)]))
    crowd = [start(CROWD, database_url, tmp_path / f"state{n % machines}", token) for n in range(3)]
    for process in crowd:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    counts: dict[str, int] = {}
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in crowd:
        output, _ = await asyncio.to_thread(process.communicate, None, 60)
        for code, count in json.loads(output.splitlines()[-1]).items():
            counts[code] = counts.get(code, 0) + count
    sums = audit()
    assert sum(counts.values()) == 201
    assert set(counts) == {"ok", "insufficient_quota"}
    assert sums["nanodollars"] == 20 * counts["ok"] <= 1000
    assert counts["ok"] >= 45, "what others do not need is handed on"
    assert sums["reserved"] == 0


async def test_a_lost_machine_keeps_its_lease_until_released_by_hand(
    database: Database, database_url: str, tmp_path: Path, audit: Audit, start: Start
) -> None:
    _, token = database.run_now(lambda c: keys.create(c, "k", limits=[("nanodollars", "ever", 10**6)]))
    process = start(BUSY, database_url, tmp_path / "lost", token)
    assert process.stdout is not None
    for _ in range(50):
        process.stdout.readline()
    process.kill()
    process.wait()
    books = await Books.open(database, tmp_path / "here")
    assert books.status()["recovered"]["workers"] == 0, "another machine's folder"
    held = audit()["reserved"]
    assert held > 0
    lost = next(row for row in database.run_now(workers.listing) if row["id"] != books.worker)
    with pytest.raises(workers.ConfigError, match="was heard"):
        database.run_now(lambda c: workers.release(c, lost["id"]))
    assert database.run_now(lambda c: workers.release(c, lost["id"], force=True)) == 1
    assert audit()["reserved"] == 0
    with pytest.raises(workers.ConfigError, match="no worker"):
        database.run_now(lambda c: workers.release(c, "nobody"))
    await books.close()
    found = await Books.open(database, tmp_path / "lost")  # the machine comes back after all
    await found.close()
    sums = audit()
    assert sums["reserved"] == 0
    assert sums["requests"] >= 49
    assert time.time() - lost["heartbeat"] < 600
