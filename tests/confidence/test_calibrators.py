"""Maps from consistency to probability: recovery, references, refusals, round trips, folds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from homespun.confidence.calibrators import Calibrator, Key, cross_fit, fit, fit_groups, fold_numbers
from homespun.confidence.maps import CONFIGS, Beta, Histogram, Identity, Isotonic, Platt, Temperature
from homespun.confidence.scores import brier, ece
from homespun.errors import ConfigError, DataError

KEY = Key(measure="agreement", n=20, model="m", task="t")
FITTED = [config for config in CONFIGS.values() if config.kind != "identity"]


def drawn(n: int, seed: int = 0, slope: float = 0.5, shift: float = -0.4) -> tuple[np.ndarray, np.ndarray]:
    """Scores k/20 whose true probability is expit(slope · logit + shift)."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(1, 20, size=n) / 20
    return scores, (generator.random(n) < expit(slope * logit(scores) + shift)).astype(float)


def test_consistency_of_a_model_with_known_shares_is_calibrated_by_every_map():
    """N = 20,000 questions; the model picks the right answer with a share p of its own, 20 samples each."""
    generator = np.random.default_rng(11)
    share = generator.beta(1.2, 1.0, size=20_000)
    hits = generator.binomial(20, share)
    agreement = np.maximum(hits, 20 - hits) / 20  # one wrong answer: the majority is right when hits lead
    right = np.where(hits == 10, generator.random(20_000) < 0.5, hits > 10).astype(float)
    train, test = np.arange(20_000) % 2 == 0, np.arange(20_000) % 2 == 1
    assert ece(agreement[test], right[test]) > 0.1
    for config in FITTED:
        made = fit(config, KEY, agreement[train], right[train])
        mapped = made.predict(agreement[test], 20)
        assert ece(mapped, right[test]) < 0.02
        assert brier(mapped, right[test]) < brier(agreement[test], right[test])


@pytest.mark.parametrize("config", [config for config in FITTED if config.kind != "temperature"], ids=lambda c: c.kind)
def test_a_distorted_score_is_recovered(config):
    scores, right = drawn(20_000)
    fresh, truth = drawn(20_000, seed=1)
    assert ece(fresh, truth) > 0.08
    assert ece(fit(config, KEY, scores, right).predict(fresh, 20), truth) < 0.02


def test_temperature_recovers_its_number_and_platt_its_two():
    scores, right = drawn(40_000, slope=0.5, shift=0.0)
    assert fit(Temperature(), KEY, scores, right).parameters[0] == pytest.approx(2.0, rel=0.05)
    scores, right = drawn(40_000)
    assert fit(Platt(), KEY, scores, right).parameters == pytest.approx((0.5, -0.4), abs=0.04)


def test_platt_and_beta_equal_logistic_regression_on_their_features():
    scores, right = drawn(3000, seed=2)
    features = {"platt": logit(scores)[:, None], "beta": np.column_stack([np.log(scores), -np.log1p(-scores)])}
    for config in (Platt(), Beta()):
        made = fit(config, KEY, scores, right)
        oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(features[config.kind], right)
        expected = oracle.predict_proba(features[config.kind])[:, 1]
        assert made.predict(scores, 20) == pytest.approx(expected, abs=2e-3)  # they differ by Platt's targets


def test_isotonic_equals_scikit_learn_and_histogram_its_bin_means():
    scores, right = drawn(1000, seed=3)
    oracle = IsotonicRegression(y_min=0, y_max=1).fit(scores, right).predict(scores)
    assert fit(Isotonic(), KEY, scores, right).predict(scores, 20) == pytest.approx(oracle, abs=1e-6)
    made = fit(Histogram(prior=0.0001), KEY, scores, right)
    assert made.predict([0.35], 20)[0] == pytest.approx(right[(scores > 0.3) & (scores <= 0.4)].mean(), abs=1e-4)


@given(st.integers(0, 10_000), st.sampled_from(["platt", "temperature", "isotonic", "beta", "histogram"]))
@settings(max_examples=25)
def test_maps_stay_in_range_and_survive_json(seed, kind):
    scores, right = drawn(250, seed=seed, slope=2.0, shift=0.5)
    made = fit(CONFIGS[kind], KEY, scores, right)
    again = Calibrator.model_validate_json(made.model_dump_json())
    grid = np.linspace(0, 1, 41)
    values = made.predict(grid, 20)
    assert again == made
    assert (again.predict(grid, 20) == values).all()
    assert ((values >= 0) & (values <= 1)).all()
    if kind not in ("histogram", "platt"):
        assert (np.diff(values) >= -1e-12).all()


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_one_kind_of_outcome_gives_finite_maps(right):
    scores, _ = drawn(300)
    for config in FITTED:
        values = fit(config, KEY, scores, np.full(300, right)).predict(scores, 20)
        assert np.isfinite(values).all()


def test_a_map_of_twenty_samples_refuses_five():
    made = fit(Platt(), KEY, *drawn(500))
    with pytest.raises(ConfigError, match="fitted at n = 20, asked for n = 5"):
        made.predict([0.6], 5)


@pytest.mark.parametrize(
    ("config", "fewest"), [(config, 200 if config.kind == "isotonic" else 100) for config in FITTED]
)
def test_too_few_items_are_refused_at_the_stated_size(config, fewest):
    scores, right = drawn(fewest)
    assert fit(config, KEY, scores, right).num_fitted == fewest
    with pytest.raises(DataError, match="too few"):
        fit(config, KEY, scores[:-1], right[:-1])


def test_identity_is_never_called_fitted():
    made = fit(Identity(), KEY, *drawn(10))
    assert not made.fitted
    assert made.predict([0.3], 20).tolist() == [0.3]


def test_small_groups_back_off_to_their_parents_and_say_so():
    other_task, other_model = KEY.model_copy(update={"task": "u"}), KEY.model_copy(update={"model": "l", "task": "u"})
    lonely = KEY.model_copy(update={"n": 5})
    keys = [KEY] * 150 + [other_task] * 50 + [other_model] * 30 + [lonely] * 20
    made = fit_groups(Platt(), keys, *drawn(250))
    assert (made[KEY].num_fitted, made[KEY].note) == (150, "")
    assert made[other_task].num_fitted == 200
    assert "fitted on m, all tasks, n = 20" in made[other_task].note
    assert made[other_model].num_fitted == 230
    assert "all models, all tasks" in made[other_model].note
    assert not made[lonely].fitted
    assert "not a probability" in made[lonely].note


def test_folds_keep_problems_together_and_are_even():
    problems = np.repeat(np.arange(53), 3)
    part = fold_numbers(problems, folds=5, seed=2)
    assert all(len(set(part[problems == number])) == 1 for number in range(53))
    sizes = np.bincount(part[::3])
    assert sizes.max() - sizes.min() <= 1
    with pytest.raises(DataError, match="folds"):
        fold_numbers([1, 1, 2], folds=5)


def test_cross_fitting_never_sees_the_problem_itself():
    scores, right = drawn(600)
    problems = np.arange(600) // 2
    before = cross_fit(Platt(), KEY, scores, right, problems, seed=4)
    part = fold_numbers(problems, seed=4)
    flipped = np.where(part == 3, 1 - right, right)
    after = cross_fit(Platt(), KEY, scores, flipped, problems, seed=4)
    assert before[part == 3] == pytest.approx(after[part == 3], abs=1e-12)
    assert np.abs(before[part != 3] - after[part != 3]).max() > 1e-3


def test_cross_fitted_maps_are_calibrated_out_of_fold():
    scores, right = drawn(5000)
    for config in (Platt(), Beta(), Isotonic(), replace(Histogram(), bins=20)):
        assert ece(cross_fit(config, KEY, scores, right, np.arange(5000)), right) < 0.03 < ece(scores, right)
