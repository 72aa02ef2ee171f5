"""Who judges and who does not: exact values, honest voters who stay, and the two kinds that are found."""

import math
import random
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, combine_pvalues

from homespun.arena.voters import Rules, distance_p, fisher_p, left_out, looks, side_p, suspicions

MODELS = ("strong", "fair", "weak")
CHANCE = {("fair", "strong"): 0.12, ("strong", "weak"): 0.95, ("fair", "weak"): 0.9}
"""Chance that the first is better, in the eyes of honest voters."""


def vote(voter: str, number: int, a: str, b: str, winner: str, prompt: str | None = None) -> dict[str, object]:
    return {"id": f"{voter}-{number:05d}", "time": float(number), "voter": voter, "model_a": a, "model_b": b,
            "winner": winner, "prompt_hash": prompt}  # fmt: skip


def honest(voter: str, count: int, chance: random.Random) -> list[dict[str, object]]:
    rows = []
    for number in range(count):
        a, b = chance.sample(MODELS, 2)
        pair = (a, b) if a < b else (b, a)
        better = pair[0] if chance.random() < CHANCE[pair] else pair[1]
        winner = "tie" if chance.random() < 0.1 else "model_a" if better == a else "model_b"
        rows.append(vote(voter, number, a, b, winner))
    return rows


def table(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


def crowd() -> list[dict[str, object]]:
    chance = random.Random(7)
    return [row for n in range(30) for row in honest(f"honest{n}", 40, chance)]


SWAP = {"model_a": "model_b", "model_b": "model_a", "tie": "tie", "both_bad": "both_bad"}


def test_exact_values() -> None:
    assert side_p([True] * 8) == pytest.approx(2 / 2**8)
    assert side_p([True, False] * 4) == pytest.approx(1.0)
    for left in range(12):
        assert side_p([n < left for n in range(11)]) == pytest.approx(binomtest(left, 11).pvalue)
    assert looks(7) == []
    assert looks(8) == [8]
    assert looks(100) == [8, 16, 32, 64]
    # Ten others: one 0, nine 1. A further 0 gives the mean 9/11; as far away as it is the one 0 alone.
    assert distance_p(np.array([1.0, 0.0, 9.0]), 0) == pytest.approx(2 / 11)
    assert distance_p(np.array([1.0, 0.0, 9.0]), 2) == pytest.approx(1.0)
    assert distance_p(np.zeros(3), 1) == pytest.approx(1.0)
    values = [0.03, 0.5, 0.9]
    assert fisher_p(values) == pytest.approx(combine_pvalues(values, method="fisher").pvalue)


@given(st.lists(st.integers(0, 30), min_size=3, max_size=3))
def test_the_distance_of_a_vote_is_a_valid_p_value(counts: list[int]) -> None:
    """Among n + 1 exchangeable votes, at most k of them have a p-value of k / (n + 1) or less."""
    everybody = np.array(counts, dtype=float)
    total = int(everybody.sum())
    values = []
    for score in [score for score in range(3) if counts[score]]:
        others = everybody.copy()
        others[score] -= 1
        values += [distance_p(others, score)] * counts[score]
    for k in range(1, total + 1):
        assert sum(value <= k / total + 1e-9 for value in values) <= k


def test_honest_voters_are_left_alone() -> None:
    found = suspicions(pl.DataFrame(crowd()), 0.001)
    assert len(found) == 30
    assert [one for one in found if one.why] == []


def test_who_always_takes_a_side_is_flagged() -> None:
    chance = random.Random(1)
    lazy = [{**row, "winner": "model_a"} for row in honest("lazy", 16, chance)]
    few = [{**row, "winner": "model_a"} for row in honest("few", 8, chance)]
    reasons, flagged = left_out(pl.DataFrame(crowd() + lazy + few), Rules())
    assert [one.voter for one in flagged] == ["lazy"]
    assert flagged[0].why == "16 of 16 choices are for the left"
    assert flagged[0].side == pytest.approx(2 * 3 * 2 / 2**16)
    assert reasons.to_list().count("flagged") == 16
    assert left_out(pl.DataFrame(crowd() + lazy), Rules(alpha=0))[1] == []


def test_who_votes_against_everybody_is_flagged() -> None:
    chance = random.Random(2)
    contrary = [{**row, "winner": SWAP[str(row["winner"])]} for row in honest("contrary", 64, chance)]
    _, flagged = left_out(pl.DataFrame(crowd() + contrary), Rules())
    assert [one.voter for one in flagged] == ["contrary"]
    assert "against" in str(flagged[0].why)
    assert flagged[0].side > 0.001


def test_the_same_prompt_again_and_one_voters_share() -> None:
    rows = [vote("v", n, "strong", "weak", "model_a", "same") for n in range(5)]
    rows += [vote("v", n, "strong", "weak", "model_a", None) for n in range(5, 9)]
    rows += [vote("w", n, "weak", "strong", "model_b", "same") for n in range(4)]
    reasons, _ = left_out(table(rows), Rules(alpha=0, least=4, share=0.0))
    by_id = dict(zip([row["id"] for row in rows], reasons, strict=True))
    assert [by_id[f"v-{n:05d}"] for n in range(9)] == [None] * 3 + ["prompt"] * 2 + [None] + ["share"] * 3
    assert [by_id[f"w-{n:05d}"] for n in range(4)] == [None] * 3 + ["prompt"]


@given(st.randoms(use_true_random=False))
def test_order_of_the_rows_changes_nothing(chance: random.Random) -> None:
    rows = crowd()[:300] + [vote("v", n, "strong", "weak", "model_a", str(n % 3)) for n in range(40)]
    first, _ = left_out(table(rows), Rules(least=20))
    shuffled = rows.copy()
    chance.shuffle(shuffled)
    second, _ = left_out(table(shuffled), Rules(least=20))
    ids = [row["id"] for row in shuffled]
    assert dict(zip(ids, second, strict=True)) == dict(zip([row["id"] for row in rows], first, strict=True))


def test_looking_often_costs_no_more_than_alpha() -> None:
    spent = [1 / (k * (k + 1)) for k in range(1, 40)]
    assert math.fsum(spent) < 1
    assert all(before > after for before, after in pairwise(spent))
    flips = np.random.default_rng(3).random((1000, 128)) < 0.5
    flagged = sum(
        any(side_p(row[:size].tolist()) * k * (k + 1) <= 0.05 for k, size in enumerate(looks(128), 1)) for row in flips
    )
    assert flagged / 1000 <= 0.05
