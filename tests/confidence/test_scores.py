"""Scores against closed forms, scikit-learn, netcal and uncertainty-calibration, and against their laws."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from homespun.confidence.scores import (
    ace,
    aurc,
    auroc,
    base_rate_brier,
    bin_numbers,
    brier,
    brier_skill,
    ece,
    murphy,
    reliability,
    risk_coverage,
)
from homespun.errors import ConfigError, DataError

PAIRS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60).map(
    lambda rows: (np.array([k for k, _ in rows]) / 20, np.array([float(right) for _, right in rows]))
)


def drawn(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    confidence = generator.random(n)
    return confidence, (generator.random(n) < confidence**2).astype(float)


@pytest.mark.parametrize("bins", [1, 5, 10, 40])
def test_edges_belong_to_the_bin_below_and_zero_to_the_first(bins):
    edges = np.arange(bins + 1) / bins
    assert bin_numbers(edges, bins).tolist() == [0, *range(bins)]
    assert bin_numbers(np.nextafter(edges[:-1], 1), bins).tolist() == list(range(bins))


def test_every_share_of_votes_falls_where_exact_arithmetic_says():
    for n in range(1, 41):
        k = np.arange(n + 1)
        exact = np.maximum(-(-k * 10 // n), 1) - 1
        assert bin_numbers(k / n, 10).tolist() == exact.tolist()


def test_worked_example():
    confidence, correct = [0.0, 0.1, 0.15, 0.9, 1.0, 1.0], [0, 1, 0, 1, 1, 0]
    assert brier(confidence, correct) == pytest.approx((0.81 + 0.0225 + 0.01 + 0 + 1) / 6)
    # bins: {0, .1}: |.1 - 1|; {.15}: |.15 - 0|; {.9}: |.9 - 1|; {1, 1}: |2 - 1|
    assert ece(confidence, correct, 10) == pytest.approx((0.9 + 0.15 + 0.1 + 1.0) / 6)
    assert auroc(confidence, correct) == pytest.approx((1 + 2 + 2.5) / 9)
    curve = reliability(confidence, correct, 10)
    assert curve["n"].to_list() == [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]
    assert curve["accuracy"].to_list() == [0.5, 0.0, None, None, None, None, None, None, 1.0, 0.5]


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_scikit_learn(seed):
    confidence, correct = drawn(seed)
    rough = np.round(confidence, 1)
    assert brier(confidence, correct) == pytest.approx(brier_score_loss(correct, confidence), abs=1e-12)
    assert auroc(rough, correct) == pytest.approx(roc_auc_score(correct, rough), abs=1e-12)


def on_edges(seed: int, bins: int) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = drawn(seed)
    edges = np.arange(bins + 1) / bins
    return np.append(confidence, edges), np.append(correct, np.arange(bins + 1) % 2)


@pytest.mark.parametrize("bins", [10, 15, 20])
def test_ece_equals_uncertainty_calibration_with_zero_one_and_edges(bins):
    from calibration import get_ece

    for seed in range(3):
        confidence, correct = on_edges(seed, bins)
        oracle = get_ece(confidence, correct.astype(int), num_bins=bins, mode="marginal")
        assert ece(confidence, correct, bins) == pytest.approx(oracle, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("bins", [10, 15, 20])
def test_ece_equals_netcal(bins):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from netcal.metrics import ECE

        for seed in range(3):
            confidence, correct = drawn(seed)  # off the edges: there netcal's bins are closed on the left
            assert ece(confidence, correct, bins) == pytest.approx(ECE(bins).measure(confidence, correct), abs=1e-10)


def test_ace_of_equal_mass_bins():
    confidence, correct = [0.1, 0.2, 0.3, 0.9, 0.95, 1.0], [0, 0, 1, 1, 1, 1]
    assert ace(confidence, correct, 2) == pytest.approx((abs(0.2 - 1 / 3) + abs(0.95 - 1)) / 2)
    assert ace(confidence, correct, 6) == pytest.approx(np.mean([0.1, 0.2, 0.7, 0.1, 0.05, 0.0]))


@given(PAIRS)
def test_one_bin_is_the_gap_of_the_means(pair):
    confidence, correct = pair
    gap = abs(confidence.mean() - correct.mean())
    assert ece(confidence, correct, 1) == pytest.approx(gap, abs=1e-12)
    assert ace(confidence, correct, 1) == pytest.approx(gap, abs=1e-12)
    assert ece(confidence, correct, 10) >= gap - 1e-12


@given(PAIRS)
def test_murphys_parts_add_up_to_brier(pair):
    parts = murphy(*pair)
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(brier(*pair), abs=1e-12)
    assert parts.uncertainty == pytest.approx(base_rate_brier(pair[1]), abs=1e-12)
    assert min(parts) >= 0


@given(PAIRS)
def test_auroc_turns_around_and_ignores_monotone_maps(pair):
    confidence, correct = pair
    if correct.min() == correct.max():
        assert np.isnan(auroc(confidence, correct))
        return
    assert auroc(1 - confidence, correct) == pytest.approx(1 - auroc(confidence, correct), abs=1e-12)
    assert auroc(confidence**3, correct) == pytest.approx(auroc(confidence, correct), abs=1e-12)


@given(PAIRS)
def test_brier_of_truth_is_zero_and_the_base_rate_has_no_skill(pair):
    _, correct = pair
    assert brier(correct, correct) == ece(correct, correct) == 0
    constant = np.full(len(correct), correct.mean())
    assert ece(constant, correct) == pytest.approx(0, abs=1e-12)
    if 0 < correct.mean() < 1:
        assert brier_skill(constant, correct) == pytest.approx(0, abs=1e-12)
        assert brier_skill(correct, correct) == 1
    else:
        assert np.isnan(brier_skill(constant, correct))


@given(PAIRS)
def test_risk_ends_at_the_error_rate_and_aurc_lies_within(pair):
    curve = risk_coverage(*pair)
    error = 1 - pair[1].mean()
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == pytest.approx(error, abs=1e-12)
    assert (np.diff(curve.coverage) > 0).all()
    assert curve.risk.min() - 1e-12 <= aurc(*pair) <= max(curve.risk.max(), error) + 1e-12
    assert aurc(np.zeros(len(pair[1])), pair[1]) == pytest.approx(error, abs=1e-12)


def test_aurc_without_ties_is_the_mean_of_running_error():
    confidence, correct = [0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]
    assert aurc(confidence, correct) == pytest.approx(np.mean([0, 1 / 2, 1 / 3, 2 / 4]))
    assert risk_coverage(confidence, correct).risk == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])


@given(PAIRS, st.integers(1, 20))
def test_the_reliability_curve_adds_up_to_ece(pair, bins):
    curve = reliability(*pair, bins).drop_nulls()
    gaps = (curve["accuracy"] - curve["confidence"]).abs() * curve["n"]
    assert curve["n"].sum() == len(pair[0])
    assert gaps.sum() / len(pair[0]) == pytest.approx(ece(*pair, bins), abs=1e-12)


@pytest.mark.parametrize(
    ("confidence", "correct"),
    [([], []), ([0.5], [0, 1]), ([1.5], [1]), ([float("nan")], [1]), ([0.5], [0.5]), ([[0.5]], [[1]])],
)
def test_bad_input_is_refused(confidence, correct):
    for score in (brier, ece, auroc, murphy, risk_coverage):
        with pytest.raises(DataError):
            score(confidence, correct)


def test_bins_must_make_sense():
    with pytest.raises(ConfigError):
        ece([0.5], [1], 0)
    with pytest.raises(ConfigError):
        ace([0.5], [1], 2)
