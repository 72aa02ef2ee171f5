"""Sandwich and bootstrap: the published width, the square root of n, each other, and the truth."""

import math

import numpy as np
import polars as pl
import pytest

from homespun.arena import Config, leaderboard
from homespun.arena.intervals import sandwich, variance
from homespun.arena.rank import ELO, BradleyTerry, fit
from homespun.arena.votes_table import count


def half_widths(votes: pl.DataFrame, **options: object) -> dict[str, float]:
    return {row["model"]: (row["high"] - row["low"]) / 2 for row in leaderboard(votes, Config(**options)).rows}


def test_ten_models_and_4731_votes_are_known_to_17_points(simulate) -> None:
    strength = np.linspace(0.55, -0.55, 10)
    widths = [np.mean(list(half_widths(simulate(strength, 4731, ties=1 / 3, seed=s)).values())) for s in range(4)]
    assert np.mean(widths) == pytest.approx(17, abs=1)
    resampled = half_widths(simulate(strength, 4731, ties=1 / 3), bootstrap=300)
    assert np.mean(list(resampled.values())) == pytest.approx(17, abs=1.5)


@pytest.mark.parametrize("method", ["bt", "rao-kupper", "davidson"])
def test_twice_the_votes_narrow_by_the_square_root_of_two(method, llmfao) -> None:
    once, twice = half_widths(llmfao, method=method), half_widths(pl.concat([llmfao, llmfao]), method=method)
    assert {name: width / math.sqrt(2) for name, width in once.items()} == pytest.approx(twice, rel=1e-6)


@pytest.mark.parametrize("method", ["bt", "rao-kupper", "davidson"])
def test_sandwich_and_bootstrap_agree(method, simulate) -> None:
    votes = simulate([0.9, 0.3, 0.0, -0.4, -0.8], 3000, ties=0.25)
    closed, drawn = half_widths(votes, method=method), half_widths(votes, method=method, bootstrap=1500)
    assert closed == pytest.approx(drawn, rel=0.09)
    anchor = ("m02", 1000.0)
    closed, drawn = (half_widths(votes, method=method, anchor=anchor, bootstrap=n) for n in (0, 1500))
    assert closed == pytest.approx(drawn, rel=0.09, abs=1e-4)


def test_sandwich_of_two_models_in_closed_form(write) -> None:
    """n votes, share q won: the gap ln(q / (1 - q)) has variance 1 / (n q (1 - q)); each model is half the gap away."""
    counts = count(write([("x", "y", "model_a", 30), ("x", "y", "model_b", 10)]))
    found = variance(sandwich(counts, BradleyTerry(), fit(counts, BradleyTerry())))
    assert found == pytest.approx([1 / (40 * 0.75 * 0.25) / 4] * 2)


def test_ties_as_half_narrow_the_sandwich(write) -> None:
    """A tie varies less than a coin: H alone would give all three the same width."""
    even = [("x", "y", "model_a", 20), ("x", "y", "model_b", 20)]
    tied = [("x", "y", "model_a", 10), ("x", "y", "model_b", 10), ("x", "y", "tie", 20)]
    assert half_widths(write(tied))["x"] == pytest.approx(half_widths(write(even))["x"] / math.sqrt(2))


@pytest.mark.slow
@pytest.mark.parametrize("bootstrap", [0, 100])
def test_intervals_hold_the_truth_as_often_as_they_say(bootstrap, simulate) -> None:
    strength = np.array([0.7, 0.2, -0.1, -0.8])
    truth = 1000 + ELO * (strength - strength.mean())
    held = [
        row["low"] <= truth[int(row["model"][1:])] <= row["high"]
        for seed in range(250)
        for row in leaderboard(simulate(strength, 800, seed=seed), Config(bootstrap=bootstrap)).rows
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_ranks_by_the_median_when_resampled(llmfao) -> None:
    rows = leaderboard(llmfao, Config(bootstrap=100, seed=1)).rows
    medians = [row["median"] for row in rows]
    assert medians == sorted(medians, reverse=True)
    assert [row["rank"] for row in rows] == list(range(1, 60))
    assert all(row["low"] <= row["median"] <= row["high"] for row in rows)
