"""Bradley-Terry: equal to evalica on real votes, worked numbers, and each defect of the released code by name."""

import math

import evalica
import numpy as np
import polars as pl
import pytest

from homespun.arena import Config, leaderboard
from homespun.arena.newton import maximise
from homespun.arena.rank import ELO, PRIOR, BradleyTerry, elo, fit
from homespun.arena.votes_table import count
from homespun.errors import DataError


def ratings(votes: pl.DataFrame, **options: object) -> dict[str, float]:
    return {row["model"]: row["rating"] for row in leaderboard(votes, Config(**options)).rows}


def test_equals_evalica_on_real_votes(llmfao) -> None:
    winners = {"model_a": evalica.Winner.X, "model_b": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    theirs = evalica.bradley_terry(
        llmfao["model_a"].to_list(),
        llmfao["model_b"].to_list(),
        [winners[winner] for winner in llmfao["winner"]],
        tie_weight=0.5,
        tolerance=1e-10,
        limit=10_000,
    ).scores
    counts = count(llmfao)
    ours = dict(zip(counts.models, np.exp(fit(counts, BradleyTerry()).strength_M), strict=True))
    assert len(ours) == len(theirs) == 59
    assert max(abs(ours[name] - score) for name, score in theirs.items()) < 1e-4
    assert ratings(llmfao)["GPT 4"] == pytest.approx(1000 + ELO * math.log(theirs["GPT 4"]), abs=1e-3)


def test_three_to_one_is_190_8_points_not_439_4(write) -> None:
    """Released code: coefficients times 400 without dividing by ln 10."""
    found = ratings(write([("x", "y", "model_a", 3), ("x", "y", "model_b", 1)]))
    assert found["x"] - found["y"] == pytest.approx(400 * math.log10(3), abs=1e-6)
    assert found["x"] - found["y"] == pytest.approx(190.8, abs=0.05)
    assert (found["x"] + found["y"]) / 2 == pytest.approx(1000)


def test_ties_of_both_orders_are_added_up(write) -> None:
    """Released code: the ties of one order replace those of the other, 426.5 instead of 69.7."""
    once = [("x", "y", "model_a", 30), ("x", "y", "model_b", 10), ("x", "y", "tie", 60)]
    found = ratings(write(once))
    assert found["x"] - found["y"] == pytest.approx(400 * math.log10(60 / 40), abs=1e-6)
    more = ratings(write([*once, ("y", "x", "tie", 1)]))
    assert more["x"] - more["y"] == pytest.approx(400 * math.log10(60.5 / 40.5), abs=1e-6)
    assert more["x"] - more["y"] == pytest.approx(69.7, abs=0.05)


def test_an_unbeaten_model_is_finite_and_the_table_says_why(write) -> None:
    """Released code: infinity, or silently another method."""
    votes = write([("x", "y", "model_a", 9), ("y", "z", "model_a", 3), ("z", "y", "model_a", 3)])
    board = leaderboard(votes)
    assert board.rows[0]["model"] == "x"
    assert all(np.isfinite([row["rating"], row["low"], row["high"]]).all() for row in board.rows)
    assert board.fits[0]["prior"] == PRIOR
    assert "x never lost or never won" in board.notes[0]
    beaten = leaderboard(pl.concat([votes, write([("y", "x", "model_a", 1)])]))
    assert beaten.fits[0]["prior"] == 0
    assert beaten.notes == []


def test_two_sets_of_which_one_never_lost_need_the_prior_too(write) -> None:
    inner = [("a", "b", "tie", 2), ("c", "d", "tie", 2)]
    board = leaderboard(write([*inner, ("a", "c", "model_a", 4)]))
    assert board.fits[0]["prior"] == PRIOR
    assert leaderboard(write([*inner, ("a", "c", "model_a", 4), ("b", "d", "tie", 1)])).fits[0]["prior"] == 0


def test_resamples_are_seeded(llmfao) -> None:
    """Released code: no seed."""
    one, same = (leaderboard(llmfao, Config(bootstrap=20, seed=3)).rows for _ in range(2))
    assert one == same
    assert one != leaderboard(llmfao, Config(bootstrap=20, seed=4)).rows


def test_resamples_in_which_a_model_never_lost_are_not_skipped(write) -> None:
    """Released code: they are dropped, and with them the upper end."""
    row = leaderboard(write([("x", "y", "model_a", 8), ("x", "y", "model_b", 1)]), Config(bootstrap=200)).rows[0]
    assert row["high"] > 1000 + ELO * math.log(8) / 2 + 20
    assert row["high"] == pytest.approx(ratings(write([("x", "y", "model_a", 9)]))["x"])


def test_models_that_never_met_are_refused(write) -> None:
    with pytest.raises(DataError, match="2 groups that never met: 'a' cannot be compared with 'c'"):
        leaderboard(write([("a", "b", "tie", 3), ("c", "d", "model_a", 3)]))


def test_symmetric_votes_give_equal_ratings_and_one_rank(write) -> None:
    rows = leaderboard(write([(a, b, "model_a", 5) for a in "xyz" for b in "xyz" if a != b])).rows
    assert {row["rank"] for row in rows} == {1}
    assert [row["rating"] for row in rows] == pytest.approx([1000] * 3)
    assert [row["votes"] for row in rows] == [20] * 3


def test_swapping_all_sides_changes_nothing(llmfao) -> None:
    swapped = llmfao.rename({"model_a": "model_b", "model_b": "model_a"}).with_columns(
        pl.col("winner").replace({"model_a": "model_b", "model_b": "model_a"})
    )
    for method in ("bt", "rao-kupper", "davidson"):
        assert ratings(swapped, method=method) == pytest.approx(ratings(llmfao, method=method), abs=1e-6)


def test_both_bad_counts_as_a_tie(write) -> None:
    rows = [("x", "y", "model_a", 4), ("x", "y", "model_b", 2)]
    assert ratings(write([*rows, ("x", "y", "tie", 5)])) == ratings(write([*rows, ("x", "y", "both_bad", 5)]))


def test_the_anchor_has_its_value_and_the_gaps_stay(llmfao) -> None:
    free, held = ratings(llmfao), ratings(llmfao, anchor=("Koala (13B)", 1234.5))
    assert held["Koala (13B)"] == 1234.5
    assert {name: value - held["GPT 4"] for name, value in held.items()} == pytest.approx(
        {name: value - free["GPT 4"] for name, value in free.items()}, abs=1e-9
    )
    rows = leaderboard(llmfao, Config(anchor=("Koala (13B)", 1234.5))).rows
    row = next(row for row in rows if row["model"] == "Koala (13B)")
    assert row["low"] == pytest.approx(1234.5, abs=1e-4)
    assert row["high"] == pytest.approx(1234.5, abs=1e-4)


def test_many_tables_at_once_are_the_tables_one_by_one(simulate) -> None:
    counts = count(simulate([0.5, 0.0, -1.0, 2.0], 900, ties=0.2))
    tables = np.stack([counts.weighted_3P, counts.weighted_3P * 2 + 1])
    together, _ = maximise(BradleyTerry(), counts.pairs, tables, ridge_B=np.zeros(2))
    for one, whole in zip(tables, together, strict=True):
        alone, _ = maximise(BradleyTerry(), counts.pairs, one[None], ridge_B=np.zeros(1))
        assert alone[0] == pytest.approx(whole, abs=1e-10)


def test_newton_comes_home_from_far_away(simulate) -> None:
    counts = count(simulate(list(np.linspace(-6, 6, 8)), 4000))
    start = np.linspace(30, -30, 8)[None]
    found, _ = maximise(BradleyTerry(), counts.pairs, counts.weighted_3P[None], ridge_B=np.ones(1), strength_BM=start)
    usual, _ = maximise(BradleyTerry(), counts.pairs, counts.weighted_3P[None], ridge_B=np.ones(1))
    assert found == pytest.approx(usual, abs=1e-9)


def test_elo_of_odds_ten_to_one_is_400_points() -> None:
    assert np.diff(elo(np.array([0.0, math.log(10)])))[0] == pytest.approx(400)
    assert elo(np.array([3.0, 5.0]), (0, 700.0))[0] == 700
