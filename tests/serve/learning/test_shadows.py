"""Shadow traffic: who is asked with which chance, what is labelled, and that money and time have bounds."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from homespun.serve.gateway.config import GatewayConfig, parse
from homespun.serve.gateway.learning.labels import inclusion_of
from homespun.serve.gateway.learning.shadow import Shadows, agreement_score, draw, shadow_spent
from homespun.serve.gateway.routes import Ask
from homespun.serve.gateway.types import NANO, Attempt, Call, Reply, Routed, UpstreamError
from homespun.serve.store import keys
from homespun.serve.store.database import Database
from homespun.serve.store.tables import attempts, limits, meters

pytestmark = pytest.mark.slow
TARGETS = ("cheap", "middle", "strong")


def settings(**learning: Any) -> GatewayConfig:
    more = {"enabled": True, "shadow": 0.1, "shadow_dollars": 1.0} | learning
    targets = [{"name": name, "kind": "scripted", "model": name} for name in TARGETS]
    return parse({"target": targets, "learning": more})


class Fleet:
    """Answers by name, at a price."""

    def __init__(self, said: dict[str, Any], price: float = 0.01, wait: float = 0.0) -> None:
        self.said, self.price, self.wait, self.asked = said, price, wait, list[str]()

    def serves(self, target: str, body: dict[str, Any]) -> str | None:
        return None if target in self.said else "cannot"

    def bound(self, target: str, body: dict[str, Any]) -> tuple[int, int]:
        return 10, int(self.price * NANO)

    async def call(self, target: str, call: Call, spent: list[Attempt], *, fallbacks: bool = True) -> Reply:
        assert call.purpose == "shadow"
        assert not fallbacks
        assert "stream" not in call.body
        attempt = Attempt(target, "shadow", 1e10, nanodollars=int(self.price * NANO))
        spent.append(attempt)
        self.asked.append(target)
        await asyncio.sleep(self.wait)
        if isinstance(self.said[target], Exception):
            raise self.said[target]
        attempt.outcome = "ok"
        return Reply(target, attempt, body={"choices": [{"message": {"content": self.said[target]}}]})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'x.db'}")
    made.migrate()
    yield made
    made.close()


ROW = {"outcome": "ok", "cache": None}
BODY = {"messages": [{"role": "user", "content": "2 + 2?"}], "stream": True}


def routed(answered: str = "cheap", **more: Any) -> Routed:
    reading = {"quality": {"cheap": 0.6, "middle": 0.7, "strong": 0.9}}
    record = {"answered": answered, "cell": "sums", "reading": reading} | more
    return Routed(Reply(answered, Attempt(answered, "answer", 0.0)), "single", [], record=record)


async def shadow(shadows: Shadows, *, key: str | None = None, answer: str = "4", **more: Any) -> bool:
    shadows._random = random.Random(3)
    shadows._random.random = lambda: 0.0  # drawn for certain
    begun = shadows.consider(ROW, routed(**more), answer, Ask("r1", BODY, False, "balanced", 0.0, key_id=key))
    await shadows.settled()
    return begun


def test_every_other_arm_is_drawn_with_the_chance_that_is_kept() -> None:
    quality = {"cheap": 0.6, "middle": 0.7, "strong": 0.9}
    drawn = [draw(quality, TARGETS, [], random.Random(i)) for i in range(4000)]
    counts = Counter(each.alternative for each in drawn if each is not None)
    assert {each.strongest for each in drawn if each is not None} == {"strong"}
    assert {each.inclusion for each in drawn if each is not None} == {0.5}
    assert counts["cheap"] / 4000 == pytest.approx(0.5, abs=0.03)
    new = draw({**quality, "new": 0.99}, [*TARGETS, "new"], ["new"], random.Random(0))
    assert new is not None
    assert (new.strongest, new.alternative, new.inclusion) == ("strong", "new", 1.0)
    assert draw(quality, ["strong"], [], random.Random(0)) is None


def test_agreement_inherits_the_expected_score() -> None:
    assert agreement_score(True, 0.9) == 0.9
    assert agreement_score(False, 0.9) == pytest.approx(0.05)


def test_answers_are_compared_and_everything_is_booked(database: Database, notes: Any) -> None:
    fleet = Fleet({"cheap": "5", "middle": "4", "strong": "4"})
    assert asyncio.run(shadow(Shadows(settings(), database, notes, fleet)))
    (label,) = notes["labels"]
    assert label["source"] == "shadow"
    assert inclusion_of(label["detail"]) == 0.5
    assert label["arm"] in ("cheap", "middle")
    assert label["score"] == pytest.approx(0.9)
    assert fleet.asked in (["strong"], ["strong", "middle"])  # cheap's answer, 4, is at hand
    assert [row["purpose"] for row in notes["attempts"]] == ["shadow"] * len(fleet.asked)
    assert {row["request_id"] for row in notes["attempts"]} == {"r1"}


def test_texts_that_cannot_be_compared_give_no_label(database: Database, notes: Any) -> None:
    long = "It depends on many things, of which the weather is one and the mood of the captain another one."
    fleet = Fleet(dict.fromkeys(TARGETS, long))
    asyncio.run(shadow(Shadows(settings(), database, notes, fleet), answer=long))
    assert notes["labels"] == []
    assert notes["attempts"]


def test_a_failing_upstream_is_booked_and_nothing_else_happens(database: Database, notes: Any) -> None:
    fleet = Fleet(dict.fromkeys(TARGETS, UpstreamError("timeout", "too slow")))
    asyncio.run(shadow(Shadows(settings(), database, notes, fleet)))
    assert notes["labels"] == []
    assert len(notes["attempts"]) == 1


def test_the_days_allowance_is_never_passed(database: Database, notes: Any) -> None:
    fleet = Fleet(dict.fromkeys(TARGETS, "4"), price=0.1)
    shadows = Shadows(settings(shadow_dollars=0.45), database, notes, fleet)

    async def many() -> None:
        for _ in range(10):
            await shadow(shadows)

    asyncio.run(many())
    assert 0.3 <= len(fleet.asked) * 0.1 <= 0.45 + 1e-9


def test_what_other_workers_spent_counts(database: Database, notes: Any) -> None:
    row = {"id": "a", "request_id": "r", "time": 4e9, "target": "t", "purpose": "shadow", "outcome": "ok"}
    numbers = dict.fromkeys(("input_tokens", "cached_tokens", "output_tokens"), 0)
    row |= numbers | {"estimated": False, "nanodollars": int(0.95 * NANO), "seconds": 0.0}
    database.run_now(lambda connection: connection.execute(insert(attempts).values(**row)))
    assert database.run_now(lambda connection: shadow_spent(connection, 0.0)) == int(0.95 * NANO)
    fleet = Fleet(dict.fromkeys(TARGETS, "4"), price=0.1)
    asyncio.run(shadow(Shadows(settings(), database, notes, fleet)))
    assert fleet.asked == []


def test_a_key_without_budget_is_left_alone(database: Database, notes: Any) -> None:
    def spent(connection: Any) -> str:
        key, _ = keys.create(connection, "poor", limits=[("nanodollars", "ever", 10)])
        limit = connection.execute(select(limits.c.id)).scalar_one()
        connection.execute(insert(meters).values(limit_id=limit, window=0, spent=10, reserved=0, wanted=0))
        return key.id

    poor = database.run_now(spent)
    fleet = Fleet(dict.fromkeys(TARGETS, "4"))
    asyncio.run(shadow(Shadows(settings(), database, notes, fleet), key=poor))
    assert fleet.asked == []
    asyncio.run(shadow(Shadows(settings(), database, notes, fleet), key="rich"))
    assert fleet.asked


def test_closing_ends_what_is_under_way_and_books_it(database: Database, notes: Any) -> None:
    fleet = Fleet(dict.fromkeys(TARGETS, "4"), wait=30.0)
    shadows = Shadows(settings(), database, notes, fleet)

    async def scene() -> None:
        shadows._random.random = lambda: 0.0  # type: ignore[method-assign]
        assert shadows.consider(ROW, routed(), "4", Ask("r1", BODY, False, "balanced", 0.0))
        while not fleet.asked:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(shadows.close(), 5)

    asyncio.run(scene())
    assert [row["outcome"] for row in notes["attempts"]] == ["interrupted"]


@pytest.mark.parametrize(
    ("row", "body"),
    [
        ({"outcome": "cut", "cache": None}, BODY),
        ({"outcome": "ok", "cache": "exact"}, BODY),
        (ROW, BODY | {"tools": [{"type": "function"}]}),
    ],
)
def test_what_is_never_shadowed(database: Database, notes: Any, row: Any, body: Any) -> None:
    shadows = Shadows(settings(), database, notes, Fleet({}))
    shadows._random.random = lambda: 0.0  # type: ignore[method-assign]
    assert not shadows.consider(row, routed(), "4", Ask("r1", body, False, "balanced", 0.0))
