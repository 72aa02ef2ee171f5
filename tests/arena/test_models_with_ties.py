"""Rao-Kupper and Davidson: closed forms for two models, a general optimiser, chances that sum to one."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from homespun.arena import Config, leaderboard
from homespun.arena.newton import TIE, information
from homespun.arena.rank import ELO, fit
from homespun.arena.ties import Davidson, RaoKupper
from homespun.arena.votes_table import count
from homespun.errors import DataError

RECORD = [("x", "y", "model_a", 30), ("x", "y", "model_b", 10), ("x", "y", "tie", 50), ("y", "x", "both_bad", 10)]


def gap(board) -> float:
    found = {row["model"]: row["rating"] for row in board.rows}
    return (found["x"] - found["y"]) / ELO


def test_davidson_of_two_models_in_closed_form(write) -> None:
    board = leaderboard(write(RECORD), Config(method="davidson"))
    assert gap(board) == pytest.approx(math.log(3), abs=1e-9)
    assert board.fits[0]["tie"] == pytest.approx(0.6 / math.sqrt(0.3 * 0.1), abs=1e-9)


def test_rao_kupper_of_two_models_in_closed_form(write) -> None:
    board = leaderboard(write(RECORD), Config(method="rao-kupper"))
    win, loss = math.log(0.3 / 0.7), math.log(0.1 / 0.9)
    assert gap(board) == pytest.approx((win - loss) / 2, abs=1e-9)
    assert board.fits[0]["tie"] == pytest.approx(math.exp(-(win + loss) / 2), abs=1e-9)


@pytest.mark.parametrize("model", [RaoKupper(), Davidson()], ids=lambda model: model.name)
def test_equals_a_general_optimiser(model, simulate) -> None:
    counts = count(simulate([0.8, 0.1, -0.3, -0.6, 0.0], 1500, ties=0.3))
    first, second = counts.pairs.first_P, counts.pairs.second_P

    def loss(value: np.ndarray) -> float:
        chances = model.chances(value[:5][first] - value[:5][second], value[5])
        return -float((counts.weighted_3P * np.log(chances)).sum()) + 50 * value[:5].sum() ** 2

    best = minimize(loss, np.r_[np.zeros(5), 0.5], method="BFGS", options={"gtol": 1e-8})
    found = fit(counts, model)
    assert found.strength_M == pytest.approx(best.x[:5], abs=1e-4)
    assert found.tie == pytest.approx(best.x[5], abs=1e-4)


@pytest.mark.parametrize("model", [RaoKupper(), Davidson()], ids=lambda model: model.name)
def test_scores_are_the_slopes_of_log_chances(model) -> None:
    gaps, tie, small = np.linspace(-4, 4, 9), 0.7, 1e-6
    by_gap, by_tie = model.scores(gaps, tie)
    up, down = np.log(model.chances(gaps + small, tie)), np.log(model.chances(gaps - small, tie))
    assert by_gap == pytest.approx((up - down) / (2 * small), abs=1e-6)
    up, down = np.log(model.chances(gaps, tie + small)), np.log(model.chances(gaps, tie - small))
    assert by_tie == pytest.approx((up - down) / (2 * small), abs=1e-6)
    assert model.chances(gaps, tie).sum(axis=0) == pytest.approx(np.ones(9))


@pytest.mark.parametrize("model", [RaoKupper(), Davidson()], ids=lambda model: model.name)
def test_information_is_minus_the_slope_of_the_slopes(model, simulate) -> None:
    counts = count(simulate([0.9, 0.2, -0.4, -0.7], 700, ties=0.3))
    value, small = np.array([0.8, 0.3, -0.5, -0.6, 0.6]), 1e-6

    def slopes(at: np.ndarray) -> np.ndarray:
        found = model.derivatives(counts.pairs.gaps(at[None, :4]), at[4:], counts.weighted_3P[None])
        return np.r_[counts.pairs.scatter(found.slope_BP)[0], found.tie_slope_B]

    numeric = -np.array([(slopes(value + step) - slopes(value - step)) / (2 * small) for step in small * np.eye(5)])
    found = model.derivatives(counts.pairs.gaps(value[None, :4]), value[4:], counts.weighted_3P[None])
    exact = information(counts.pairs, found, np.zeros(1))[0]
    exact[:4, :4] -= exact[:4, :4].sum() / 16  # the weight on the sum of the strengths
    assert exact == pytest.approx(numeric, abs=1e-4)
    assert abs(numeric[4, :4]).max() > 1


@pytest.mark.parametrize("model", [RaoKupper(), Davidson()], ids=lambda model: model.name)
def test_ties_are_expected_as_often_as_they_were_seen(model, llmfao) -> None:
    """The likelihood equation of the tie parameter: exact for Davidson, an exponential family; near for the other."""
    counts = count(llmfao)
    found = fit(counts, model)
    chances = model.chances(counts.pairs.gaps(found.strength_M[None])[0], found.tie)
    expected = (counts.weighted_3P.sum(axis=0) * chances[TIE]).sum()
    assert expected == pytest.approx(3471, rel=1e-9 if isinstance(model, Davidson) else 0.01)


@pytest.mark.parametrize(("winner", "what"), [("model_a", "there is no tie"), ("tie", "every vote is a tie")])
@pytest.mark.parametrize("method", ["rao-kupper", "davidson"])
def test_a_tie_parameter_that_would_run_away_is_refused(method, winner, what, write) -> None:
    with pytest.raises(DataError, match=what):
        leaderboard(write([("x", "y", winner, 5), ("y", "x", winner, 5)]), Config(method=method))
