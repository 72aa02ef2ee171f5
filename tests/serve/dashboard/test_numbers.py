"""What the dashboard tells, against the rows it is told from, closed forms and laws."""

import asyncio
import math
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from homespun.serve.gateway.dashboard.overview import overview
from homespun.serve.gateway.dashboard.reliability import reliability, told
from homespun.serve.gateway.dashboard.rollup import LATENCIES, Group, Rolled, Rollup, groups, quantile
from homespun.serve.gateway.dashboard.routes import _state
from homespun.serve.gateway.dashboard.savings import LEAST, mean, paired, quality, saved
from homespun.serve.gateway.dashboard.trail import LOOKED_AT, PAGE, one, recent
from homespun.serve.gateway.dashboard.upstreams import upstreams, with_health
from homespun.serve.gateway.dashboard.windows import WINDOWS
from homespun.serve.gateway.telemetry.gauges import from_database
from homespun.serve.store import tables
from homespun.serve.store.database import Database


def everything(rolled: Rolled) -> list[Group]:
    return [group for bucket in rolled.buckets for group in bucket]


def whole(rollup: Rollup, database: Database, name: Any, now: float) -> Rolled:
    async def look() -> Rolled:
        while True:
            rolled = await rollup.look(database, name, now)
            if rolled.counted == 1:
                return rolled

    return asyncio.run(look())


def rows_since(database: Database, start: float) -> list[Any]:
    query = sa.select(tables.requests).where(tables.requests.c.time >= start)
    return list(database.run_now(lambda c: c.execute(query).all()))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(WINDOWS))
def test_totals_are_those_of_the_rows(busy: Any, name: Any) -> None:
    now = time.time()
    shown = overview(whole(Rollup(), busy.database, name, now))
    rows = rows_since(busy.database, WINDOWS[name].start(now))
    assert shown["totals"]["requests"] == len(rows) == sum(point["requests"] for point in shown["curve"])
    assert shown["totals"]["failed"] == sum(row.outcome != "ok" for row in rows)
    assert shown["totals"]["dollars"] == pytest.approx(sum(row.nanodollars for row in rows) / 1e9)
    known = [row for row in rows if row.reference_nanodollars is not None]
    assert shown["savings"]["reference"] == pytest.approx(sum(row.reference_nanodollars for row in known) / 1e9)
    assert shown["savings"]["spent"] == pytest.approx(sum(row.nanodollars for row in known) / 1e9)
    for mix, value in (("routes", "route"), ("targets", "target")):
        counted = {entry["name"]: entry["requests"] for entry in shown[mix]}
        assert counted == {
            str(key or "none"): sum((getattr(row, value) or "none") == (key or "none") for row in rows)
            for key in {getattr(row, value) for row in rows}
        }
    tiers = {entry["name"]: entry["requests"] for entry in shown["tiers"]}
    assert tiers == {str(n): sum(len(row.tiers) == n for row in rows) for n in {len(r.tiers) for r in rows} - {0}}


@pytest.mark.slow
def test_cut_into_buckets_or_not_the_sums_are_the_same(busy: Any) -> None:
    start, length = int(time.time()) - 80_000, 1000
    cut = busy.database.run_now(lambda c: groups(c, start, length, 100))
    uncut = busy.database.run_now(lambda c: groups(c, start, 100 * length, 1))
    assert sum(g.requests for b in cut for g in b) == sum(g.requests for g in uncut[0]) > 0
    assert saved(g for b in cut for g in b)["saved"] == pytest.approx(saved(uncut[0])["saved"])


def request(database: Database, at: float, number: int = 0, **more: Any) -> None:
    row: dict[str, Any] = {
        "id": f"req-{at:.6f}-{number}", "time": at, "worker": "w", "endpoint": "chat", "model": "m", "target": "t",
        "route": "single", "tiers": ["t"], "stream": False, "status": 200, "outcome": "ok", "input_tokens": 1,
        "cached_tokens": 0, "output_tokens": 1, "estimated": False, "nanodollars": 5, "reference_nanodollars": 9,
        "seconds": 1.0,
    } | more  # fmt: skip
    database.run_now(lambda c: c.execute(tables.requests.insert(), row))


def test_a_bucket_that_lies_back_is_kept_and_a_recent_one_is_not(database: Database) -> None:
    now, rollup = 1_700_000_000.0, Rollup()
    request(database, now - 2500)
    assert len(everything(whole(rollup, database, "hour", now))) == 1
    request(database, now - 2500, 1, target="late")
    request(database, now - 10, target="new")
    seen = everything(whole(rollup, database, "hour", now + 2))
    assert {group.target for group in seen} == {"t", "new"}
    seen = everything(whole(rollup, database, "hour", now + 500))
    assert {group.target for group in seen} == {"t", "new"}
    seen = everything(whole(rollup, database, "hour", now + 700))  # and by then it is counted anew
    assert {group.target for group in seen} == {"t", "late", "new"}


def test_edges_of_buckets_belong_to_one_bucket(database: Database) -> None:
    for at in (1000.0, 1059.999, 1060.0, 1119.999999, 1120.0):
        request(database, at)
    found = database.run_now(lambda c: groups(c, 1000, 60, 2))
    assert [sum(group.requests for group in bucket) for bucket in found] == [2, 2]


@given(st.lists(st.floats(0.001, 300), min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_quantile_lies_in_the_class_of_the_true_one(seconds: list[float], share: float) -> None:
    classes: dict[int, int] = {}
    for value in seconds:
        at = next(i for i, bound in enumerate(LATENCIES) if value <= bound)
        classes[at] = classes.get(at, 0) + 1
    exact = sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)]
    at = next(i for i, bound in enumerate(LATENCIES) if exact <= bound)
    found = quantile(classes, share)
    assert found is not None
    assert (LATENCIES[at - 1] if at else 0) <= found <= LATENCIES[at]


def group(spent: np.ndarray, reference: np.ndarray) -> Group:
    x, r = spent.astype(float), reference.astype(float)
    sums = (int(spent.sum()), int(reference.sum()), float(x @ x), float(r @ r), float(x @ r))
    return Group("t", "single", "ok", 1, 0, len(x), int(spent.sum()), 0, 0, len(x), *sums)


def test_the_interval_of_the_share_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(11)
    reference = rng.lognormal(14, 0.8, 600).astype(int)
    spent = (reference * rng.beta(1, 3, 600)).astype(int)
    share = saved([group(spent[:100], reference[:100]), group(spent[100:], reference[100:])])["share"]
    draws = rng.integers(0, 600, (4000, 600))
    boots = 1 - spent[draws].sum(1) / reference[draws].sum(1)
    low, high = np.quantile(boots, [0.025, 0.975])
    assert share["mean"] == pytest.approx(1 - spent.sum() / reference.sum())
    assert share["low"] == pytest.approx(low, abs=0.1 * (high - low))
    assert share["high"] == pytest.approx(high, abs=0.1 * (high - low))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(5), 0
    for _ in range(1000):
        reference = rng.lognormal(10, 0.5, 200)
        spent = reference * rng.uniform(0, 0.6, 200)
        share = saved([group(spent, reference)])["share"]
        hits += share["low"] <= 0.7 <= share["high"]
    assert 0.92 <= hits / 1000 <= 0.975


def test_nothing_known_is_unknown_and_little_has_no_interval() -> None:
    assert saved([])["share"] is None
    few = np.arange(1, LEAST)
    share = saved([group(few, 2 * few)])["share"]
    assert share == {"mean": 0.5, "low": None, "high": None, "n": LEAST - 1}
    assert mean([0.5] * LEAST).low == 0.5


def test_pairs_are_requests_on_which_more_than_one_arm_was_labelled() -> None:
    scores = {
        ("a", "small"): 1.0, ("a", "large"): 0.0,  # the small one answered, and was better
        ("b", "large"): 1.0, ("b", "small"): 0.0,  # the strongest answered: no difference
        ("c", "small"): 1.0,  # nothing to compare with
        ("d", "large"): 1.0,  # the strongest alone: no pair, or quiet requests would hide the others
        ("e", "small"): 0.0, ("e", "medium"): 1.0,  # the strongest has no label
    }  # fmt: skip
    answered = {"a": "small", "b": "large", "c": "small", "d": "large", "e": "small"}
    assert sorted(paired(scores, answered, "large")) == [0.0, 1.0]
    assert paired(scores, answered, None) == []


@pytest.mark.slow
def test_quality_and_reliability_are_those_of_the_rows(busy: Any) -> None:
    start = time.time() - 90_000
    labels = busy.database.run_now(lambda c: c.execute(sa.select(tables.labels)).all())
    decisions = {d.request_id: d for d in busy.database.run_now(lambda c: c.execute(sa.select(tables.decisions)).all())}
    best: dict[tuple[str, str], tuple[int, float]] = {}
    for label in labels:
        rank = ("validator", "feedback", "regeneration", "judge", "shadow").index(label.source)
        best[label.request_id, label.arm] = min(best.get((label.request_id, label.arm), (9, 0.0)), (rank, label.score))
    pairs = [
        best[r, d.answered][1] - best[r, "large-400b"][1]
        for r, d in decisions.items()
        if (r, d.answered) in best and (r, "large-400b") in best and sum(key[0] == r for key in best) > 1
    ]
    found = busy.database.run_now(lambda c: quality(c, "large-400b", start))["difference"]
    assert found["n"] == len(pairs) > LEAST
    assert found["mean"] == pytest.approx(np.mean(pairs))
    assert found["high"] - found["mean"] == pytest.approx(1.959964 * np.std(pairs, ddof=1) / len(pairs) ** 0.5)
    diagram = reliability(busy.database.run_now(lambda c: told(c, start)))
    answered = [r for (r, arm) in best if r in decisions and arm == decisions[r].answered]
    assert diagram["n"] == sum(bin["n"] for bin in diagram["bins"]) == len(answered)
    assert 0 < diagram["ece"] < 0.2


def test_labels_of_judges_alone_tell_nothing_of_the_confidence(database: Database) -> None:
    def fill(c: sa.Connection) -> None:
        decision = {
            "request_id": "r", "time": 5.0, "router": "x", "dial": "balanced", "arms": ["a"], "chosen": "a",
            "answered": "a", "propensity": 1.0, "confidence": 0.9, "path": [],
        }  # fmt: skip
        c.execute(tables.decisions.insert(), decision)
        label = {"id": "l", "request_id": "r", "arm": "a", "time": 5.0, "source": "judge", "score": 1.0}
        c.execute(tables.labels.insert(), label)

    database.run_now(fill)
    known = database.run_now(lambda c: told(c, 0.0))
    assert reliability(known) == {"n": 0, "bins": [], "ece": None, "brier": None, "sources": {}}


def test_slow_failing_open_and_idle_upstreams_are_called_so(database: Database) -> None:
    def call(target: str, number: int, **more: Any) -> dict[str, Any]:
        base = {"id": f"{target}{number}", "request_id": "r", "time": 1000.0 + number, "target": target, "seconds": 1.0,
                "purpose": "answer", "outcome": "ok", "status": 200, "error": None, "input_tokens": 1,
                "cached_tokens": 0, "output_tokens": 1, "estimated": False, "nanodollars": 1}  # fmt: skip
        return base | more

    fails = {"outcome": "error", "status": 503, "error": "overloaded"}
    rows = [call("fine", n) for n in range(20)] + [call("slow", n, seconds=60.0) for n in range(20)]
    rows += [call("bad", n, **(fails if n % 4 == 0 else {})) for n in range(20)] + [call("shut", 0)]
    rows += [call("left", n, outcome="cancelled", status=None) for n in range(20)]
    database.run_now(lambda c: c.execute(tables.attempts.insert(), rows))
    names = ["fine", "slow", "bad", "shut", "left", "idle"]
    found = with_health(
        database.run_now(lambda c: upstreams(c, names, 2000.0)), [{"target": "shut", "breaker": "open"}]
    )
    assert {row["target"]: row["state"] for row in found} == {
        "fine": "ok", "slow": "slow", "bad": "failing", "shut": "open", "left": "ok", "idle": "idle"
    }  # fmt: skip
    bad = found[2]
    assert (bad["calls"], bad["failures"], bad["reasons"], bad["last_error"]) == (20, 5, [("503", 5)], "overloaded")


def test_pages_of_requests_hold_each_once_in_order(database: Database) -> None:
    times = [1000.0 + random.Random(1).randrange(40) for _ in range(2 * PAGE + 7)]  # many at the same time
    for number, at in enumerate(times):
        request(database, at, number, target="odd" if number % 2 else "even")
    for wanted, number in (({}, len(times)), ({"target": "odd"}, len(times) // 2)):
        seen: list[Any] = []
        before = None
        while True:
            page = database.run_now(lambda c, w=wanted, b=before: recent(c, w, b))
            seen += [(row["time"], row["id"]) for row in page["rows"]]
            if page["next"] is None:
                break
            before = (page["next"][0], page["next"][1])
        assert seen == sorted(set(seen), reverse=True)
        assert len(seen) == number


def test_a_filter_that_fits_little_goes_on_where_it_stopped(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr("homespun.serve.gateway.dashboard.trail.LOOKED_AT", 10)
    assert LOOKED_AT > PAGE
    for number in range(25):
        request(database, 1000.0 + number, target="rare" if number == 1 else "t")
    first = database.run_now(lambda c: recent(c, {"target": "rare"}, None))
    assert first["rows"] == []
    second = database.run_now(lambda c: recent(c, {"target": "rare"}, tuple(first["next"])))
    third = database.run_now(lambda c: recent(c, {"target": "rare"}, tuple(second["next"])))
    assert [row["target"] for row in third["rows"]] == ["rare"]
    assert third["next"] is None


def test_a_percent_sign_in_the_search_is_a_percent_sign(database: Database) -> None:
    request(database, 1000.0, 1, error="100% full")
    request(database, 1000.0, 2, error="100 full")
    found = database.run_now(lambda c: recent(c, {"text": "100%"}, None))
    assert [row["error"] for row in found["rows"]] == ["100% full"]


@pytest.mark.slow
def test_one_request_is_told_whole_but_for_its_prompt(busy: Any) -> None:
    query = sa.select(tables.requests.c.id).where(tables.requests.c.route == "cascade").limit(1)
    wanted = busy.database.run_now(lambda c: c.scalar(query))
    found = busy.database.run_now(lambda c: one(c, wanted))
    assert found["request"]["dollars"] == pytest.approx(sum(a["dollars"] for a in found["attempts"]))
    assert [step["stage"] for step in found["decision"]["path"]][:3] == ["taxonomy", "learned", "blend"]
    assert "never shown" not in str(found)
    assert busy.database.run_now(lambda c: one(c, "no such")) is None


def test_the_queries_go_by_index(database: Database, tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []

    def plan(c: sa.Connection) -> list[str]:
        sa.event.listen(c, "before_cursor_execute", lambda _, __, text, values, *___: asked.append((text, values)))
        groups(c, 0, 60, 5)
        recent(c, {"target": "t"}, (5.0, "x"))
        upstreams(c, ["t"], 5.0)
        one(c, "x")
        told(c, 0.0)
        quality(c, "t", 0.0)
        texts = list(asked)
        return [row[3] for text, values in texts for row in c.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]

    steps = database.run_now(plan)
    assert len(asked) > 8
    scans = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step]
    assert scans == []
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


@pytest.mark.slow
def test_postgresql_tells_the_same_as_sqlite(database: Database, postgresql_url: str, dashboard_data: Any) -> None:
    now, told_by = time.time(), []
    other = Database(postgresql_url)
    other.run_now(tables.metadata.create_all)
    for each in (database, other):
        dashboard_data(each, now)
        shown = overview(whole(Rollup(), each, "day", now))
        found = each.run_now(lambda c: quality(c, "large-400b", now - 90_000))
        diagram = reliability(each.run_now(lambda c: told(c, now - 90_000)))
        pages = each.run_now(lambda c: recent(c, {"target": "medium-30b", "text": ""}, (now - 100, "req-8")))
        first = each.run_now(lambda c, rows=pages["rows"]: one(c, rows[0]["id"]))
        health = each.run_now(lambda c: upstreams(c, ["medium-30b"], now))
        state = each.run_now(lambda c: _state(c, ["small-3b"], now))
        gauges = each.run_now(lambda c: from_database(c, now))
        told_by.append((shown, found, diagram, pages, first, health, state["alarms"], state["routers"], gauges))
    other.close()
    for one_says, other_says in zip(*told_by, strict=True):
        assert rounded(one_says) == rounded(other_says)


def rounded(value: Any) -> Any:
    """With floats to nine digits and lists of equals in any order."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items() if name not in ("attempts", "labels")}
    if isinstance(value, list | tuple):
        return sorted((rounded(inner) for inner in value), key=repr)
    return float(f"{value:.9g}") if isinstance(value, float) else value
