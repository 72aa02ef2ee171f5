"""Drift: the index against its closed form and distribution, the monitor against its promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from homespun.errors import DataError
from homespun.router.drift import RateMonitor, mix_alarm, monitor, psi, psi_limit, upper_rate

COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=8)


def test_psi_in_closed_form() -> None:
    expected, actual = [299.5, 699.5], [499.5, 499.5]
    assert psi(expected, actual) == pytest.approx(0.2 * math.log(0.5 / 0.3) - 0.2 * math.log(0.5 / 0.7))


@given(COUNTS)
def test_psi_is_a_symmetric_distance(counts: list[int]) -> None:
    other = counts[::-1]
    assert psi(counts, counts) == 0.0
    assert psi(counts, other) == pytest.approx(psi(other, counts), abs=1e-12)
    assert psi(counts, other) >= 0.0


def test_no_drift_passes_the_limit_as_rarely_as_stated() -> None:
    rng = np.random.default_rng(0)
    share = np.array([0.4, 0.3, 0.2, 0.1])
    noise = [psi(rng.multinomial(100, share), rng.multinomial(90, share)) for _ in range(4000)]
    limit = psi_limit(100, 90, 4, alpha=0.1)
    assert limit > 0.1
    assert np.mean(np.array(noise) > limit) == pytest.approx(0.1, abs=0.02)
    assert psi_limit(4000, 3000, 4, alpha=0.1) == 0.1
    assert psi_limit(50, 40, 4, alpha=0.001) == pytest.approx(16.266 * (1 / 50 + 1 / 40), rel=1e-3)


def test_a_mix_that_moved_is_named() -> None:
    before = {"math": 500.0, "chat": 500.0}
    assert mix_alarm(before, {"math": 210.0, "chat": 190.0}) is None
    alarm = mix_alarm(before, {"math": 100.0, "chat": 250.0, "code": 50.0})
    assert alarm is not None
    assert alarm.value > alarm.threshold
    assert "'math' moved by -25 points" in alarm.detail
    assert mix_alarm({}, {"math": 3.0}) is None


def test_upper_rate_against_the_binomial() -> None:
    bound = upper_rate(7, 100, level=0.99)
    assert binom.cdf(7, 100, bound) == pytest.approx(0.01)
    assert upper_rate(5, 5) == 1.0


def test_false_alarms_are_as_rare_as_stated() -> None:
    rng, runs = np.random.default_rng(1), []
    for _ in range(60):
        watch, steps = RateMonitor(kind="x", tolerated=0.2, run_length=100.0), 0
        while watch.observe(bool(rng.random() < 0.2)) is None:
            steps += 1
        runs.append(steps + 1)
    assert np.mean(runs) >= 100.0
    assert np.mean(runs) < 100.0 * 6  # it would be idle otherwise


def test_a_change_is_heard_soon_and_the_more_the_sooner() -> None:
    rng = np.random.default_rng(2)

    def delay(rate: float) -> float:
        found = []
        for _ in range(30):
            watch = monitor("escalation", 40, 400)
            for _ in range(200):
                watch.observe(bool(rng.random() < 0.1))
            steps = 1
            while watch.observe(bool(rng.random() < rate)) is None:
                steps += 1
            found.append(steps)
        return float(np.mean(found))

    small, large = delay(0.3), delay(0.6)
    assert large < small < 150


@given(st.lists(st.booleans(), max_size=60), st.floats(0.05, 0.9))
def test_the_statistic_grows_by_one_at_most_in_the_mean(past: list[bool], rate: float) -> None:
    """The law behind the promise: E[R_t | past] = R_{t-1} + 1 at the tolerated rate."""
    watches = [RateMonitor(kind="x", tolerated=rate, run_length=1e300) for _ in range(2)]
    for hit in past:
        for watch in watches:
            watch.observe(hit)
    before = watches[0].statistic
    for watch, hit in zip(watches, (True, False), strict=True):
        watch.observe(hit)
    mean = rate * watches[0].statistic + (1 - rate) * watches[1].statistic
    assert mean == pytest.approx(before + 1.0, rel=1e-9)


def test_an_alarm_starts_afresh() -> None:
    watch = RateMonitor(kind="x", tolerated=0.1, run_length=5.0)
    alarms = [watch.observe(True) for _ in range(10)]
    assert sum(alarm is not None for alarm in alarms) >= 2
    assert watch.seen < 10


def test_what_cannot_be_watched_is_refused() -> None:
    with pytest.raises(DataError):
        RateMonitor(kind="x", tolerated=0.0)
    with pytest.raises(DataError):
        monitor("x", 0, 0)
    with pytest.raises(DataError):
        psi([1, 2], [1, 2, 3])
