"""Matched settings, groups, and one over the propensity."""

import numpy as np
import polars as pl
import pytest

from homespun.arena import Config, leaderboard
from homespun.arena.settings import SETTINGS, columns_of, matched, weighed
from homespun.errors import ConfigError, DataError


@pytest.mark.parametrize("setting", [name for name in SETTINGS if name != "all"])
def test_a_matched_setting_keeps_the_votes_whose_sides_are_equal(setting, write) -> None:
    a, b = columns_of(setting)
    votes = write([("x", "y", "model_a", 3), ("y", "x", "model_a", 3)]).with_columns(
        pl.Series(a, ["go", "go", "rust", None, None, "c"]), pl.Series(b, ["go", "c", "rust", None, "c", "c"])
    )
    assert matched(votes, setting)[a].to_list() == ["go", "rust", "c"]
    assert leaderboard(votes, Config(setting=setting)).fits[0]["votes"] == 3
    assert leaderboard(votes).fits[0]["votes"] == 6
    with pytest.raises(DataError, match=f"no vote has equal {a} and {b}"):
        leaderboard(votes.with_columns(pl.lit("odd").alias(a)), Config(setting=setting))


def test_groups_are_ranked_as_if_they_were_alone(llmfao) -> None:
    board = leaderboard(llmfao, Config(by="topic"))
    assert [fit["group"] for fit in board.fits] == ["creativity", "instruct", "knowledge", "reflexion"]
    assert sum(fit["votes"] for fit in board.fits) == 8931
    alone = leaderboard(llmfao.filter(pl.col("topic") == "knowledge")).rows
    assert [
        {k: v for k, v in row.items() if k != "group"} for row in board.rows if row["group"] == "knowledge"
    ] == alone


def test_a_group_that_cannot_be_ranked_is_left_out_with_its_reason(write) -> None:
    good = write([("x", "y", "model_a", 3), ("y", "x", "model_a", 2)]).with_columns(topic=pl.lit("web"))
    torn = write([("x", "y", "tie", 3), ("v", "w", "tie", 2)]).with_columns(topic=pl.lit("games"))
    nameless = write([("x", "y", "tie", 4)]).with_columns(topic=pl.lit(None, pl.String))
    board = leaderboard(pl.concat([good, torn, nameless]), Config(by="topic"))
    assert {row["group"] for row in board.rows} == {"web"}
    assert board.notes[0] == "4 votes without topic are left out"
    assert "topic 'games' is left out: votes: the models fall into 2 groups" in board.notes[1]
    with pytest.raises(DataError, match="no topic can be ranked"):
        leaderboard(torn, Config(by="topic"))


def test_the_anchor_must_have_votes(write) -> None:
    with pytest.raises(ConfigError, match="no vote has the model 'z'"):
        leaderboard(write([("x", "y", "tie", 3)]), Config(anchor=("z", 1000)))


def test_half_the_propensity_is_twice_the_vote(write) -> None:
    once = write(
        [
            ("x", "y", "model_a", 7),
            ("x", "y", "model_b", 4),
            ("y", "z", "model_a", 5),
            ("y", "z", "model_b", 2),
            ("x", "z", "tie", 3),
        ]
    )
    rare = (pl.col("model_a") == "y") & (pl.col("model_b") == "z")
    weighted = once.with_columns(propensity=pl.when(rare).then(0.2).otherwise(0.4))
    doubled = pl.concat([once, once.filter(rare)])
    for options in ({}, {"method": "davidson"}, {"method": "rao-kupper"}):
        one, other = (leaderboard(frame, Config(**options)).rows for frame in (weighted, doubled))
        assert [row["rating"] for row in one] == pytest.approx([row["rating"] for row in other], abs=1e-6)
    # A vote of weight two is less evidence than two votes.
    width = [max(row["high"] - row["low"] for row in leaderboard(frame).rows) for frame in (weighted, doubled)]
    assert width[0] > width[1]
    assert "weighed" in leaderboard(weighted).notes[0]


def test_equal_propensities_change_nothing(llmfao) -> None:
    plain, weighted = leaderboard(llmfao), leaderboard(llmfao.with_columns(propensity=0.25))
    for one, other in zip(plain.rows, weighted.rows, strict=True):
        assert one == pytest.approx(other, abs=1e-9)
    drawn = [leaderboard(frame, Config(bootstrap=20)).rows for frame in (llmfao, llmfao.with_columns(propensity=0.25))]
    assert drawn[0] == drawn[1]


def test_reweighting_undoes_a_biased_draw() -> None:
    """Where one scale does not fit all pairs, ratings depend on who met whom; weights bring the even draw back."""
    generator = np.random.default_rng(0)
    names, chance = ["rock", "paper", "scissors", "well"], np.array([0, 0.9, 0.2, 0.55, 0.6, 0.85])
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]

    def votes(draw: np.ndarray) -> pl.DataFrame:
        which = generator.choice(6, 60_000, p=draw)
        won = generator.random(60_000) < chance[which]
        return pl.DataFrame(
            {
                "model_a": [names[pairs[k][0]] for k in which],
                "model_b": [names[pairs[k][1]] for k in which],
                "winner": np.where(won, "model_a", "model_b"),
                "propensity": draw[which],
            }
        )

    def ratings(frame: pl.DataFrame) -> dict[str, float]:
        return {row["model"]: row["rating"] for row in leaderboard(frame).rows}

    biased = votes(np.array([0.05, 0.05, 0.1, 0.2, 0.2, 0.4]))
    even = ratings(votes(np.full(6, 1 / 6)))
    assert ratings(biased) == pytest.approx(even, abs=12)
    assert max(abs(value - even[name]) for name, value in ratings(biased.drop("propensity")).items()) > 40


def test_weights_with_resamples_agree_with_the_sandwich(simulate) -> None:
    votes = simulate([0.5, 0.0, -0.5], 1200)
    weighted = votes.with_columns(propensity=pl.when(pl.col("model_a") == "m00").then(0.1).otherwise(0.5))
    widths = [
        {row["model"]: row["high"] - row["low"] for row in leaderboard(weighted, Config(bootstrap=n)).rows}
        for n in (0, 1500)
    ]
    assert widths[0] == pytest.approx(widths[1], rel=0.09)


@pytest.mark.parametrize("bad", [0.0, None])
def test_a_vote_without_a_chance_is_refused(bad, write) -> None:
    votes = write([("x", "y", "tie", 2)]).with_columns(pl.Series("propensity", [0.5, bad]))
    with pytest.raises(DataError, match=f"row 1 has propensity {bad}"):
        weighed(votes)
