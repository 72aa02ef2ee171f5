"""The whole loop on real books and a real database: from labels to a new router, its canary, and back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, select

from homespun.errors import DataError
from homespun.router.store import RouterFolder, load, save
from homespun.serve.gateway.config import GatewayConfig, parse
from homespun.serve.gateway.learning import Learner, versions
from homespun.serve.gateway.learning.labels import label_row
from homespun.serve.gateway.learning.replay import replay
from homespun.serve.gateway.routes import Ask, Switchboard
from homespun.serve.gateway.types import Attempt, Call, Reply
from homespun.serve.store.books import Books
from homespun.serve.store.database import Database
from homespun.serve.store.tables import alarms, labels, requests

pytestmark = pytest.mark.slow
PRICES = {"cheap": 0.001, "middle": 0.008, "strong": 0.03, "fresh": 0.01}
WORSE = {"cheap": 0.1, "middle": 0.8, "strong": 0.9}


class Fleet:
    """Everybody says yes."""

    def bound(self, target: str, body: dict[str, Any]) -> tuple[int, int]:
        return 10, int(PRICES[target] * 1e9)

    def serves(self, target: str, body: dict[str, Any]) -> str | None:
        return None

    async def call(self, target: str, call: Call, spent: list[Attempt], *, fallbacks: bool = True) -> Reply:
        attempt = Attempt(target, call.purpose, time.time(), outcome="ok", nanodollars=self.bound(target, {})[1])
        spent.append(attempt)
        return Reply(target, attempt, body={"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]})


def settings(fitted: RouterFolder, state: Path, *names: str, **learning: Any) -> GatewayConfig:
    more = {"enabled": True, "every": 200, "canary": 0.2, "canary_labels": 10, "explore": 0.2} | learning
    targets = [{"name": name, "kind": "scripted", "model": name} for name in ("cheap", "middle", "strong", *names)]
    auto = {"router": str(fitted.path), "mode": "single", "dial": "economy"}
    return parse({"target": targets, "auto": auto, "learning": more, "server": {"state": str(state)}})


@asynccontextmanager
async def learning(config: GatewayConfig, state: Path) -> AsyncIterator[Learner]:
    database = Database(f"sqlite:///{state / 'x.db'}")
    books = await Books.open(database, state)
    learner = Learner(config, database, books, Fleet())
    try:
        yield learner
    finally:
        await learner.shadows.close()
        await books.close()
        await asyncio.to_thread(database.close)


def request_row(request_id: str, at: float, arm: str, nanodollars: int) -> dict[str, Any]:
    filled = {"worker": "w", "endpoint": "chat", "model": "homespun/auto", "route": "single", "outcome": "ok"}
    numbers = dict.fromkeys(("seconds", "input_tokens", "cached_tokens", "output_tokens"), 0)
    rest = {"tiers": [arm], "stream": False, "status": 200, "estimated": False, "nanodollars": nanodollars}
    return {"id": request_id, "time": at, "key_id": None, "target": arm, **filled, **numbers, **rest}


async def serve(
    learner: Learner, fitted: RouterFolder, version: str, num: int, truth: dict[str, float], *, seed: int = 0,
    fixed: str | None = None, start: float = 0.0,
) -> None:  # fmt: skip
    """Requests that a version decided, every arm alike unless one is fixed, and what somebody said of them."""
    rng, cells = np.random.default_rng(seed), fitted.knowledge.classifier.cells
    rows = list[dict[str, Any]]()
    for i in range(num):
        kind, arm = int(rng.integers(len(cells))), fixed or ("cheap", "middle", "strong")[int(rng.integers(3))]
        cell = np.eye(len(cells))[[kind]]
        read = fitted.knowledge.reading(cell, fitted.knowledge.table.score()[[kind]])
        name, at = f"{version}-{seed}-{i}", start + i * 1e-3
        arms = fitted.knowledge.arms
        reading = {
            "quality": dict(zip(arms, read.blend[0].tolist(), strict=True)),
            "learned": dict(zip(arms, read.learned[0].tolist(), strict=True)),
            "cost": dict(zip(arms, (read.cost[0] * fitted.knowledge.reference).tolist(), strict=True)),
            "cells": dict(zip(cells, cell[0].tolist(), strict=True)),
        }
        learner.books.note("decisions", {
            "request_id": name, "time": at, "router": version, "dial": "economy", "cell": cells[kind],
            "arms": list(arms), "chosen": arm, "answered": arm, "propensity": 1.0 if fixed else 1 / 3, "path": [],
            "reading": reading,
        })  # fmt: skip
        score = float(rng.random() < truth[arm])
        learner.books.note("labels", label_row(name, arm, "feedback", score, at + 1e-4))
        rows.append(request_row(name, at, arm, int(PRICES[arm] * 1e9)))
    await learner.books.flush()
    await learner.database.run(lambda connection: connection.execute(insert(requests), rows))


async def until(learner: Learner, what: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(600):
        assert await learner.step()
        if await what():
            return
        await asyncio.sleep(0.2)
    raise AssertionError("it never came")


async def statuses(learner: Learner) -> dict[str, str]:
    known = await learner.database.run(versions.lineage)
    return {row.version: row.status for row in known.values()}


async def refitted(learner: Learner, fitted: RouterFolder) -> versions.Version:
    """A canary, fitted to a world in which the cheap arm has become bad."""
    await learner.step()
    (first,) = await learner.router_versions()
    assert first.version == fitted.origin["fingerprint"]
    now = time.time()
    await serve(learner, fitted, first.version, 900, WORSE, start=now)

    async def done() -> bool:
        return len(await statuses(learner)) == 2

    await until(learner, done)
    _, canary = await learner.database.run(versions.live_and_canary)
    report = [row.report for row in (await learner.database.run(versions.lineage)).values()][-1]
    assert canary is not None, report
    return canary


def test_a_canary_that_does_well_goes_live(fitted: RouterFolder, state: Path) -> None:
    async def scene() -> None:
        async with learning(settings(fitted, state), state) as learner:
            canary = await refitted(learner, fitted)
            used = await learner.router_versions()
            assert [(v.version, v.share) for v in used][1:] == [(canary.version, 0.2)]
            assert load(used[1].path).origin["parent"] == fitted.origin["fingerprint"]
            assert canary.report["gain"]["low"] > 0
            await serve(learner, fitted, canary.version, 60, WORSE, fixed="middle", seed=1, start=canary.created + 1)
            base = fitted.origin["fingerprint"]
            await serve(learner, fitted, base, 90, WORSE, fixed="cheap", seed=2, start=canary.created + 1)
            await learner.step()
            assert await statuses(learner) == {base: "retired", canary.version: "live"}
            assert [v.version for v in await learner.router_versions()] == [canary.version]

    state.mkdir()
    asyncio.run(scene())


def test_a_canary_that_does_badly_is_rolled_back(fitted: RouterFolder, state: Path) -> None:
    async def scene() -> None:
        async with learning(settings(fitted, state, canary_labels=100), state) as learner:
            await learner.step()
            base, passed = fitted.origin["fingerprint"], {"promote": True, "reasons": []}
            propose = partial(
                versions.propose, version="bad", path=fitted.path, parent=base, now=time.time(), share=0.2
            )
            await learner.database.run(partial(propose, report=passed))
            _, canary = await learner.database.run(versions.live_and_canary)
            assert canary is not None
            bad, good = {"middle": 0.1}, {"cheap": 0.95}
            await serve(learner, fitted, "bad", 60, bad, fixed="middle", seed=1, start=canary.created + 1)
            await serve(learner, fitted, base, 60, good, fixed="cheap", seed=2, start=canary.created + 1)
            await learner.step()
            assert await statuses(learner) == {base: "live", canary.version: "rolled_back"}
            assert [v.version for v in await learner.router_versions()] == [base]
            report = (await learner.database.run(versions.lineage))[canary.version].report
            assert "worse after" in report["canary"]["why"]

    state.mkdir()
    asyncio.run(scene())


def test_a_new_tier_becomes_an_arm_that_nobody_is_sent_to(fitted: RouterFolder, state: Path) -> None:
    async def scene() -> None:
        async with learning(settings(fitted, state, "fresh"), state) as learner:
            await learner.step()
            await learner.step()
            (used,) = await learner.router_versions()
            router = load(used.path)
            assert router.knowledge.arms[-1] == "fresh"
            assert not router.knowledge.read(["2 + 2?"]).eligible[0, -1]
            assert "fresh" in learner.shadows.counts

    state.mkdir()
    asyncio.run(scene())


def test_answers_leave_labels_and_decisions_can_be_made_again(fitted: RouterFolder, state: Path) -> None:
    table = fitted.knowledge.table
    few = replace(table, n=table.n / 60, wins=table.wins / 60, dollars=table.dollars / 60)  # unsure, hence exploring
    knowledge = copy(fitted.knowledge)
    knowledge.table = few
    loose = replace(fitted, path=state / "loose", knowledge=knowledge)

    async def scene() -> None:
        save(loose)
        config = settings(loose, state)
        async with learning(config, state) as learner:
            await learner.step()
            board = Switchboard(config, learner.shadows.fleet)
            await board.use(await learner.router_versions())
            explored = 0
            for i in range(60):
                text = f"Add {i} apples and {3 * i} pears, how many are there?"
                body = {"messages": [{"role": "user", "content": text}]}
                ask = Ask(f"req-{i}", body, False, "quality", asyncio.get_running_loop().time() + 60)
                routed = await board.answer(ask, [])
                assert routed.record is not None
                row = {"request_id": ask.request_id, "time": 0.0, **routed.record}
                again = replay(row, load(loose.path), epsilon=config.learning.explore)
                assert fitted.knowledge.arms[again.arm] == row["chosen"]
                assert again.propensity == pytest.approx(row["propensity"], abs=0.01)
                explored += row["propensity"] < 0.99
            assert explored
            before = time.time()
            done = {"id": "req-a", "time": before - 5, "outcome": "ok", "cache": None}
            learner.after(done, routed, "yes", ask)
            learner.after({**done, "id": "req-b", "time": time.time() + 5}, routed, "yes", ask)
            learner.after({}, routed, "yes", ask)  # what is not as it should be raises nothing
            await learner.books.flush()
            said = await learner.database.run(lambda c: c.execute(select(labels)).mappings().all())
            assert [(row["request_id"], row["source"]) for row in said] == [("req-a", "regeneration")]
            await board.close()
            with pytest.raises(DataError, match="no reading"):
                replay({**row, "reading": None}, fitted, epsilon=0.1)

    state.mkdir()
    asyncio.run(scene())


def test_drift_raises_an_alarm_and_only_one_of_two_workers_looks(fitted: RouterFolder, state: Path) -> None:
    async def scene() -> None:
        async with learning(settings(fitted, state, every=10_000), state) as learner:
            assert await learner.step()
            other = Learner(learner.config, learner.database, learner.books, learner.shadows.fleet)
            assert not await other.step()
            now, cells = time.time(), fitted.knowledge.classifier.cells
            for i in range(900):
                cell = cells[i % 2] if i < 450 else cells[0]
                learner.books.note("decisions", {
                    "request_id": f"r{i}", "time": now + i * 1e-3, "router": "v", "dial": "economy", "cell": cell,
                    "arms": ["cheap"], "chosen": "cheap", "answered": "cheap", "propensity": 1.0, "path": [],
                })  # fmt: skip
            await learner.books.flush()
            await learner.step()
            await learner.step()
            await learner.books.flush()
            found = await learner.database.run(lambda c: c.execute(select(alarms.c.kind)).scalars().all())
            assert list(found) == ["mix"]
            learner.config = learner.config.model_copy(
                update={"learning": learner.config.learning.model_copy(update={"enabled": False})}
            )
            assert await learner.router_versions() == []

    state.mkdir()
    asyncio.run(scene())


def test_the_loop_ends_at_once_and_lets_another_in(fitted: RouterFolder, state: Path) -> None:
    async def scene() -> None:
        async with learning(settings(fitted, state), state) as learner:
            learner.period = 0.01
            task = asyncio.create_task(learner.run())
            for _ in range(500):
                await asyncio.sleep(0.01)
                if await learner.router_versions():
                    break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            other = Learner(learner.config, learner.database, learner.books, learner.shadows.fleet)
            assert await other.step()

    state.mkdir()
    asyncio.run(scene())
