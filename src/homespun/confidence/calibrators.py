"""Maps from a consistency to a probability of being right: identity, Platt, temperature, isotonic, beta, histogram.

The paper (Lyu et al., arXiv:2402.13904) fits nothing, as it assumes no held-out labels; this is our extension. The
kinds, their sources and settings are in `homespun.confidence.maps`.

A consistency of n votes lives on k/n, so a map fitted at one n is refused at another. Below 100 labelled items
nothing is fitted (isotonic: below 200); `fit_groups` then backs off to the parent group and says so. A fitted map is a
frozen record that goes to JSON and back; nothing is pickled.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from homespun.confidence.maps import Config, Kind, apply
from homespun.confidence.scores import Floats, Ints, checked
from homespun.errors import ConfigError, DataError
from homespun.records import Record


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
        return apply(self.kind, self.parameters, self.clip, scores)


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
