import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import norm

from homespun.router import intervals


def test_agrees_with_scipy():
    values = np.random.default_rng(1).exponential(size=300)
    ours = intervals.mean_interval(values, num_resamples=4000, seed=2)
    theirs = scipy_bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)
    assert ours.value == pytest.approx(values.mean())


def test_agrees_with_the_normal_limit():
    values = np.random.default_rng(0).normal(size=2000)
    half = norm.ppf(0.95) * values.std() / np.sqrt(2000)
    ours = intervals.mean_interval(values, num_resamples=4000, level=0.9)
    assert ours.high - ours.low == pytest.approx(2 * half, rel=0.05)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(0, 1000))
def test_weights_count_draws_and_repeat_under_a_seed(num, seed):
    drawn = list(intervals.resamples(num, num_resamples=7, seed=seed))
    assert np.concatenate(drawn).sum(axis=1).tolist() == [num] * 7
    again = list(intervals.resamples(num, num_resamples=7, seed=seed))
    assert (np.concatenate(drawn) == np.concatenate(again)).all()


def test_a_group_is_drawn_whole():
    groups = np.array([0, 1, 0, 2])
    weights = np.concatenate(list(intervals.resamples(4, num_resamples=50, groups=groups)))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] != weights[:, 1]).any()


@settings(deadline=None, max_examples=40)
@given(st.floats(-3, 3))
def test_a_constant_difference_has_no_width(shift):
    values = np.random.default_rng(0).random(50)
    found = intervals.difference_interval(values + shift, values, num_resamples=50)
    assert found.low == pytest.approx(shift, abs=1e-9)
    assert found.high == pytest.approx(shift, abs=1e-9)


def test_missing_values_are_left_out_not_counted_as_zero():
    found = intervals.mean_interval(np.array([1.0, np.nan, 1.0]), num_resamples=300)
    assert found.value == found.low == found.high == 1
    nothing = intervals.mean_interval(np.array([np.nan]), num_resamples=10)
    assert all(np.isnan(nothing))
