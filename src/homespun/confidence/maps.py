"""The kinds of maps from a consistency to a probability: how each is solved for, and how it is applied.

Platt (1999) with his smoothed targets, on the logit of the score; temperature: Guo et al., arXiv:1706.04599, on one
logit; isotonic: Zadrozny and Elkan (2002), by scikit-learn; beta: Kull et al. (2017), c = σ(a ln s - b ln(1-s) + m)
with a, b ≥ 0; histogram: Zadrozny and Elkan (2001), each bin shrunk to the base rate by a pseudo-count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit

from homespun.confidence.scores import Floats, bin_numbers

FEWEST = 100
Kind = Literal["identity", "platt", "temperature", "isotonic", "beta", "histogram"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Config(Protocol):
    """How to fit one kind of map."""

    kind: ClassVar[Kind]

    @property
    def fewest(self) -> int:
        """Labelled items below which nothing is fitted."""
        ...

    @property
    def clip(self) -> float:
        """Scores are held this far from 0 and 1 before a logarithm."""
        ...

    def solve(self, scores: Floats, right: Floats) -> tuple[float, ...]:
        """Parameters of the map from scores (n,) and correctness (n,)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Hands the score through; never a probability."""

    kind: ClassVar[Kind] = "identity"
    fewest: int = 0
    clip: float = 0.0

    def solve(self, scores: Floats, right: Floats) -> tuple[float, ...]:
        """Nothing to solve."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Platt:
    """σ(a logit(s) + b), by maximum likelihood with Platt's targets (N+ + 1)/(N+ + 2) and 1/(N- + 2)."""

    kind: ClassVar[Kind] = "platt"
    fewest: int = FEWEST
    """Labelled items below which nothing is fitted."""
    clip: float = 0.01
    """Unanimity has an infinite logit; half a vote of fifty is as sure as a score is taken to be."""

    def solve(self, scores: Floats, right: Floats) -> tuple[float, ...]:
        """Slope and intercept."""
        held = logit(np.clip(scores, self.clip, 1 - self.clip))
        return _logistic(np.column_stack([held]), right, lower=(None,))


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """σ(logit(s) / T)."""

    kind: ClassVar[Kind] = "temperature"
    fewest: int = FEWEST
    clip: float = 0.01
    range: tuple[float, float] = (0.02, 50.0)
    """Temperatures searched, on a log scale."""

    def solve(self, scores: Floats, right: Floats) -> tuple[float, ...]:
        """T by maximum likelihood."""
        held = logit(np.clip(scores, self.clip, 1 - self.clip))
        signed = (2 * right - 1) * held
        bounds = np.log(self.range)

        def loss(log_t: float) -> float:
            return float(np.logaddexp(0, -signed / np.exp(log_t)).mean())

        found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
        return (float(np.exp(found.x)),)


@dataclass(frozen=True, kw_only=True)
class Isotonic:
    """The best rising step function, joined linearly; needs more items than the others."""

    kind: ClassVar[Kind] = "isotonic"
    fewest: int = 200
    clip: float = 0.0

    def solve(self, scores: Floats, right: Floats) -> tuple[float, ...]:
        """Scores of the knots, then their values."""
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, right)
        return (*map(float, fitted.X_thresholds_), *map(float, fitted.y_thresholds_))


@dataclass(frozen=True, kw_only=True)
class Beta:
    """σ(a ln s - b ln(1-s) + m) with a, b ≥ 0, with Platt's targets."""

    kind: ClassVar[Kind] = "beta"
    fewest: int = FEWEST
    clip: float = 0.01

    def solve(self, scores: Floats, right: Floats) -> tuple[float, ...]:
        """The three parameters a, b, m."""
        held = np.clip(scores, self.clip, 1 - self.clip)
        return _logistic(np.column_stack([np.log(held), -np.log1p(-held)]), right, lower=(0.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Accuracy of each equal-width, right-closed bin, shrunk to the base rate."""

    kind: ClassVar[Kind] = "histogram"
    fewest: int = FEWEST
    clip: float = 0.0
    bins: int = 10
    prior: float = 1.0
    """Pseudo-items at the base rate in each bin; an empty bin is the base rate."""

    def solve(self, scores: Floats, right: Floats) -> tuple[float, ...]:
        """A value per bin."""
        codes = bin_numbers(scores, self.bins)
        counts = np.bincount(codes, minlength=self.bins)
        wins = np.bincount(codes, weights=right, minlength=self.bins)
        return tuple(map(float, (wins + self.prior * right.mean()) / (counts + self.prior)))


CONFIGS: dict[Kind, Config] = {
    made.kind: made for made in (Identity(), Platt(), Temperature(), Isotonic(), Beta(), Histogram())
}
"""Each kind with its defaults."""


def apply(kind: Kind, parameters: Sequence[float], clip: float, scores: Floats) -> Floats:
    """Probabilities (m,) of scores (m,) under a map of this kind, as `Config.solve` gave its parameters."""
    values = np.asarray(parameters)
    held = np.clip(scores, clip, 1 - clip)
    if kind == "platt":
        return expit(values[0] * logit(held) + values[1])
    if kind == "temperature":
        return expit(logit(held) / values[0])
    if kind == "beta":
        return expit(values[0] * np.log(held) - values[1] * np.log1p(-held) + values[2])
    if kind == "isotonic":
        knots = len(values) // 2
        return np.interp(scores, values[:knots], values[knots:])
    if kind == "histogram":
        return values[bin_numbers(scores, len(values))]
    return scores


def _logistic(features: Floats, right: Floats, *, lower: Sequence[float | None]) -> tuple[float, ...]:
    """Weights of features (m, f), then the intercept, by maximum likelihood on Platt's smoothed targets."""
    wins = right.sum()
    target = np.where(right == 1, (wins + 1) / (wins + 2), 1 / (len(right) - wins + 2))
    design = np.column_stack([features, np.ones(len(right))])

    def loss(weights: Floats) -> tuple[float, Floats]:
        z = design @ weights
        gradient = design.T @ (expit(z) - target) / len(z)
        return float((np.logaddexp(0, z) - target * z).mean()), gradient

    start = np.append(np.ones(features.shape[1]) / features.shape[1], 0.0)
    bounds = [(low, None) for low in (*lower, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-9})
    return tuple(map(float, found.x))
