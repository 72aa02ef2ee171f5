"""Stopping rules: closed forms, laws, and what they save on recorded votes."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from homespun.confidence.adaptive import BetaStop, UnanimityStop, draw_until, leader_is_ahead, lower_bound, simulate
from homespun.errors import ConfigError, DataError

ANSWERS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=20)


@given(st.integers(0, 40))
def test_unanimous_votes_have_a_closed_form(first):
    assert leader_is_ahead(first, 0) == pytest.approx(1 - 0.5 ** (first + 1), abs=1e-12)


@given(st.integers(0, 30), st.integers(0, 30))
def test_probability_equals_the_binomial_tail(first, second):
    first, second = max(first, second), min(first, second)
    tail = binom.cdf(first, first + second + 1, 0.5)
    assert leader_is_ahead(first, second) == pytest.approx(tail, abs=1e-10)


@given(st.integers(1, 30), st.integers(0, 30))
def test_a_vote_for_the_leader_adds_and_a_vote_for_the_second_takes(first, second):
    first, second = max(first, second + 1), min(first, second)
    assert leader_is_ahead(first + 1, second) > leader_is_ahead(first, second) >= leader_is_ahead(first, second + 1)


def test_a_tie_is_a_coin():
    assert leader_is_ahead(4, 4) == pytest.approx(0.5)


def test_beta_rule_stops_at_four_equal_answers_and_unanimity_at_three():
    answers = ["7"] * 10
    assert draw_until(answers, BetaStop()).drawn == 4  # 1 - 2^-5 = .969 is the first above .95
    assert draw_until(answers, UnanimityStop()).drawn == 3
    assert draw_until(["7", "8", *answers], UnanimityStop()).drawn == 12


def test_failed_extractions_are_drawn_but_settle_nothing():
    answers = [None, "7", "7", "7", "7", "7"]
    assert draw_until(answers, BetaStop()) == (("7", (4,), 5), 5, True)
    assert draw_until(answers, UnanimityStop()).drawn == 6
    assert draw_until([None] * 4, BetaStop()).tally.answer is None


def test_unanimity_that_is_not_trusted_enough_draws_on():
    trust = lower_bound(90, 100)
    assert trust == pytest.approx(0.8363, abs=1e-3)
    assert draw_until(["7"] * 8, UnanimityStop(trust=trust, bar=0.8)).drawn == 3
    assert draw_until(["7"] * 8, UnanimityStop(trust=trust, bar=0.9)).drawn == 8


@given(st.integers(1, 200), st.data())
def test_lower_bound_leaves_exactly_the_error_above_it(num, data):
    right = data.draw(st.integers(1, num))
    bound = lower_bound(right, num)
    assert 0 < bound < right / num + 1e-12
    assert binom.sf(right - 1, num, bound) == pytest.approx(0.05, abs=1e-9)


@given(ANSWERS, st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_a_higher_threshold_never_draws_less(answers, a, b):
    low, high = sorted((a, b))
    few, many = (draw_until(answers, BetaStop(threshold=x)).drawn for x in (low, high))
    assert 1 <= few <= many <= len(answers)


def test_simulation_counts_draws_and_accuracy():
    rows = [("a", "1", 1.0)] * 10 + [("b", "2", 0.0)] * 10
    frame = pl.DataFrame(rows, schema={"id": pl.String, "answer": pl.String, "value": pl.Float64}, orient="row")
    found = {row["rule"]: row for row in simulate(frame, ["id"], [BetaStop(), UnanimityStop()], repeats=3).to_dicts()}
    assert (found["all"]["samples"], found["beta"]["samples"], found["unanimity"]["samples"]) == (10, 4, 3)
    assert found["beta"]["saving"] == 2.5
    assert all(row["accuracy"] == 0.5 and row["kept"] == 0 and row["same"] == 1 for row in found.values())


def test_beta_rule_saves_draws_and_keeps_the_answer_of_a_clear_model():
    generator = np.random.default_rng(5)
    rows = [
        (group, answer, float(answer == "0"))
        for group in range(60)
        for answer in generator.choice(["0", "1", "2"], size=40, p=[0.8, 0.1, 0.1]).tolist()
    ]
    frame = pl.DataFrame(rows, schema={"id": pl.Int64, "answer": pl.String, "value": pl.Float64}, orient="row")
    row = simulate(frame, ["id"], [BetaStop()], repeats=5).row(1, named=True)
    assert row["saving"] > 4
    assert row["same"] > 0.95


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError):
        BetaStop(threshold=1)
    with pytest.raises(ConfigError):
        UnanimityStop(first=0)
    with pytest.raises(DataError):
        leader_is_ahead(1, 2)
    with pytest.raises(DataError):
        draw_until([], BetaStop())
    with pytest.raises(DataError):
        lower_bound(3, 2)
