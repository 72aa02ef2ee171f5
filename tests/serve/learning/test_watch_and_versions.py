"""Alarms go off once and rarely; versions change in transactions; one worker is elected."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, select

from homespun.router.drift import Alarm
from homespun.serve.gateway.learning import versions
from homespun.serve.gateway.learning.election import Election
from homespun.serve.gateway.learning.versions import Version
from homespun.serve.gateway.learning.watch import Rate, Watch, alarm_row
from homespun.serve.store.database import Database
from homespun.serve.store.tables import alarms


def rows(num: int, seed: int, *, cell: float = 0.5, went_on: float = 0.2) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {"cell": "a" if rng.random() < cell else "b", "chosen": "x", "answered": "y" if rng.random() < went_on else "x"}
        for _ in range(num)
    ]


def test_a_still_world_is_quiet_and_a_moved_one_is_heard() -> None:
    watch = Watch()
    assert [alarm for row in rows(3000, 0) for alarm in watch.decision(row)] == []
    mixed = [alarm.kind for row in rows(400, 1, cell=0.9) for alarm in watch.decision(row)]
    assert mixed == ["mix"]
    risen = [alarm.kind for row in rows(600, 2, cell=0.9, went_on=0.6) for alarm in watch.decision(row)]
    assert "escalation" in risen


def test_an_alarm_is_a_row_and_a_new_baseline_is_learned_after_it() -> None:
    rate = Rate(kind="escalation", baseline=10)
    found = [alarm for _ in range(10) if (alarm := rate.observe(False))]
    while not found:
        alarm = rate.observe(True)
        found = [alarm] if alarm else []
    assert rate.watching is None  # a new baseline is learned
    row = alarm_row(found[0], 5.0)
    assert (row["kind"], row["time"], row["cleared"]) == ("escalation", 5.0, None)
    assert row["value"] >= row["threshold"]


def test_judges_and_validators_are_compared_where_both_spoke() -> None:
    watch = Watch(disagreement=Rate(kind="disagreement", baseline=50))

    def spoken(i: int, judge: float, validator: float) -> list[dict[str, Any]]:
        return [
            {"request_id": f"r{i}", "arm": "a", "source": source, "score": score}
            for source, score in (("judge", judge), ("validator", validator), ("feedback", 0.0))
        ]

    assert [a for i in range(300) for a in watch.labels(spoken(i, 0.9, 1.0))] == []
    assert watch.labels([{"request_id": "r", "arm": "a", "source": "judge", "score": 0.1}]) == []
    kinds = [a.kind for i in range(60) for a in watch.labels(spoken(i, 0.9, 0.0))]
    assert kinds[:1] == ["disagreement"]


# --- versions ---------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'x.db'}")
    made.migrate()
    yield made
    made.close()


def state(database: Database) -> dict[str, str]:
    return {name: row.status for name, row in database.run_now(versions.lineage).items()}


def test_the_life_of_a_router(database: Database) -> None:
    run = database.run_now
    passed, refused = {"promote": True, "reasons": []}, {"promote": False, "reasons": ["no gain"]}
    assert run(lambda c: versions.install(c, "v1", "p1", 1.0))
    assert not run(lambda c: versions.install(c, "v1", "p1", 2.0))
    assert run(lambda c: versions.propose(c, "v2", "p2", "v1", 3.0, share=0.05, report=refused)) == "rejected"
    assert run(lambda c: versions.propose(c, "v3", "p3", "v1", 4.0, share=0.05, report=passed)) == "canary"
    assert run(lambda c: versions.propose(c, "v4", "p4", "v1", 5.0, share=0.05, report=passed)) == "rejected"
    live, canary = run(versions.live_and_canary)
    assert live is not None
    assert canary is not None
    assert (live.version, canary.version, canary.share) == ("v1", "v3", 0.05)
    assert run(lambda c: versions.settle(c, canary, keep=False, report={"why": "worse"}, now=5.0))
    assert not run(lambda c: versions.settle(c, canary, keep=True, report={}, now=5.0))
    assert state(database) == {"v1": "live", "v2": "rejected", "v3": "rolled_back", "v4": "rejected"}
    row = alarm_row(Alarm("mix", 2.0, 1.0, ""), 5.0)
    run(lambda c: c.execute(insert(alarms).values(**row)))
    run(lambda c: versions.propose(c, "v5", "p5", "v1", 6.0, share=0.05, report=passed))
    _, canary = run(versions.live_and_canary)
    assert canary is not None
    assert run(lambda c: versions.settle(c, canary, keep=True, report={"why": "fine"}, now=7.0))
    assert run(lambda c: c.execute(select(alarms.c.cleared)).scalar()) == 7.0
    assert state(database)["v1"] == "retired"
    assert state(database)["v5"] == "live"
    assert run(versions.lineage)["v5"].report["canary"] == {"why": "fine"}
    assert run(lambda c: versions.install(c, "v1", "p1", 7.0))
    assert sorted(state(database).values()).count("live") == 1


def test_a_folder_that_is_elsewhere_gives_way_to_its_parents(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "router.json").write_text("{}")

    def row(name: str, parent: str | None) -> Version:
        return Version(name, 0.0, str(tmp_path / name), parent, "live", 1.0, None)

    known = {"v1": row("v1", None), "v2": row("v2", "v1"), "v3": row("v3", "v2"), "x": row("x", None)}
    found = versions.reachable(known["v3"], known)
    assert found is not None
    assert found.version == "v1"
    assert versions.reachable(known["x"], known) is None


# --- election ---------------------------------------------------------------------------------------------------


def test_one_worker_is_elected_and_followed_when_it_is_killed(database: Database) -> None:
    first, second, now = Election(seconds=30), Election(seconds=30), 1000.0
    run = database.run_now
    assert run(lambda c: first.win(c, now))
    assert not run(lambda c: second.win(c, now + 10))
    assert run(lambda c: first.win(c, now + 20))
    assert not run(lambda c: second.win(c, now + 45))  # renewed until now + 50; then the first is killed
    assert run(lambda c: second.win(c, now + 51))
    assert not run(lambda c: first.win(c, now + 52))  # and finds, should it have slept only, that it has lost
    run(first.resign)
    assert not run(lambda c: first.win(c, now + 53))
    run(second.resign)
    assert run(lambda c: first.win(c, now + 54))
