"""Paired bootstrap intervals of calibration scores, all measures on the same resampled problems.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13: percentile interval. The paper compares by an
unpaired t-test on per-item Brier scores; the items are shared, so we pair. Problems are drawn, not rows: rows of one
problem (several models, say) stay together. A confidence from n votes has few values, so rows are first gathered into
*cells* of equal (scores, correctness), and problems with equal content into *profiles*; drawing how often each profile
appears (a multinomial) is the same bootstrap at a fraction of the work.

Axes: b resamples, c cells, p profiles.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from homespun.confidence.scores import Floats, Ints, bin_numbers, checked

BLOCK = 200


class Interval(NamedTuple):
    """A value on the sample itself with its percentile interval; NaN where it isn't defined."""

    value: float
    low: float
    high: float


def intervals(
    measures: Mapping[str, ArrayLike],
    correct: ArrayLike,
    *,
    bins: int = 10,
    problems: ArrayLike | None = None,
    num_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, Interval]]:
    """Brier, ECE, AUROC and Brier skill of several measures on the same rows, with intervals.

    Args:
        measures: Name to confidences (n,) in [0, 1].
        correct: (n,) zeros and ones.
        bins: Equal-width bins of ECE.
        problems: (n,) labels; rows with equal labels are drawn together. Each row its own problem if not given.
        num_resamples: Bootstrap resamples.
        level: Coverage of the percentile interval.
        seed: Same seed and rows, same resamples; within a call all measures share them, which is what pairs them.

    Returns:
        measure to score (``brier``, ``ece``, ``auroc``, ``skill``, ``brier_base``) to Interval; for every pair of
        measures also ``a-b`` to the difference of their Brier, ECE and AUROC.

    Raises:
        DataError: values out of range or lengths that differ.
    """
    pairs = {name: checked(confidence, correct) for name, confidence in measures.items()}
    right = next(iter(pairs.values()))[1]
    columns = np.column_stack([*(scores for scores, _ in pairs.values()), right])
    values, cells = np.unique(columns, axis=0, return_inverse=True)
    cell_right = values[:, -1]
    whole = np.bincount(cells.reshape(-1), minlength=len(values)).astype(np.float64)[None, :]
    found: dict[str, dict[str, list[Floats]]] = {}
    for weights in chain([whole], _draws(cells.reshape(-1), problems, num_resamples, seed)):
        scored = {name: _scores(values[:, index], cell_right, weights, bins) for index, name in enumerate(pairs)}
        for name, scores in (scored | _differences(scored)).items():
            for score, array in scores.items():
                found.setdefault(name, {}).setdefault(score, []).append(array)
    return {
        name: {score: _percentiles(np.concatenate(arrays), level) for score, arrays in scores.items()}
        for name, scores in found.items()
    }


def _differences(scored: dict[str, dict[str, Floats]]) -> dict[str, dict[str, Floats]]:
    return {
        f"{left}-{right}": {score: scored[left][score] - scored[right][score] for score in ("brier", "ece", "auroc")}
        for left, right in combinations(scored, 2)
    }


def _draws(cells: Ints, problems: ArrayLike | None, num_resamples: int, seed: int) -> Iterator[Floats]:
    """Blocks (b, c): how often each cell appears in each resample of the problems."""
    labels = np.arange(len(cells)) if problems is None else np.unique(np.asarray(problems), return_inverse=True)[1]
    content = sparse.coo_array((np.ones(len(cells)), (labels.reshape(-1), cells))).tocsr()
    profiles, counts = _profiles(content)
    generator = np.random.default_rng(seed)
    total = int(counts.sum())
    for start in range(0, num_resamples, BLOCK):
        drawn = generator.multinomial(total, counts / total, size=min(BLOCK, num_resamples - start))
        yield np.asarray((profiles.T @ drawn.T.astype(np.float64)).T)


def _profiles(content: sparse.csr_array) -> tuple[sparse.csr_array, Ints]:
    """The distinct rows of (problem, cell) counts, and how many problems have each."""
    content.sum_duplicates()
    content.sort_indices()
    seen: dict[bytes, int] = {}
    first: list[int] = []
    counts: list[int] = []
    for row in range(len(content.indptr) - 1):
        part = slice(content.indptr[row], content.indptr[row + 1])
        key = content.indices[part].tobytes() + b"|" + content.data[part].tobytes()
        place = seen.setdefault(key, len(first))
        if place == len(first):
            first.append(row)
            counts.append(0)
        counts[place] += 1
    return content[first], np.asarray(counts)


def _scores(confidence: Floats, right: Floats, weights: Floats, bins: int) -> dict[str, Floats]:
    """Each score as (b,), from cells (c,) and weights (b, c)."""
    total = weights.sum(axis=1)
    base = weights @ right / total
    found = {"brier": weights @ (confidence - right) ** 2 / total, "brier_base": base * (1 - base)}
    gaps = weights @ (np.eye(bins)[bin_numbers(confidence, bins)] * (confidence - right)[:, None])
    found["ece"] = np.abs(gaps).sum(axis=1) / total
    values, codes = np.unique(confidence, return_inverse=True)
    onehot = sparse.csr_array((np.ones(len(codes)), (np.arange(len(codes)), codes)), shape=(len(codes), len(values)))
    wins, losses = (weights * right) @ onehot, (weights * (1 - right)) @ onehot
    below = np.cumsum(losses, axis=1) - losses
    with np.errstate(invalid="ignore", divide="ignore"):
        found["auroc"] = (wins * (below + losses / 2)).sum(axis=1) / (wins.sum(axis=1) * losses.sum(axis=1))
        found["skill"] = np.where(found["brier_base"] > 0, 1 - found["brier"] / found["brier_base"], np.nan)
    return found


def _percentiles(array: Floats, level: float) -> Interval:
    value, resampled = float(array[0]), array[1:][np.isfinite(array[1:])]
    if len(resampled) == 0 or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
