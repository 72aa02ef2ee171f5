"""The plain cascade: cheapest first, accept when confident enough, else ask a dearer arm; at most three tiers.

EMAFusion §5 [X]: thresholds per (cell, tier) are chosen on replay to maximise score - μ·cost, on a grid of 20 quantiles
by coordinate ascent, then checked on an untouched split with a Clopper–Pearson bound on the accuracy of what was
accepted. Break-even rule: a tier that saves less than 5 % of the dearer one's cost is left out. Confidence is that of
`posterior`: at the second and third tier, agreement with what was paid for before counts.

Legend: n prompts, k arms, t tiers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from homespun.router.cascade import cross_fitted
from homespun.router.posterior import ballots, probability, standing
from homespun.router.replay import STOP, Act, Seen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_TIERS = 3
NUM_QUANTILES = 20
MIN_SAVING = 0.05
NUM_CANDIDATES = 6
SWEEPS = 2


class Tiers(NamedTuple):
    """A fitted cascade."""

    arms: tuple[int, ...]
    """By rising cost."""
    thresholds: tuple[float, ...]
    """Confidence at which each tier but the last is accepted."""
    utility: float
    """Mean score - μ·cost on the prompts it was fitted on."""


class PlainCascade(NamedTuple):
    """The fitted threshold cascade at one setting."""

    tiers: Tiers
    weights: list[Floats]


class Bound(NamedTuple):
    """What a tier accepted on a split that it was not fitted on."""

    accepted: int
    right: float
    low: float
    """Clopper–Pearson lower bound of the accuracy among the accepted, one-sided."""


class _Sequence(NamedTuple):
    arms: tuple[int, ...]
    confidence: list[Floats]
    right: list[Floats]
    spent: list[float]


def clopper_pearson(right: float, total: int, *, level: float = 0.95) -> float:
    """One-sided lower confidence bound of a proportion; 0 without trials."""
    return float(beta.ppf(1.0 - level, right, total - right + 1)) if total and right > 0 else 0.0


def break_even(cheap: float, strong: float, escalation: float, judge: float = 0.0) -> float:
    """Share of the strong arm's cost that a two-tier cascade saves: 1 - c_cheap/c_strong - e - c_judge/c_strong."""
    return 1.0 - cheap / strong - escalation - judge / strong


class Thresholds:
    """Everything needed to choose tiers at any price of money, on one set of prompts."""

    def __init__(self, codes: Ints, scores: Floats, cost: Floats, *, seed: int = 0) -> None:
        """Lists the sequences.

        Args:
            codes: (n, k) answer codes.
            scores: (n, k), NaN where never asked.
            cost: (k,) mean dollars over the reference cost.
            seed: Of the folds of the confidences.
        """
        known = np.nan_to_num(scores)
        usable = [j for j in range(codes.shape[1]) if np.isfinite(scores[:, j]).mean() > 0.9]
        arms = _frontier(known.mean(axis=0), cost, usable)
        folds = np.random.default_rng(seed).permutation(len(codes)) % 5
        blank = np.zeros(len(codes))
        self._votes = {
            paid: cross_fitted(codes, known, blank, paid, folds)
            for size in range(1, MAX_TIERS + 1)
            for paid in combinations(sorted(arms), size)
        }
        self._known, self._cost = known, cost
        ordered = sorted(arms, key=lambda arm: (cost[arm], arm))
        self._sequences = [
            self._sequence(tiers) for size in range(1, MAX_TIERS + 1) for tiers in combinations(ordered, size)
        ]

    def choose(self, mu: float) -> Tiers:
        """The best tiers and thresholds at this price of money."""
        fitted = [_ascend(sequence, mu) for sequence in self._sequences]
        return max(fitted, key=lambda tiers: (tiers.utility, -len(tiers.arms)))

    def weights(self, tiers: Tiers) -> list[Floats]:
        """Vote weights after each tier."""
        return [self._votes[tuple(sorted(tiers.arms[: i + 1]))][0] for i in range(len(tiers.arms))]

    def _sequence(self, tiers: tuple[int, ...]) -> _Sequence:
        confidence: list[Floats] = []
        right: list[Floats] = []
        for i in range(len(tiers)):
            paid = tuple(sorted(tiers[: i + 1]))
            vote = self._votes[paid][1]
            arm = np.array(paid)[np.maximum(vote.leader, 0)]
            right.append(np.where(vote.leader >= 0, self._known[np.arange(len(arm)), arm], 0.0))
            confidence.append(vote.first)
        return _Sequence(tiers, confidence, right, [float(x) for x in np.cumsum(self._cost[list(tiers)])])


@dataclass(eq=False)
class ThresholdPolicy:
    """A fitted plain cascade as a policy."""

    name: str
    tiers: Tiers
    weights: list[Floats]

    def begin(self, prompts: Sequence[str]) -> None:
        """A plain cascade does not look at the text."""

    def act(self, seen: Seen) -> Act:
        """Accepts at the tier's threshold, else asks the next tier."""
        num, step = len(seen.rows), len(seen.asked)
        if step == 0:
            first = np.full(num, self.tiers.arms[0], dtype=np.int64)
            return Act(first, np.full(num, -1, dtype=np.int64), np.zeros(num), np.zeros(num))
        candidates = ballots(seen.codes, np.zeros(num))
        vote = standing(seen.codes, candidates, probability(candidates.features, self.weights[step - 1]))
        if step == len(self.tiers.arms):
            return Act(np.full(num, STOP, dtype=np.int64), vote.leader, vote.first, np.zeros(num))
        threshold = self.tiers.thresholds[step - 1]
        ask = np.where(vote.first >= threshold, STOP, self.tiers.arms[step])
        return Act(ask, vote.leader, vote.first, np.full(num, threshold))


def accepted_bounds(tiers: Tiers, codes: Ints, scores: Floats, weights: list[Floats]) -> list[Bound]:
    """Per tier, how good the accepted answers were on an untouched split: codes (n, k), scores (n, k)."""
    known, left = np.nan_to_num(scores), np.ones(len(codes), dtype=bool)
    bounds: list[Bound] = []
    for i in range(len(tiers.arms)):
        paid = tuple(sorted(tiers.arms[: i + 1]))
        given = np.maximum(codes[:, list(paid)], 0)
        candidates = ballots(given, np.zeros(len(codes)))
        vote = standing(given, candidates, probability(candidates.features, weights[i]))
        threshold = tiers.thresholds[i] if i < len(tiers.thresholds) else -np.inf
        taken = left & (vote.first >= threshold)
        arm = np.array(paid)[np.maximum(vote.leader, 0)]
        right = float(np.where(vote.leader >= 0, known[np.arange(len(arm)), arm], 0.0)[taken].sum())
        bounds.append(Bound(int(taken.sum()), right, clopper_pearson(right, int(taken.sum()))))
        left &= ~taken
    return bounds


def _ascend(sequence: _Sequence, mu: float) -> Tiers:
    """Coordinate ascent over the thresholds of one sequence."""
    gains = [right - mu * spent for right, spent in zip(sequence.right, sequence.spent, strict=True)]
    grids = [
        np.append(np.unique(np.quantile(q, np.linspace(0, 1, NUM_QUANTILES))), np.inf) for q in sequence.confidence
    ]
    last = len(sequence.arms) - 1
    chosen = [float(grids[i][len(grids[i]) // 2]) for i in range(last)]
    for _ in range(SWEEPS):
        for i in reversed(range(last)):
            after = _outcome(sequence, gains, chosen, i + 1)
            reached = np.ones(len(after), dtype=bool)
            for earlier in range(i):
                reached &= sequence.confidence[earlier] < chosen[earlier]
            accepted = (sequence.confidence[i][reached, None] >= grids[i][None, :]).astype(np.float64)
            total = (gains[i] - after)[reached] @ accepted
            chosen[i] = float(grids[i][int(np.argmax(total))])
    utility = float(_outcome(sequence, gains, chosen, 0).mean())
    return Tiers(sequence.arms, tuple(chosen), utility if _worthwhile(sequence, chosen) else -np.inf)


def _outcome(sequence: _Sequence, gains: list[Floats], thresholds: list[float], start: int) -> Floats:
    value = gains[-1]
    for i in reversed(range(start, len(thresholds))):
        value = np.where(sequence.confidence[i] >= thresholds[i], gains[i], value)
    return value


def _worthwhile(sequence: _Sequence, thresholds: list[float]) -> bool:
    """The break-even rule, between each tier and the next."""
    left = np.ones(len(sequence.confidence[0]), dtype=bool)
    alone = [sequence.spent[0], *np.diff(sequence.spent)]
    for i, threshold in enumerate(thresholds):
        up = left & (sequence.confidence[i] < threshold)
        escalation = float(up.sum() / max(left.sum(), 1))
        if break_even(float(alone[i]), float(alone[i + 1]), escalation) < MIN_SAVING:
            return False
        left = up
    return True


def _frontier(score: Floats, cost: Floats, usable: Sequence[int]) -> list[int]:
    """The arms that no cheaper arm beats; the next best of the rest until there are `NUM_CANDIDATES`."""
    best, chosen = -1.0, list[int]()
    for arm in sorted(usable, key=lambda j: (cost[j], -score[j])):
        if score[arm] > best:
            best = float(score[arm])
            chosen.append(arm)
    rest = sorted((j for j in usable if j not in chosen), key=lambda j: (-score[j], cost[j]))
    return (sorted(chosen, key=lambda j: -score[j]) + rest)[:NUM_CANDIDATES]
