"""What must hold of any votes: order and names don't matter, nor who stood left, nor the level of the strengths."""

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from homespun.arena import Config, leaderboard
from homespun.arena.intervals import sandwich_interval
from homespun.arena.newton import FIRST, SECOND, TIE
from homespun.arena.rank import BradleyTerry, elo, fit, strongly_connected
from homespun.arena.votes_table import count
from homespun.errors import DataError

NAMES = ["α", "b c", "delta", "42"]
vote = some.tuples(
    some.sampled_from(NAMES), some.sampled_from(NAMES), some.sampled_from(["model_a", "model_b", "tie", "both_bad"])
).filter(lambda row: row[0] != row[1])
votes = some.lists(vote, min_size=1, max_size=40).map(
    lambda rows: pl.DataFrame(rows, schema=["model_a", "model_b", "winner"], orient="row")
)
PLAIN = Config()
pytestmark = pytest.mark.slow


def table(frame: pl.DataFrame, config: Config = PLAIN) -> dict[str, tuple[float, ...]]:
    try:
        rows = leaderboard(frame, config).rows
    except DataError:
        assume(False)
        raise
    return {row["model"]: (row["rating"], row["low"], row["high"], row["rank"], row["votes"]) for row in rows}


def close(one: dict[str, tuple[float, ...]], other: dict[str, tuple[float, ...]]) -> bool:
    return one.keys() == other.keys() and all(one[name] == pytest.approx(other[name], abs=1e-4) for name in one)


@given(votes, some.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(frame, chance) -> None:
    order = list(range(frame.height))
    chance.shuffle(order)
    assert close(table(frame), table(frame[order]))


@given(votes, some.permutations(NAMES))
def test_renaming_the_models_renames_the_rows(frame, names) -> None:
    new = dict(zip(NAMES, names, strict=True))
    renamed = frame.with_columns(pl.col("model_a", "model_b").replace(new))
    assert close({new[name]: row for name, row in table(frame).items()}, table(renamed))


@given(votes, some.integers(0, 2**31))
def test_any_row_may_be_written_the_other_way_round(frame, seed) -> None:
    turn = np.random.default_rng(seed).random(frame.height) < 0.5
    other = pl.col("winner").replace({"model_a": "model_b", "model_b": "model_a"})
    turned = frame.with_columns(turn=turn).with_columns(
        model_a=pl.when("turn").then("model_b").otherwise("model_a"),
        model_b=pl.when("turn").then("model_a").otherwise("model_b"),
        winner=pl.when("turn").then(other).otherwise("winner"),
    )
    assert close(table(frame), table(turned.drop("turn")))


@given(some.lists(some.floats(-5, 5), min_size=2, max_size=8), some.floats(-100, 100))
def test_a_constant_added_to_all_strengths_does_nothing(strength, constant) -> None:
    values = np.array(strength)
    assert elo(values + constant) == pytest.approx(elo(values), abs=1e-6)
    assert elo(values + constant, (1, 700)) == pytest.approx(elo(values, (1, 700)), abs=1e-6)
    everyone = np.full((len(values), len(values)), constant**2)
    low, high = sandwich_interval(values, everyone, None)
    assert high - low == pytest.approx(np.zeros(len(values)), abs=1e-3)


@given(votes)
def test_ratings_have_mean_1000_and_lie_in_their_intervals(frame) -> None:
    found = table(frame)
    assert np.mean([row[0] for row in found.values()]) == pytest.approx(1000)
    assert all(row[1] <= row[0] <= row[2] for row in found.values())
    assert sum(row[4] for row in found.values()) == 2 * frame.height
    assert min(row[3] for row in found.values()) == 1


@given(votes)
def test_a_vote_more_never_lowers_its_winner(frame) -> None:
    before = table(frame)
    a, b = frame["model_a"][0], frame["model_b"][0]
    more = pl.concat([frame, pl.DataFrame([(a, b, "model_a")], schema=frame.columns, orient="row")])
    free = count(frame)
    assume(strongly_connected(free, free.weighted_3P[None])[0])
    after = table(more)
    assert after[a][0] - after[b][0] >= before[a][0] - before[b][0] - 1e-6


@given(votes)
def test_points_won_are_points_expected(frame) -> None:
    """The likelihood equations, where no prior was needed."""
    counts = count(frame)
    try:
        found = fit(counts, BradleyTerry())
    except DataError:
        assume(False)
        raise
    assume(found.prior == 0)
    won = counts.weighted_3P[FIRST] + counts.weighted_3P[TIE] / 2
    played = counts.weighted_3P.sum(axis=0)
    expected = played / (1 + np.exp(-counts.pairs.gaps(found.strength_M[None])[0]))
    assert counts.pairs.scatter((won - expected)[None]) == pytest.approx(0, abs=1e-8)
    assert counts.weighted_3P[SECOND].sum() + won.sum() <= counts.num_votes
