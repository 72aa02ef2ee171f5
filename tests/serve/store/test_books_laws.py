"""Whatever several workers do at the same time, a limit is never exceeded, and ledger and meters agree."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from homespun.serve.gateway.types import GatewayError
from homespun.serve.store import books as module
from homespun.serve.store import keys
from homespun.serve.store.books import Books, Hold
from homespun.serve.store.database import Database

pytestmark = pytest.mark.slow
AMOUNT = 100
Rows = Callable[..., dict[str, Any]]

steps = st.lists(
    st.tuples(
        st.integers(0, 2),  # worker
        st.sampled_from([*["reserve"] * 4, *["settle"] * 3, "release", "flush", "flush", "wait", "die"]),
        st.sampled_from([1, 10, 10, 30, 30, 60]),
    ),
    min_size=20,
    max_size=60,
)


async def kill(books: Books) -> None:
    """What is left of a worker whose process is killed: nothing in memory, its lock free, its journal as it is."""
    clerk = books._clerk
    assert clerk._task is not None
    clerk._task.cancel()
    await asyncio.gather(clerk._task, return_exceptions=True)
    books._journal.close()
    os.close(books._lock)


class Play:
    """Three workers on two machines with one key; knows what each may still cost, as the world outside sees it."""

    def __init__(self, database: Database, root: Path, rows: Rows, audit: Callable[[], dict[str, int]]) -> None:
        self.database, self.root, self.rows, self.audit = database, root, rows, audit
        self.holds: list[list[tuple[Hold, int, str]]] = [[], [], []]
        self.spent = self.number = 0

    async def open(self, number: int) -> Books:
        return await Books.open(self.database, self.root / ("here" if number < 2 else "there"))

    def settle(self, worker: int, cost: int) -> None:
        hold, need, id = self.holds[worker].pop(0)
        cost = min(cost, need)
        self.workers[worker].begin(hold, id, 1.0, {"endpoint": "chat", "model": "m"})
        self.workers[worker].settle(hold, self.rows(id, self.key, nanodollars=cost, tokens=0), [])
        self.spent += cost

    async def step(self, worker: int, what: str, amount: int) -> None:
        books, held = self.workers[worker], self.holds[worker]
        if what == "reserve":
            try:
                hold = await books.reserve(self.key, tokens=0, nanodollars=amount)
            except GatewayError as error:
                if error.code != "insufficient_quota":
                    raise
                return
            self.number += 1
            held.append((hold, amount, f"r{self.number}"))
        elif what == "settle" and held:
            self.settle(worker, amount)
        elif what == "release" and held:
            books.release(held.pop()[0])
        elif what == "flush":
            await books.flush()
        elif what == "wait":
            await asyncio.sleep(amount / 1000)
        elif what == "die":
            for hold, need, id in held[::2]:  # some had begun: they are booked at all that was set aside
                books.begin(hold, id, 1.0, {"endpoint": "chat", "model": "m"})
                self.spent += need
            held.clear()
            await kill(books)
            self.workers[worker] = await self.open(worker)
        self.check()

    def check(self) -> None:
        outstanding = sum(need for held in self.holds for _, need, _ in held)
        assert self.spent + outstanding <= AMOUNT
        # The ledger lags behind, so that only what the database alone can see is compared here.
        self.audit()

    async def run(self, play: list[tuple[int, str, int]]) -> None:
        self.key, _ = self.database.run_now(
            lambda c: keys.create(c, "k", limits=[("nanodollars", "ever", AMOUNT), ("requests", "ever", 1000)])
        )
        self.workers = [await self.open(number) for number in range(3)]
        for worker, what, amount in play:
            await self.step(worker, what, amount)
        for worker, held in enumerate(self.holds):
            while held:
                self.settle(worker, AMOUNT)
            await self.workers[worker].close()
        sums = self.audit()
        assert (sums["nanodollars"], sums["reserved"], sums["leases"]) == (self.spent, 0, 0)


def test_no_interleaving_of_workers_exceeds_a_limit(
    database_url: str, request_row: Rows, audit: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.01)

    @settings(max_examples=12, phases=[Phase.generate])  # a play is too slow to be shrunk
    @given(steps)
    def law(play: list[tuple[int, str, int]]) -> None:
        from homespun.serve.store.tables import metadata

        database.run_now(lambda c: [c.execute(table.delete()) for table in reversed(metadata.sorted_tables)])
        with tempfile.TemporaryDirectory() as root:
            asyncio.run(Play(database, Path(root), request_row, audit).run(play))

    law()


@pytest.mark.anyio
async def test_two_hundred_at_once_in_one_process(
    database: Database, tmp_path: Path, request_row: Rows, audit: Callable[[], dict[str, int]]
) -> None:
    key, _ = database.run_now(lambda c: keys.create(c, "k", limits=[("nanodollars", "month", 1000)]))
    books = await Books.open(database, tmp_path / "state")

    async def ask(number: int) -> int:
        try:
            hold = await books.reserve(key, tokens=0, nanodollars=20)
        except GatewayError:
            return 0
        books.begin(hold, f"r{number}", 1.0, {})
        await asyncio.sleep(0.05)
        books.settle(hold, request_row(f"r{number}", key, nanodollars=20, tokens=0), [])
        return 1

    assert sum(await asyncio.gather(*(ask(number) for number in range(200)))) == 50
    await books.close()
    assert audit()["nanodollars"] == 1000
