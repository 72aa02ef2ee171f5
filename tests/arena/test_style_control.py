"""Style control: a planted effect comes back, and the ratings are those at equal style."""

from itertools import permutations

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from homespun.arena import Config, leaderboard
from homespun.arena import style as method
from homespun.arena.rank import ELO
from homespun.arena.votes_table import count
from homespun.errors import ConfigError, DataError

STRENGTH = np.array([0.6, 0.2, 0.0, -0.3, -0.5])


def styled(gamma: float, num: int = 6000, seed: int = 0) -> tuple[pl.DataFrame, float]:
    """Votes swayed by length, where the weaker models write longer; and the coefficient in points per unit."""
    generator = np.random.default_rng(seed)
    a = generator.integers(0, 5, num)
    b = (a + generator.integers(1, 5, num)) % 5
    length_a, length_b = (np.round(generator.lognormal(4 + 0.3 * side, 0.6)) for side in (a, b))
    share = (length_a - length_b) / (length_a + length_b + 1)
    spread = np.sqrt(np.mean(share**2))
    won = generator.random(num) < 1 / (1 + np.exp(STRENGTH[b] - STRENGTH[a] - gamma * share / spread))
    frame = pl.DataFrame(
        {
            "model_a": [f"m{i}" for i in a],
            "model_b": [f"m{i}" for i in b],
            "winner": np.where(won, "model_a", "model_b"),
            "length_a": length_a,
            "length_b": length_b,
            "noise_a": generator.random(num),
            "noise_b": generator.random(num),
        }
    )
    return frame, gamma * ELO


def error(votes: pl.DataFrame, **options: object) -> float:
    """Largest distance of a rating from the truth."""
    truth = 1000 + ELO * (STRENGTH - STRENGTH.mean())
    return max(abs(row["rating"] - truth[int(row["model"][1])]) for row in leaderboard(votes, Config(**options)).rows)


@pytest.mark.parametrize("bootstrap", [0, pytest.param(60, marks=pytest.mark.slow)])
def test_a_planted_effect_comes_back_and_leaves_the_ratings(bootstrap) -> None:
    votes, points = styled(0.7)
    effects = leaderboard(votes, Config(control=("length", "noise"), bootstrap=bootstrap)).fits[0]["style"]
    assert [effect["covariate"] for effect in effects] == ["length", "noise"]
    assert effects[0]["low"] < points < effects[0]["high"]
    assert effects[0]["high"] - effects[0]["low"] < 40
    assert effects[1]["low"] < 0 < effects[1]["high"]
    assert error(votes, control=("length", "noise")) < 15
    assert error(votes) > 40


def test_equals_a_general_optimiser() -> None:
    votes, _ = styled(0.4, num=400)
    data = method.design(votes, count(votes).models, ["length", "noise"])

    def loss(value: np.ndarray) -> float:
        logit = data.logits(value)
        likelihood = (data.score_N * logit - np.logaddexp(0, logit)).sum()
        return -likelihood + method.RIDGE / 2 * (value[5:] ** 2).sum() + 50 * value[:5].sum() ** 2

    best = minimize(loss, np.zeros(7), method="BFGS", options={"gtol": 1e-8}).x
    assert method.fit(data, data.weight_N, prior=0.0) == pytest.approx(best, abs=1e-4)


@pytest.mark.slow
def test_sandwich_and_bootstrap_agree() -> None:
    votes, _ = styled(0.7, num=1500)
    widths = []
    for bootstrap in (0, 400):
        board = leaderboard(votes, Config(control=("length",), bootstrap=bootstrap))
        widths.append([row["high"] - row["low"] for row in sorted(board.rows, key=lambda row: row["model"])])
        widths[-1].append(board.fits[0]["style"][0]["high"] - board.fits[0]["style"][0]["low"])
    assert widths[0] == pytest.approx(widths[1], rel=0.15)


def test_swapping_all_sides_changes_nothing() -> None:
    """A z-score, whose mean is taken off, would not keep this."""
    votes, _ = styled(0.7, num=500)
    votes = votes.with_columns(length_a=pl.col("length_a") * 2)
    swap = {f"{name}_{one}": f"{name}_{other}" for name in ("model", "length") for one, other in permutations("ab")}
    swapped = votes.select("model_a", "model_b", "winner", "length_a", "length_b").rename(swap)
    swapped = swapped.with_columns(pl.col("winner").replace({"model_a": "model_b", "model_b": "model_a"}))
    one, other = (leaderboard(frame, Config(control=("length",))) for frame in (votes, swapped))
    assert [row["model"] for row in one.rows] == [row["model"] for row in other.rows]
    assert [row["rating"] for row in one.rows] == pytest.approx([row["rating"] for row in other.rows], abs=1e-6)
    assert one.fits[0]["style"][0]["points"] == pytest.approx(other.fits[0]["style"][0]["points"], abs=1e-6)


def test_without_an_effect_it_is_bradley_terry() -> None:
    votes, _ = styled(0.0, num=3000)
    plain = {row["model"]: row["rating"] for row in leaderboard(votes).rows}
    controlled = {row["model"]: row["rating"] for row in leaderboard(votes, Config(control=("noise",))).rows}
    assert controlled == pytest.approx(plain, abs=1.5)


def test_what_it_refuses_and_what_it_leaves_out() -> None:
    votes, _ = styled(0.5, num=300)
    below = votes.with_columns(length_b=pl.when(pl.int_range(pl.len()) == 7).then(-1.0).otherwise("length_b"))
    with pytest.raises(DataError, match="row 7 is negative"):
        leaderboard(below, Config(control=("length",)))
    with pytest.raises(DataError, match="never differs"):
        leaderboard(votes.with_columns(length_a=1.0, length_b=1.0), Config(control=("length",)))
    with pytest.raises(ConfigError, match="not defined for davidson"):
        leaderboard(votes, Config(control=("length",), method="davidson"))
    holes = votes.with_columns(length_a=pl.when(pl.int_range(pl.len()) < 20).then(None).otherwise("length_a"))
    board = leaderboard(holes, Config(control=("length",)))
    assert board.fits[0]["votes"] == 280
    assert "20 votes without" in board.notes[0]
    assert sum(row["votes"] for row in board.rows) == 560
