"""The gate and the canary: they refuse with numbers, and their error rates are those that they state."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.router.offpolicy import Logged, difference
from homespun.router.promotion import CanaryRule, Gate, gaps, gate, harm


def always(arm: int, num: int) -> np.ndarray:
    return np.tile(np.eye(2)[arm], (num, 1))


def judged(num: int, seed: int, means: dict[str, tuple[float, float]]) -> Gate:
    """Two arms tried alike; the candidate always takes arm 1, the live router arm 0; means per cell."""
    rng = np.random.default_rng(seed)
    cells = sorted(means)
    cell = rng.integers(0, len(cells), size=num)
    truth = np.array([means[name] for name in cells])[cell]
    arm, rows = rng.integers(0, 2, size=num), np.arange(num)
    reward = np.full((num, 2), np.nan)
    reward[rows, arm] = rng.random(num) < truth[rows, arm]
    logged = Logged(reward=reward, chance=np.full((num, 2), 0.5), model=np.full((num, 2), 0.5))
    return gate(logged, always(1, num), always(0, num), [cells[c] for c in cell])


def test_a_better_router_passes_and_its_report_is_json() -> None:
    found = judged(800, 0, {"a": (0.5, 0.8), "b": (0.5, 0.7)})
    assert found.promote
    assert found.reasons == ()
    report = json.loads(json.dumps(found.report()))
    assert report["gain"]["low"] > 0
    assert set(report["cells"]) == {"a", "b"}


def test_no_gain_is_refused_with_its_interval() -> None:
    found = judged(800, 1, {"a": (0.6, 0.6)})
    assert not found.promote
    assert any("95 % interval" in reason for reason in found.reasons)


def test_a_cell_that_loses_is_named() -> None:
    found = judged(1500, 2, {"a": (0.3, 0.8), "b": (0.7, 0.5)})
    assert found.gain.low > 0
    assert not found.promote
    assert len(found.reasons) == 1
    assert "'b' loses" in found.reasons[0]


def test_a_small_cell_has_no_say_of_its_own() -> None:
    rng = np.random.default_rng(3)
    cell = ["big"] * 900 + ["small"] * 90
    reward = np.full((990, 2), np.nan)
    arm = rng.integers(0, 2, size=990)
    truth = np.where(np.arange(990)[:, None] < 900, [[0.3, 0.8]], [[0.9, 0.2]])
    reward[np.arange(990), arm] = rng.random(990) < truth[np.arange(990), arm]
    logged = Logged(reward=reward, chance=np.full((990, 2), 0.5), model=np.full((990, 2), 0.5))
    assert gate(logged, always(1, 990), always(0, 990), cell).promote
    assert not gate(logged, always(1, 990), always(0, 990), cell, min_cell=90).promote


def test_a_model_that_boasts_without_evidence_is_refused() -> None:
    """Logged without exploration, the candidate's arm was never seen: nothing but the model speaks for it."""
    reward = np.full((500, 2), np.nan)
    reward[:, 0] = 0.5
    logged = Logged(reward=reward, chance=np.ones((500, 2)), model=np.tile([0.5, 0.99], (500, 1)))
    found = gate(logged, always(1, 500), always(0, 500), ["a"] * 500)
    assert found.gain.low > 0
    assert not found.promote
    assert "effective" in found.reasons[0]


@pytest.mark.slow
def test_false_promotions_are_as_rare_as_stated() -> None:
    passed = np.mean([judged(400, seed, {"a": (0.6, 0.6)}).promote for seed in range(600)])
    assert passed <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 600)


def test_the_gain_is_the_difference() -> None:
    rng = np.random.default_rng(5)
    reward = np.where(rng.random((60, 2)) < 0.5, rng.random((60, 2)), np.nan)
    logged = Logged(reward=reward, chance=np.full((60, 2), 0.5), model=rng.random((60, 2)))
    new, old = np.tile([0.2, 0.8], (60, 1)), np.tile([0.7, 0.3], (60, 1))
    assert gate(logged, new, old, ["a"] * 60).gain == difference(logged, new, old)


# --- canary -----------------------------------------------------------------------------------------------------


def test_gaps_use_every_live_label_once() -> None:
    live = [(1.0, 0.2), (2.0, 0.4), (5.0, 1.0)]
    assert gaps([(3.0, 1.0), (4.0, 0.0), (6.0, 0.5)], live).tolist() == pytest.approx([0.7, 0.25 - 1.0])
    assert len(gaps([], live)) == 0
    assert len(gaps([(0.5, 1.0)], live)) == 0


def life(gap: float, seed: int, rule: CanaryRule) -> str:
    rng = np.random.default_rng(seed)
    scores = (rng.random(rule.labels * 4) < 0.7 + gap).astype(float)
    live = (rng.random((rule.labels * 4, 10)) < 0.7).mean(axis=1)
    return rule.judge(scores - live)[0]


@pytest.mark.slow
def test_error_rates_of_the_canary() -> None:
    rule = CanaryRule(labels=60, alpha=0.05)
    same = [life(0.0, seed, rule) for seed in range(400)]
    worse = [life(-0.35, seed, rule) for seed in range(200)]
    margin = [life(-0.1, seed, rule) for seed in range(400)]
    assert np.mean([v == "roll back" for v in same]) <= 0.12  # harm 5 %, and those not shown harmless in time
    assert np.mean([v == "roll back" for v in worse]) >= 0.99
    assert np.mean([v == "keep" for v in margin]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_evidence_of_harm_crosses_falsely_as_rarely_as_stated() -> None:
    rng = np.random.default_rng(6)
    crossed = [(harm(rng.choice([-0.9, 0.1], p=[0.1, 0.9], size=600)) >= 20).any() for _ in range(400)]
    assert np.mean(crossed) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_harm_is_a_martingale_at_no_difference(past: list[float]) -> None:
    """The law behind the promise: a fair next difference leaves the evidence where it is."""
    before = harm(past)[-1]
    after = [harm([*past, step])[-1] for step in (-0.4, 0.4)]
    assert np.mean(after) == pytest.approx(before, rel=1e-9)


@given(st.integers(0, 500), st.floats(-0.4, 0.2), st.integers(1, 200))
def test_a_verdict_stands(seed: int, gap: float, more: int) -> None:
    rule = CanaryRule(labels=20)
    d = np.clip(np.random.default_rng(seed).normal(gap, 0.4, size=20 + more), -1, 1)
    verdicts = [rule.judge(d[:n])[0] for n in range(0, len(d) + 1, 7)]
    settled = [v for v in verdicts if v != "wait"]
    assert len(set(settled)) <= 1
    assert verdicts == ["wait"] * (len(verdicts) - len(settled)) + settled


def test_a_verdict_tells_why() -> None:
    verdict, report = CanaryRule(labels=20).judge([-0.8] * 15)
    assert verdict == "roll back"
    assert report["labels"] < 15
    assert "worse after" in report["why"]
    verdict, report = CanaryRule(labels=20).judge(np.tile([0.3, -0.2], 10))
    assert (verdict, report["labels"]) == ("keep", 20)
    assert CanaryRule(labels=20).judge([])[0] == "wait"
    uncertain = np.tile([1.0, -1.0], 40) - 0.08
    assert CanaryRule(labels=20, looks=(1, 2)).judge(uncertain)[0] == "roll back"
