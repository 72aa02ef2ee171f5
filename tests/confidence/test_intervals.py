"""Bootstrap intervals: values of the plain scores, a naive bootstrap as reference, pairing, clusters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.confidence.intervals import intervals
from homespun.confidence.scores import auroc, base_rate_brier, brier, brier_skill, ece
from homespun.errors import DataError


def drawn(seed: int, n: int = 300) -> tuple[dict[str, np.ndarray], np.ndarray]:
    generator = np.random.default_rng(seed)
    first = generator.integers(0, 6, n) / 5
    second = np.clip(first + generator.integers(-1, 2, n) / 5, 0, 1)
    return {"first": first, "second": second}, (generator.random(n) < 0.2 + 0.6 * first).astype(float)


@given(st.integers(0, 1000), st.sampled_from([5, 10, 15]))
@settings(max_examples=15)
def test_values_are_the_plain_scores_and_lie_inside(seed, bins):
    measures, correct = drawn(seed)
    found = intervals(measures, correct, bins=bins, num_resamples=200)
    for name, confidence in measures.items():
        plain = {
            "brier": brier(confidence, correct),
            "ece": ece(confidence, correct, bins),
            "auroc": auroc(confidence, correct),
            "skill": brier_skill(confidence, correct),
            "brier_base": base_rate_brier(correct),
        }
        assert set(found[name]) == set(plain)
        for score, value in plain.items():
            assert found[name][score].value == pytest.approx(value, abs=1e-12)
        for score in ("brier", "auroc", "skill"):
            assert found[name][score].low <= plain[score] <= found[name][score].high
    difference = found["first-second"]["brier"].value
    assert difference == pytest.approx(brier(measures["first"], correct) - brier(measures["second"], correct))


def test_intervals_equal_those_of_drawing_rows_one_by_one():
    measures, correct = drawn(3)
    generator = np.random.default_rng(9)
    rows = generator.integers(0, 300, size=(4000, 300))
    found = intervals(measures, correct, num_resamples=4000)["first"]
    confidence = measures["first"]
    naive = {
        "brier": [brier(confidence[row], correct[row]) for row in rows[:2000]],
        "ece": [ece(confidence[row], correct[row]) for row in rows[:2000]],
        "auroc": [auroc(confidence[row], correct[row]) for row in rows[:2000]],
    }
    for score, values in naive.items():
        low, high = np.quantile(values, [0.025, 0.975])
        assert found[score].low == pytest.approx(low, abs=0.06 * (high - low) + 1e-4)
        assert found[score].high == pytest.approx(high, abs=0.06 * (high - low) + 1e-4)


def test_interval_of_a_mean_loss_has_the_width_of_theory():
    measures, correct = drawn(4, n=2000)
    loss = (measures["first"] - correct) ** 2
    found = intervals(measures, correct)["first"]["brier"]
    assert found.high - found.low == pytest.approx(2 * 1.96 * loss.std() / np.sqrt(2000), rel=0.08)


def test_pairing_makes_the_difference_sharper_than_the_two_intervals():
    measures, correct = drawn(5)
    found = intervals(measures, correct)
    paired = found["first-second"]["brier"]
    unpaired = np.hypot(*(found[name]["brier"].high - found[name]["brier"].low for name in measures))
    assert paired.high - paired.low < 0.8 * unpaired
    same = intervals({"a": measures["first"], "b": measures["first"]}, correct)["a-b"]["brier"]
    assert same == (0, 0, 0)


def test_copies_of_a_problem_add_no_certainty():
    measures, correct = drawn(6)
    once = intervals(measures, correct)["first"]["brier"]
    many = {name: np.repeat(values, 4) for name, values in measures.items()}
    problems = np.repeat(np.arange(300), 4)
    kept = intervals(many, np.repeat(correct, 4), problems=problems)["first"]["brier"]
    naive = intervals(many, np.repeat(correct, 4))["first"]["brier"]
    assert kept.high - kept.low == pytest.approx(once.high - once.low, rel=0.06)
    assert naive.high - naive.low == pytest.approx((once.high - once.low) / 2, rel=0.06)


def test_a_seed_repeats_and_another_differs():
    measures, correct = drawn(7)
    assert intervals(measures, correct, seed=3) == intervals(measures, correct, seed=3)
    assert intervals(measures, correct, seed=3) != intervals(measures, correct, seed=4)


def test_one_kind_of_outcome_has_no_auroc_and_no_skill():
    found = intervals({"first": [0.2, 0.8]}, [1, 1])["first"]
    assert np.isnan(found["auroc"].value)
    assert np.isnan(found["skill"].low)
    assert found["brier"].value == pytest.approx((0.64 + 0.04) / 2)


def test_bad_input_is_refused():
    with pytest.raises(DataError):
        intervals({"first": [0.2, 1.2]}, [0, 1])
