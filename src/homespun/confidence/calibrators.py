"""Maps from a consistency to a probability of being right: identity, Platt, temperature, isotonic, beta, histogram.

The paper (Lyu et al., arXiv:2402.13904) fits nothing, as it assumes no held-out labels; this is our extension, from
Platt (1999) with his smoothed targets, on the logit of the score; temperature: Guo et al., arXiv:1706.04599, on one
logit; isotonic: Zadrozny and Elkan (2002), by scikit-learn; beta: Kull et al. (2017), c = σ(a ln s - b ln(1-s) + m)
with a, b ≥ 0; histogram: Zadrozny and Elkan (2001), each bin shrunk to the base rate by a pseudo-count.

A consistency of n votes lives on k/n, so a map fitted at one n is refused at another. Below `FEWEST` labelled items
nothing is fitted (isotonic: below 200); `fit_groups` then backs off to the parent group and says so. A fitted map is a
frozen record that goes to JSON and back; nothing is pickled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit

from homespun.confidence.scores import Floats, Ints, bin_numbers, checked
from homespun.errors import ConfigError, DataError
from homespun.records import Record

FEWEST = 100
Kind = Literal["identity", "platt", "temperature", "isotonic", "beta", "histogram"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Key(Record):
    """What a map is for. ``None`` in model or task means all of them."""

    measure: str
    """agreement, entropy, fsd, or the name of another score."""
    n: int
    """Samples per question."""
    mode: str = "strict"
    """How unreadable answers count."""
    model: str | None = None
    task: str | None = None
    temperature: float | None = None
    """Sampling temperature, where known."""
    prompt: str | None = None
    """Strategy, or hash of the prompt, where known."""

    def parent(self) -> "Key | None":
        """The next wider group: all tasks, then all models; n, measure and mode never widen."""
        if self.task is not None:
            return self.model_copy(update={"task": None})
        if self.model is not None:
            return self.model_copy(update={"model": None})
        return None


class Calibrator(Record):
    """A fitted map. Its key says for which scores it holds; ``note`` says where it came from, if not from the key."""

    key: Key
    kind: Kind
    parameters: tuple[float, ...] = ()
    """Platt: slope, intercept. Temperature: T. Beta: a, b, m. Isotonic: k scores, then k values. Histogram: a value
    per equal-width bin."""
    clip: float = 0.0
    """Scores are held this far from 0 and 1 before a logarithm."""
    num_fitted: int = 0
    """Labelled items it was fitted on; 0: none, the score is handed through and remains a raw consistency."""
    note: str = ""

    @property
    def fitted(self) -> bool:
        """Whether its values may be called probabilities."""
        return self.num_fitted > 0

    def predict(self, confidence: ArrayLike, n: int) -> Floats:
        """Probabilities (m,) of consistencies (m,) in [0, 1] that come from ``n`` samples each.

        Raises:
            ConfigError: the map was fitted at another n.
            DataError: a confidence is out of range.
        """
        if n != self.key.n:
            hint = f"fit one on scores of {n} samples"
            raise ConfigError(f"fitted at n = {self.key.n}, asked for n = {n}", f"map of {self.key.measure}", hint)
        scores, _ = checked(confidence, np.zeros(np.shape(np.asarray(confidence))))
        return self._map(scores)

    def _map(self, scores: Floats) -> Floats:
        values = np.asarray(self.parameters)
        held = np.clip(scores, self.clip, 1 - self.clip)
        if self.kind == "platt":
            return expit(values[0] * logit(held) + values[1])
        if self.kind == "temperature":
            return expit(logit(held) / values[0])
        if self.kind == "beta":
            return expit(values[0] * np.log(held) - values[1] * np.log1p(-held) + values[2])
        if self.kind == "isotonic":
            knots = len(values) // 2
            return np.interp(scores, values[:knots], values[knots:])
        if self.kind == "histogram":
            return values[bin_numbers(scores, len(values))]
        return scores


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


def fit(config: Config, key: Key, confidence: ArrayLike, correct: ArrayLike) -> Calibrator:
    """Fits one map.

    Args:
        config: Which kind, with its settings.
        key: What the scores are of.
        confidence: (m,) consistencies in [0, 1], all from ``key.n`` samples.
        correct: (m,) zeros and ones.

    Raises:
        DataError: fewer labelled items than ``config.fewest``, or values out of range.
    """
    scores, right = checked(confidence, correct)
    if len(scores) < config.fewest:
        what = f"{len(scores)} labelled items are too few for {config.kind}"
        raise DataError(what, f"map of {key.measure}", f"at least {config.fewest}, or the parent group")
    solved = config.solve(scores, right)
    num_fitted = 0 if config.kind == "identity" else len(scores)
    return Calibrator(key=key, kind=config.kind, parameters=solved, clip=config.clip, num_fitted=num_fitted)


def fit_groups(config: Config, keys: Sequence[Key], confidence: ArrayLike, correct: ArrayLike) -> dict[Key, Calibrator]:
    """Fits a map per distinct key, from the parent group where its own has too few items.

    Args:
        config: Which kind, with its settings.
        keys: (m,) the key of each item.
        confidence: (m,) consistencies.
        correct: (m,) zeros and ones.

    Returns:
        Key to map. Where even the widest group is too small, the identity with a note: a raw consistency.
    """
    scores, right = checked(confidence, correct)
    if len(keys) != len(scores):
        raise DataError(f"{len(keys)} keys for {len(scores)} items", "keys", "a key per item")
    index: dict[Key, int] = {}
    codes = np.asarray([index.setdefault(key, len(index)) for key in keys])
    return {key: _fit_or_widen(config, key, list(index), codes, scores, right) for key in index}


def cross_fit(
    config: Config,
    key: Key,
    confidence: ArrayLike,
    correct: ArrayLike,
    problems: ArrayLike,
    *,
    folds: int = 5,
    seed: int = 0,
) -> Floats:
    """Probabilities (m,) each from a map that saw no row of the same problem.

    Args:
        config: Which kind, with its settings.
        key: What the scores are of.
        confidence: (m,) consistencies.
        correct: (m,) zeros and ones.
        problems: (m,) labels; equal labels are in one fold.
        folds: Number of folds.
        seed: Of the assignment of problems to folds.

    Raises:
        DataError: too few items to fit, or fewer problems than folds.
    """
    scores, right = checked(confidence, correct)
    part = fold_numbers(problems, folds=folds, seed=seed)
    found = np.empty_like(scores)
    for number in range(folds):
        held = part == number
        found[held] = fit(config, key, scores[~held], right[~held]).predict(scores[held], key.n)
    return found


def fold_numbers(problems: ArrayLike, *, folds: int = 5, seed: int = 0) -> Ints:
    """(m,) fold of each row, from 0; equal problems share one, folds hold equally many problems to within one.

    Raises:
        DataError: fewer problems than folds.
    """
    labels, codes = np.unique(np.asarray(problems), return_inverse=True)
    if not 2 <= folds <= len(labels):
        raise DataError(f"{len(labels)} problems for {folds} folds", "folds", "2 folds or more, and a problem for each")
    shuffled = np.random.default_rng(seed).permutation(np.arange(len(labels)) % folds)
    return shuffled[codes.reshape(-1)].astype(np.int64)


def _fit_or_widen(
    config: Config, key: Key, distinct: Sequence[Key], codes: Ints, scores: Floats, right: Floats
) -> Calibrator:
    wider: Key | None = key
    while wider is not None:
        inside = np.asarray([_covers(wider, other) for other in distinct])[codes]
        if inside.sum() >= config.fewest:
            fitted = fit(config, key, scores[inside], right[inside])
            note = "" if wider == key else f"fitted on {_words(wider)}: the group itself has too few labelled items"
            return fitted.model_copy(update={"note": note})
        wider = wider.parent()
    note = f"raw consistency, not a probability: fewer than {config.fewest} labelled items even over all models"
    return Calibrator(key=key, kind="identity", note=note)


def _covers(wide: Key, narrow: Key) -> bool:
    fixed = wide.model_dump(exclude={"model", "task"}) == narrow.model_dump(exclude={"model", "task"})
    return fixed and wide.model in (None, narrow.model) and wide.task in (None, narrow.task)


def _words(key: Key) -> str:
    return f"{key.model or 'all models'}, {key.task or 'all tasks'}, n = {key.n}"


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
