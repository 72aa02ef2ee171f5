"""Paired bootstrap over prompts: the same resampled prompts for everything that is compared.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13 (percentile interval). A resample is a
vector of weights per prompt, so a statistic is computed for a block of resamples at once; prompts that share a
group are drawn together, as equal prompts are not independent evidence.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
BLOCK = 200


class Interval(NamedTuple):
    """A value on the sample itself with its percentile interval."""

    value: float
    low: float
    high: float


def resamples(
    num_prompts: int, *, num_resamples: int = 2000, seed: int = 0, groups: NDArray[np.int64] | None = None
) -> Iterator[Floats]:
    """Blocks (b, n) of bootstrap weights: how often each prompt was drawn.

    Args:
        num_prompts: n.
        num_resamples: How many in all.
        seed: Same seed and groups, same resamples: that is what pairs two calls.
        groups: (n,) group numbers from 0; whole groups are drawn. Each prompt its own group if not given.
    """
    generator = np.random.default_rng(seed)
    num_groups = num_prompts if groups is None else int(groups.max()) + 1
    for start in range(0, num_resamples, BLOCK):
        size = min(BLOCK, num_resamples - start)
        drawn = generator.integers(0, num_groups, size=(size, num_groups))
        offset = drawn + np.arange(size)[:, None] * num_groups
        counts = np.bincount(offset.ravel(), minlength=size * num_groups).reshape(size, num_groups)
        yield (counts if groups is None else counts[:, groups]).astype(np.float64)


def bootstrap(
    statistic: Statistic,
    num_prompts: int,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    groups: NDArray[np.int64] | None = None,
) -> Interval:
    """Percentile interval of any statistic that takes weights (b, n) and gives (b,).

    A difference of two routers is one statistic: compute both from the same weights and subtract.
    Resamples on which it is NaN are left out; NaN all over gives a NaN interval.
    """
    value = float(np.asarray(statistic(np.ones((1, num_prompts)))).reshape(-1)[0])
    blocks = resamples(num_prompts, num_resamples=num_resamples, seed=seed, groups=groups)
    values = np.concatenate([np.asarray(statistic(block)).reshape(-1) for block in blocks])
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """(b,) means of ``values`` (n,) under ``weights`` (b, n), NaN values left out."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights[:, known] @ values[known] / weights[:, known].sum(axis=1)


def mean_interval(
    values: ArrayLike,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    groups: NDArray[np.int64] | None = None,
) -> Interval:
    """Mean of (n,) values, NaN left out, with its bootstrap interval."""
    known = np.asarray(values, dtype=np.float64)
    return bootstrap(
        lambda weights: weighted_mean(known, weights),
        len(known),
        num_resamples=num_resamples,
        seed=seed,
        level=level,
        groups=groups,
    )


def difference_interval(
    left: ArrayLike,
    right: ArrayLike,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    groups: NDArray[np.int64] | None = None,
) -> Interval:
    """Mean of left - right on the same prompts, both (n,), with its paired bootstrap interval."""
    gap = np.asarray(left, dtype=np.float64) - np.asarray(right, dtype=np.float64)
    return mean_interval(gap, num_resamples=num_resamples, seed=seed, level=level, groups=groups)
