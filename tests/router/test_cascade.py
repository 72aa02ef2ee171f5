"""Votes against closed forms and scikit-learn; cascades against exhaustive search and their laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from homespun.router.cascade import CascadeConfig, fit_cell, judge, next_arm
from homespun.router.posterior import ballots, fit_weights, probability, standing
from homespun.router.thresholds import Thresholds, break_even, clopper_pearson


def votes(num: int = 600, seed: int = 0, skills: tuple[float, ...] = (0.6, 0.7, 0.9)) -> tuple[np.ndarray, np.ndarray]:
    """Codes of independent voters on a coin (1 or 2) and their scores."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(1, 3, num)
    right = rng.random((num, len(skills))) < np.array(skills)
    return np.where(right, gold[:, None], 3 - gold[:, None]), right.astype(float)


def test_vote_weights_equal_scikit_learn() -> None:
    codes, scores = votes()
    candidates = ballots(codes, np.zeros(len(codes)))
    right = scores[candidates.prompt, candidates.arm]
    mine = fit_weights(candidates.features, right, ridge=2.0)
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=5000).fit(candidates.features[:, 1:], right)
    p = theirs.predict_proba(candidates.features[:, 1:])[:, 1]
    assert np.abs(probability(candidates.features, mine) - p).max() < 5e-3


def test_posterior_of_independent_voters_is_bayes() -> None:
    """Log-odds of independent voters add: the fitted probability meets the closed form."""
    skills = (0.6, 0.7, 0.9)
    codes, scores = votes(20000, skills=skills)
    candidates = ballots(codes, np.zeros(len(codes)))
    p = probability(candidates.features, fit_weights(candidates.features, scores[candidates.prompt, candidates.arm]))
    logit = np.log(np.array(skills) / (1 - np.array(skills)))
    answer = codes[candidates.prompt, candidates.arm]
    support = np.where(codes[candidates.prompt] == answer[:, None], 1.0, -1.0)
    bayes = 1 / (1 + np.exp(-(support @ logit)))
    assert np.abs(p - bayes).max() < 0.04


def test_the_strongest_voter_wins_against_two_weak_ones() -> None:
    codes, scores = votes(20000, skills=(0.55, 0.55, 0.95))
    candidates = ballots(codes, np.zeros(len(codes)))
    weights = fit_weights(candidates.features, scores[candidates.prompt, candidates.arm])
    split = np.array([[1, 1, 2]])
    found = ballots(split, np.zeros(1))
    assert standing(split, found, probability(found.features, weights)).leader.tolist() == [2]


@given(st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=8), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_an_unreadable_answer_never_leads_and_labels_do_not_matter(rows: list[list[int]], seed: int) -> None:
    codes = np.array(rows)
    weights = np.random.default_rng(seed).normal(size=11)
    found = ballots(codes, np.zeros(len(codes)))
    vote = standing(codes, found, probability(found.features, weights))
    readable = codes.max(axis=1) > 0
    assert ((vote.leader >= 0) == readable).all()
    chosen = codes[np.arange(len(codes)), np.maximum(vote.leader, 0)]
    assert (chosen[readable] > 0).all()
    renamed = np.where(codes > 2, 7 - codes + 10, codes)
    again = ballots(renamed, np.zeros(len(codes)))
    assert (standing(renamed, again, probability(again.features, weights)).leader == vote.leader).all()


def cell(mu: float):
    codes, scores = votes(600, skills=(0.7, 0.7, 0.95))
    cost = np.array([0.05, 0.05, 1.0])
    fitted = fit_cell(codes, scores, cost, np.zeros(len(codes)), config=CascadeConfig(pool=3, depth=3))
    return codes, scores, cost, fitted.plan(mu)


def follow(codes, scores, cost, plan) -> tuple[float, float]:
    """Mean score and cost of a plan, prompt by prompt."""
    total, spent = [], []
    for row in range(0, len(codes), 2):
        paid: tuple[int, ...] = ()
        while True:
            given_codes = codes[row : row + 1, list(paid)]
            vote = judge(plan[paid], given_codes, np.zeros(1)) if paid else None
            arm = int(next_arm(plan[paid], vote, given_codes, np.zeros(1))[0][0])
            if arm < 0:
                break
            paid = tuple(sorted((*paid, arm)))
        total.append(scores[row, paid[int(vote.leader[0])]])
        spent.append(cost[list(paid)].sum())
    return float(np.mean(total)), float(np.mean(spent))


def test_free_money_buys_the_best_and_dear_money_the_cheapest() -> None:
    codes, scores, cost, plan = cell(0.0)
    score, _ = follow(codes, scores, cost, plan)
    assert score >= scores[::2, 2].mean() - 0.01
    codes, scores, cost, plan = cell(50.0)
    _, spent = follow(codes, scores, cost, plan)
    assert spent == pytest.approx(0.05)


def test_two_cheap_arms_are_asked_to_see_whether_they_agree() -> None:
    """Neither of two equal voters can overrule the other: only looking two steps ahead makes both worth asking."""
    codes, scores, cost, plan = cell(0.2)
    score, spent = follow(codes, scores, cost, plan)
    assert (0, 1) in plan
    assert score > scores[:, 0].mean() + 0.1
    assert spent < 0.75


def test_utility_never_falls_below_the_best_single_arm() -> None:
    for mu in (0.0, 0.05, 0.2, 0.5, 1.0):
        codes, scores, cost, plan = cell(mu)
        score, spent = follow(codes, scores, cost, plan)
        assert score - mu * spent >= max(scores[::2].mean(axis=0) - mu * cost) - 0.02


def test_thresholds_meet_exhaustive_search() -> None:
    codes, scores = votes(400, skills=(0.7, 0.95))
    cost = np.array([0.1, 1.0])
    thresholds = Thresholds(codes, scores, cost)
    for mu in (0.0, 0.1, 0.3):
        best = max(thresholds.choose(mu).utility, -1)
        alone = max(scores.mean(axis=0) - mu * cost)
        assert best >= alone - 0.03  # a lone arm's answer is one of the sequences


@given(st.integers(1, 60), st.data())
@settings(max_examples=40, deadline=None)
def test_clopper_pearson_equals_scipy(total: int, data) -> None:
    right = data.draw(st.integers(0, total))
    theirs = binomtest(right, total, alternative="greater").proportion_ci(0.95, method="exact").low
    assert clopper_pearson(right, total) == pytest.approx(theirs, abs=1e-9)


def test_break_even_worked_example() -> None:
    assert break_even(1.0, 10.0, 0.3) == pytest.approx(0.6)
    assert break_even(1.0, 10.0, 0.3, judge=0.5) == pytest.approx(0.55)
    assert break_even(9.0, 10.0, 0.5) < 0
