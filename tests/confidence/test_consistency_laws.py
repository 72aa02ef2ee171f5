"""Laws of the measures in strict mode, and the batch form against the scalar one."""

from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.confidence.consistency import MEASURES, agreement, entropy, fsd, score_groups, votes

ANSWERS = st.lists(st.sampled_from(["1", "2", "3", "yes", None]), min_size=1, max_size=25)
BY_NAME = {"agreement": agreement, "entropy": entropy, "fsd": fsd}


@given(ANSWERS, st.randoms(use_true_random=False))
def test_order_of_samples_does_not_matter(answers, random):
    shuffled = list(answers)
    random.shuffle(shuffled)
    for measure in BY_NAME.values():
        assert measure(votes(shuffled)) == pytest.approx(measure(votes(answers)), abs=1e-12)


@given(ANSWERS)
def test_range_and_agreement_is_at_least_fsd(answers):
    tally = votes(answers)
    assert all(0 <= measure(tally) <= 1 for measure in BY_NAME.values())
    assert agreement(tally) >= fsd(tally)


@given(st.integers(1, 40))
def test_unanimous_is_one(n):
    assert [measure(votes(["x"] * n)) for measure in BY_NAME.values()] == [1, 1, 1]


@given(ANSWERS)
def test_merging_two_labels_never_lowers_agreement(answers):
    merged = ["1" if answer == "2" else answer for answer in answers]
    assert agreement(votes(merged)) >= agreement(votes(answers))


@given(ANSWERS.filter(lambda answers: any(answers)))
def test_a_failed_extraction_lowers_every_measure_or_leaves_zero(answers):
    before, after = votes(answers), votes([*answers, None])
    for measure in BY_NAME.values():
        assert measure(after) < measure(before) or measure(before) == 0


@pytest.mark.parametrize("mode", ["strict", "paper"])
def test_batch_equals_scalar_on_many_groups(mode):
    random = Random(3)
    groups = [[random.choice(["1", "2", "3", None]) for _ in range(random.randint(1, 9))] for _ in range(400)]
    rows = [(number % 2, number, answer) for number, group in enumerate(groups) for answer in group]
    frame = pl.DataFrame(rows, schema={"side": pl.Int64, "id": pl.Int64, "answer": pl.String}, orient="row")
    found = {row["id"]: row for row in score_groups(frame, ["side", "id"], mode=mode).to_dicts()}
    for number, group in enumerate(groups):
        tally, row = votes(group), found[number]
        assert (row["n"], row["n_invalid"], row["n_distinct"]) == (tally.n, tally.invalid, len(tally.counts))
        assert row["answer"] == tally.answer
        for name in MEASURES:
            assert row[name] == pytest.approx(BY_NAME[name](tally, mode), abs=1e-12)
