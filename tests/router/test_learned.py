import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.neighbors import KNeighborsRegressor

from homespun.errors import ConfigError, DataError
from homespun.router import boosting, factorisation
from homespun.router.boosting import Boosting
from homespun.router.cost_predictor import CostPredictor
from homespun.router.factorisation import Factorisation
from homespun.router.features import FeatureConfig
from homespun.router.learned import LearnedConfig, Predictor
from homespun.router.regressors import Linear, Neighbours, Ridge

RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=(120, 6))
TRUE = np.array([[0.15, -0.1], [0.0, 0.2], [0.05, 0.0], [0, 0], [0, 0], [0.1, 0.1]])
Y = np.clip(0.5 + Z @ TRUE + RANDOM.normal(size=(120, 2)) * 0.1, 0, 1)
W = RANDOM.uniform(0.5, 2.0, 120)
HOLES = np.where(RANDOM.random((120, 2)) < 0.3, np.nan, Y)
ONES = np.ones(120)


@pytest.mark.parametrize("scores", [Y, HOLES])
def test_ridge_is_scikit_learn_s(scores):
    ours = Ridge(2.5).fit(Z, scores, W)
    for arm in range(2):
        known = ~np.isnan(scores[:, arm])
        theirs = SklearnRidge(alpha=2.5).fit(Z[known], scores[known, arm], sample_weight=W[known])
        assert np.allclose(ours.coefficients_DK[:, arm], theirs.coef_, atol=1e-9)
        assert ours.intercept_K[arm] == pytest.approx(theirs.intercept_)


def test_penalty_is_the_best_by_leaving_out_one_by_one():
    def left_out(penalty):
        rows = np.arange(30)
        rest = [np.delete(rows, i) for i in rows]
        misses = [Y[i] - Ridge(penalty).fit(Z[rest[i]], Y[rest[i]], ONES[:29]).predict(Z[[i]])[0] for i in rows]
        return float(np.square(misses).sum())

    chosen = Ridge().fit(Z[:30], Y[:30], ONES[:30]).penalty
    assert left_out(chosen) <= min(left_out(chosen * 2.2), left_out(chosen / 2.2)) + 1e-9


def test_deviation_is_the_gaussian_process_posterior():
    """Ridge with penalty λ and noise σ is a Gaussian process with kernel σ²/λ·zᵀz."""
    centred = Z - Z.mean(axis=0)
    ours = Ridge(3.0).fit(centred, Y, ONES)
    noise = float(ours.spread_K[0] ** 2)
    kernel = (noise / 3.0) * DotProduct(sigma_0=0.0, sigma_0_bounds="fixed")
    theirs = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(centred, Y[:, 0] - Y[:, 0].mean())
    sd = theirs.predict(np.eye(6) * 3, return_std=True)[1]
    assert np.allclose(ours.deviation(np.eye(6) * 3)[:, 0], sd, rtol=1e-5)


def test_neighbours_are_scikit_learn_s():
    ours = Neighbours(7).fit(Z, Y, ONES)
    theirs = KNeighborsRegressor(7).fit(Z, Y)
    asked = RANDOM.normal(size=(20, 6))
    assert np.allclose(ours.predict(asked), theirs.predict(asked), atol=1e-6)


def test_neighbours_without_a_score_do_not_count():
    scores = np.array([[np.nan], [1.0], [0.0], [0.0]])
    near = Neighbours(2).fit(np.array([[0.0], [1.0], [2.0], [9.0]]), scores, np.ones(4))
    assert near.predict(np.array([[0.1]]))[0, 0] == 1.0
    lonely = Neighbours(1).fit(np.array([[0.0], [5.0]]), np.array([[np.nan], [0.25]]), np.ones(2))
    assert lonely.predict(np.array([[0.0]]))[0, 0] == 0.25


def test_boosting_walks_scikit_learn_s_trees():
    ours = Boosting(num_trees=15, num_bags=1).fit(Z, Y, W)
    start = np.average(Y[:, 1], weights=W)
    theirs = GradientBoostingRegressor(
        n_estimators=15,
        max_depth=boosting.DEPTH,
        learning_rate=boosting.RATE,
        subsample=boosting.ROWS,
        max_features=boosting.COLUMNS,
        min_samples_leaf=12,
        random_state=0,
        init="zero",
    ).fit(Z, Y[:, 1] - start, sample_weight=W)
    assert np.allclose(ours.predict(Z)[:, 1], start + theirs.predict(Z), atol=1e-9)


def test_bags_are_averaged():
    alone = [Boosting(num_trees=5, num_bags=1, seed=seed).fit(Z, Y, W).predict(Z) for seed in (0, 1, 2)]
    assert np.allclose(Boosting(num_trees=5, num_bags=3).fit(Z, Y, W).predict(Z), np.mean(alone, axis=0), atol=1e-9)


def test_factorisation_at_full_rank_without_hinge_is_the_ridge():
    ridge = Ridge().fit(Z, HOLES, W)
    factors = Factorisation(num_factors=2, hinge=0.0).fit(Z, HOLES, W)
    assert np.allclose(factors.predict(Z), ridge.predict(Z), atol=1e-4)


def test_gradient_of_the_factorisation():
    start = RANDOM.normal(size=6 * 2 + 2 * 2 + 2) * 0.3
    arguments = (Z[:30], HOLES[:30], W[:30], 1.5, 0.3, 2)
    miss = check_grad(
        lambda flat: factorisation.loss(flat, *arguments)[0],
        lambda flat: factorisation.loss(flat, *arguments)[1],
        start,
    )
    assert miss < 1e-3


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_pairwise_hinge_is_zero_at_the_scores_and_ignores_shifts(seed):
    random = np.random.default_rng(seed)
    scores, said = random.random((4, 3)), random.random((4, 3))
    assert factorisation.pairwise(scores, scores, np.ones(4))[0] == pytest.approx(0)
    value, push = factorisation.pairwise(said, scores, np.ones(4))
    assert factorisation.pairwise(said + 0.3, scores, np.ones(4))[0] == pytest.approx(value)
    assert np.allclose(push.sum(axis=1), 0)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_ridge_does_not_care_for_the_order_of_arms_or_prompts(seed):
    random = np.random.default_rng(seed)
    order = random.permutation(120)
    plain, other = Ridge().fit(Z, HOLES, W), Ridge().fit(Z[order], HOLES[order][:, ::-1], W[order])
    assert np.allclose(plain.predict(Z)[:, ::-1], other.predict(Z), atol=1e-8)


def prompts_and_scores(num=240, seed=0):
    """Easy and hard questions under two arms: the cheap one fails where numbers are large."""
    random = np.random.default_rng(seed)
    hard = random.random(num) < 0.5
    texts = [
        f"What is {random.integers(10**6, 10**7)} divided by {random.integers(100, 999)}? ({i})"
        if is_hard
        else f"Say hi {i}"
        for i, is_hard in enumerate(hard)
    ]
    cheap = np.where(hard, random.random(num) < 0.2, random.random(num) < 0.9)
    dear = random.random(num) < 0.85
    return texts, np.column_stack([cheap, dear]).astype(float), hard


SMALL = FeatureConfig(rank=8, num_words=300)
ALL = ("ridge", "linear", "neighbours", "boosting", "factorisation")


@pytest.fixture(scope="module")
def fitted():
    texts, scores, hard = prompts_and_scores()
    scores[::5, 1] = np.nan
    labels = ["hard" if is_hard else "easy" for is_hard in hard]
    return Predictor(LearnedConfig(kinds=ALL, features=SMALL, num_folds=3)).fit(texts, scores, labels=labels)


def test_prediction_tells_hard_from_easy(fitted):
    texts, _, hard = prompts_and_scores(100, seed=9)
    mean, sd = fitted.predict(texts)
    assert mean[~hard, 0].mean() == pytest.approx(0.9, abs=0.1)
    assert mean[hard, 0].mean() == pytest.approx(0.2, abs=0.1)
    assert mean[:, 1].mean() == pytest.approx(0.85, abs=0.08)
    assert ((mean >= 0) & (mean <= 1)).all()
    assert (sd > 0).all()
    assert fitted.blend_M.sum() == pytest.approx(1)
    assert (fitted.blend_M >= 0).all()


def test_what_is_strange_is_less_certain(fitted):
    usual, strange = fitted.predict(["Say hi 3"]).sd, fitted.predict(["§§ {x == 1}; " * 50 + "????"]).sd
    assert (strange > usual).all()


@pytest.mark.parametrize("kind", ALL)
def test_saved_and_loaded_say_the_same(kind, tmp_path):
    texts, scores, _ = prompts_and_scores(60)
    made = Predictor(LearnedConfig(kinds=(kind,), features=SMALL, num_folds=2)).fit(texts, scores)
    made.save(tmp_path)
    again = Predictor.load(tmp_path)
    assert np.array_equal(again.predict(texts).mean, made.predict(texts).mean)
    assert np.array_equal(again.predict(texts).sd, made.predict(texts).sd)
    assert again.config == made.config


def test_labels_survive_saving(fitted, tmp_path):
    fitted.save(tmp_path)
    assert np.array_equal(Predictor.load(tmp_path).predict(["Say hi 3"]).mean, fitted.predict(["Say hi 3"]).mean)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("predictor.json", b"{"),
        ("predictor.json", b'{"version": 2, "config": {}}'),
        ("predictor.json", b"[]"),
        ("predictor.npz", b"PK\x03\x04 cut"),
        ("predictor.npz", b""),
        ("features.json", b"null"),
        ("features.npz", b"not an archive"),
    ],
)
def test_hostile_folders_are_refused(fitted, tmp_path, name, content):
    fitted.save(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        Predictor.load(tmp_path)
    assert "\n" not in str(error.value)


def test_parts_of_two_predictors_do_not_mix(fitted, tmp_path):
    texts, scores, _ = prompts_and_scores(60)
    fitted.save(tmp_path)
    other = Predictor(LearnedConfig(kinds=("ridge",), features=FeatureConfig(rank=3))).fit(texts, scores)
    other.save(tmp_path / "other")
    (tmp_path / "features.npz").write_bytes((tmp_path / "other" / "features.npz").read_bytes())
    (tmp_path / "features.json").write_bytes((tmp_path / "other" / "features.json").read_bytes())
    with pytest.raises(DataError):
        Predictor.load(tmp_path)


def test_a_forged_config_is_refused(fitted, tmp_path):
    fitted.save(tmp_path)
    content = json.loads((tmp_path / "predictor.json").read_text())
    content["config"]["kinds"] = ["oracle"]
    (tmp_path / "predictor.json").write_text(json.dumps(content))
    with pytest.raises((DataError, ConfigError)):
        Predictor.load(tmp_path)


@pytest.mark.parametrize(
    ("scores", "weights", "message"),
    [
        (np.zeros((2, 1)), None, "1 prompts"),
        (np.array([[np.nan]]), None, "no score at all"),
        (np.array([[2.0]]), None, "outside 0–1"),
        (np.array([[1.0]]), [0.0], "not above zero"),
        (np.zeros((0, 1)), None, "1 prompts"),
    ],
)
def test_scores_that_cannot_be_learned_from(scores, weights, message):
    with pytest.raises(DataError, match=message):
        Predictor().fit(["a prompt"], scores, weights)


def test_calibration_makes_means_true():
    """Over 200 labels (isotonic) and below (Platt), mean prediction equals mean score on new prompts."""
    for num, tolerance in ((600, 0.1), (120, 0.12)):
        texts, scores, _ = prompts_and_scores(num)
        made = Predictor(LearnedConfig(features=SMALL)).fit(texts, scores)
        fresh, truth, hard = prompts_and_scores(400, seed=5)
        for rows in (hard, ~hard):
            assert made.predict(fresh).mean[rows].mean(axis=0) == pytest.approx(truth[rows].mean(axis=0), abs=tolerance)


def test_linear_on_no_terms_is_the_mean():
    made = Linear().fit(np.zeros((3, 0)), np.array([[1.0], [0.0], [np.nan]]), np.ones(3))
    assert made.predict(np.zeros((1, 0)))[0, 0] == 0.5


def test_cost_grows_with_length_and_keeps_its_mean(tmp_path):
    random = np.random.default_rng(0)
    length = random.integers(5, 400, 300)
    texts = ["word " * int(num) for num in length]
    dollars = np.column_stack([0.001 * length, 0.03 * length]) * random.lognormal(0, 0.2, (300, 2))
    dollars[::4, 0] = np.nan
    made = CostPredictor().fit(texts, dollars)
    said = made.predict(texts)
    assert said.mean(axis=0) == pytest.approx(np.nanmean(dollars, axis=0), rel=0.1)
    short, long = made.predict(["word " * 10, "word " * 300])
    assert (long > 10 * short).all()
    made.save(tmp_path)
    assert np.array_equal(CostPredictor.load(tmp_path).predict(texts), said)
    (tmp_path / "cost.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="not a saved cost predictor"):
        CostPredictor.load(tmp_path)


def test_cost_of_a_free_arm_stays_free_and_nothing_runs_away():
    made = CostPredictor().fit(["a", "b b", "c c c"], np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]))
    said = made.predict(["x " * 10**5])
    assert said[0, 0] == 0
    assert said[0, 1] <= 6
    with pytest.raises(DataError, match="below zero"):
        CostPredictor().fit(["a"], [[-1.0]])
