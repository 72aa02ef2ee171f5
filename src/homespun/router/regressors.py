"""Regressors of many scores at once: ridge in closed form, ridge on sparse terms, and nearest neighbours.

EMAFusion §4.2. Every regressor is fitted on features (n, d) and scores (n, k) where NaN means *never asked*, with
a weight per prompt, and gives back (n, k). Its whole state is a dictionary of plain arrays.

Ridge is Hoerl and Kennard's (1970); its penalty comes from the exact leave-one-out error, its uncertainty is the
posterior of the linear model with that penalty as prior (Bishop, Pattern Recognition, eq. 3.58). Where we differ
from the page: that closed form stands in for ten bootstrap heads, at a tenth of the cost and without noise.

Legend: n prompts, d features, k arms, h heads.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as SparseRidge

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]

PENALTIES = tuple(float(value) for value in np.geomspace(1e-2, 1e4, 19))
PROBES = 3000
"""About how many training prompts choose the number of neighbours."""
NEIGHBOURS = (5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240)


class Regressor(Protocol):
    """What all of them can do."""

    def fit(self, features: Any, scores: Floats, weights: Floats) -> Self:
        """Learns from (n, d) features, (n, k) scores with NaN and (n,) weights."""
        ...

    def predict(self, features: Any) -> Floats:
        """(n, k) expected scores, not yet calibrated."""
        ...

    def arrays(self) -> Arrays:
        """The whole state, as arrays."""
        ...

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The regressor whose `arrays` these are."""
        ...


class _Spectrum(NamedTuple):
    """Eigen-decomposition of the weighted, centred Gram matrix of one pattern of known scores."""

    mean_D: Floats
    values_D: Floats
    vectors_DD: Floats


class Ridge:
    """Multi-output ridge with an intercept; one penalty for all arms unless it is given."""

    def __init__(self, penalty: float | None = None) -> None:
        self.penalty = penalty
        self.coefficients_DK: Floats = np.zeros((0, 0))
        self.intercept_K: Floats = np.zeros(0)
        self.spread_K: Floats = np.zeros(0)
        """Standard deviation of the residuals, over the root of the share of known scores."""
        self.centre_D: Floats = np.zeros(0)
        self.inverse_DD: Floats = np.zeros((0, 0))
        """(ZᵀWZ + λI)⁻¹ over all prompts."""

    def fit(self, features: Floats, scores: Floats, weights: Floats) -> Self:
        """See `Regressor.fit`. Arms with the same pattern of missing scores share one decomposition."""
        known = ~np.isnan(scores)
        patterns, owner = np.unique(known, axis=1, return_inverse=True)
        parts = [_spectrum(features[rows], weights[rows]) for rows in patterns.T]
        members = [np.flatnonzero(owner.reshape(-1) == i) for i in range(len(parts))]
        if self.penalty is None:
            errors = np.zeros(len(PENALTIES))
            for part, rows, arms in zip(parts, patterns.T, members, strict=True):
                errors += _left_out(part, features[rows], scores[np.ix_(rows, arms)], weights[rows])
            self.penalty = PENALTIES[int(np.argmin(errors))]
        self.coefficients_DK = np.zeros((features.shape[1], scores.shape[1]))
        self.intercept_K, self.spread_K = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
        for part, rows, arms in zip(parts, patterns.T, members, strict=True):
            self._solve(part, features[rows], scores[np.ix_(rows, arms)], weights[rows], arms)
        self.spread_K /= np.sqrt(np.maximum(known.mean(axis=0), 1e-12))
        full = parts[0] if known.all() else _spectrum(features, weights)
        self.centre_D = full.mean_D
        self.inverse_DD = (full.vectors_DD / (full.values_D + self.penalty)) @ full.vectors_DD.T
        return self

    def predict(self, features: Floats) -> Floats:
        """See `Regressor.predict`."""
        return features @ self.coefficients_DK + self.intercept_K

    def deviation(self, features: Floats) -> Floats:
        """(n, k) posterior standard deviation of the expected score: wide far from what was learned from."""
        away = features - self.centre_D
        return np.sqrt(np.maximum(((away @ self.inverse_DD) * away).sum(axis=1), 0.0))[:, None] * self.spread_K

    def arrays(self) -> Arrays:
        """See `Regressor.arrays`."""
        return {
            "penalty": np.array(self.penalty),
            "coefficients": self.coefficients_DK,
            "intercept": self.intercept_K,
            "spread": self.spread_K,
            "centre": self.centre_D,
            "inverse": self.inverse_DD,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """See `Regressor.restored`."""
        made = cls(float(np.asarray(arrays["penalty"], dtype=np.float64)))
        made.coefficients_DK, made.intercept_K, made.spread_K, made.centre_D, made.inverse_DD = (
            np.asarray(arrays[name], dtype=np.float64)
            for name in ("coefficients", "intercept", "spread", "centre", "inverse")
        )
        return made

    def _solve(
        self, part: _Spectrum, features: Floats, scores: Floats, weights: Floats, arms: NDArray[np.int64]
    ) -> None:
        mean_K = np.average(scores, axis=0, weights=weights)
        moment = (features - part.mean_D).T @ (weights[:, None] * (scores - mean_K))
        shrunk = (part.vectors_DD.T @ moment) / (part.values_D + (self.penalty or 0.0))[:, None]
        self.coefficients_DK[:, arms] = part.vectors_DD @ shrunk
        self.intercept_K[arms] = mean_K - part.mean_D @ self.coefficients_DK[:, arms]
        residual = scores - features @ self.coefficients_DK[:, arms] - self.intercept_K[arms]
        self.spread_K[arms] = np.sqrt(np.average(np.square(residual), axis=0, weights=weights))


def _spectrum(features: Floats, weights: Floats) -> _Spectrum:
    mean = np.average(features, axis=0, weights=weights)
    centred = features - mean
    values, vectors = np.linalg.eigh(centred.T @ (weights[:, None] * centred))
    return _Spectrum(mean, np.maximum(values, 0.0), vectors)


def _left_out(part: _Spectrum, features: Floats, scores: Floats, weights: Floats) -> Floats:
    """Summed squared leave-one-out error for each of `PENALTIES`: e / (1 - leverage), exact for ridge.

    The intercept's leverage is its weight over the sum of weights.
    """
    root = np.sqrt(weights)[:, None]
    rotated = (root * (features - part.mean_D)) @ part.vectors_DD
    centred = root * (scores - np.average(scores, axis=0, weights=weights))
    moment = rotated.T @ centred
    base = weights / weights.sum()
    errors: list[float] = []
    for penalty in PENALTIES:
        shrink = 1.0 / (part.values_D + penalty)
        residual = centred - rotated @ (shrink[:, None] * moment)
        leverage = base + np.square(rotated) @ shrink
        errors.append(float(np.sum(np.square(residual / np.maximum(1.0 - leverage, 1e-6)[:, None]))))
    return np.array(errors)


class Linear:
    """Ridge on sparse TF-IDF, one arm at a time by conjugate gradients: single words may matter, unlike in `Ridge`.

    The penalty is fixed, as rows have unit norm: 10 to 20 did best where tried (docs/papers/emafusion-learned.md).
    """

    def __init__(self, penalty: float = 10.0) -> None:
        self.penalty = penalty
        self.coefficients_VK: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self.intercept_K: Floats = np.zeros(0)

    def fit(self, features: Any, scores: Floats, weights: Floats) -> Self:
        """See `Regressor.fit`; the features are a sparse matrix (n, v)."""
        self.coefficients_VK = np.zeros((features.shape[1], scores.shape[1]), dtype=np.float32)
        self.intercept_K = np.zeros(scores.shape[1])
        for arm in range(scores.shape[1]):
            known = np.flatnonzero(~np.isnan(scores[:, arm]))
            if features.shape[1] == 0:
                self.intercept_K[arm] = np.average(scores[known, arm], weights=weights[known])
                continue
            model: Any = SparseRidge(alpha=self.penalty, solver="sparse_cg", tol=1e-3)
            model.fit(features[known], scores[known, arm], sample_weight=weights[known])
            self.coefficients_VK[:, arm], self.intercept_K[arm] = model.coef_, model.intercept_
        return self

    def predict(self, features: Any) -> Floats:
        """See `Regressor.predict`."""
        return np.asarray(features @ self.coefficients_VK, dtype=np.float64) + self.intercept_K

    def arrays(self) -> Arrays:
        """See `Regressor.arrays`."""
        return {"coefficients": self.coefficients_VK, "intercept": self.intercept_K}

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """See `Regressor.restored`."""
        made = cls()
        made.coefficients_VK = np.asarray(arrays["coefficients"], dtype=np.float32)
        made.intercept_K = np.asarray(arrays["intercept"], dtype=np.float64)
        return made


class Neighbours:
    """Mean score of the nearest training prompts; how many is chosen by leave-one-out error.

    The distance is Euclidean in the space of the features. A neighbour without a score for an arm does not count;
    where none has one, the arm's mean stands in.
    """

    def __init__(self, num: int | None = None) -> None:
        self.num = num
        self.features_ND: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self.scores_NK: Floats = np.zeros((0, 0))
        self.weights_N: Floats = np.zeros(0)
        self.mean_K: Floats = np.zeros(0)

    def fit(self, features: Floats, scores: Floats, weights: Floats) -> Self:
        """See `Regressor.fit`."""
        self.features_ND, self.scores_NK, self.weights_N = features.astype(np.float32), scores, weights
        known = ~np.isnan(scores)
        self.mean_K = (weights @ np.where(known, scores, 0.0)) / np.maximum(weights @ known, 1e-12)
        if self.num is None:
            self.num = self._best(scores)
        return self

    def predict(self, features: Floats) -> Floats:
        """See `Regressor.predict`."""
        num = min(self.num or 1, len(self.features_ND))
        return self._means(self._nearest(features.astype(np.float32), num), (num,))[0]

    def arrays(self) -> Arrays:
        """See `Regressor.arrays`."""
        return {
            "num": np.array(self.num),
            "features": self.features_ND,
            "scores": self.scores_NK,
            "weights": self.weights_N,
            "mean": self.mean_K,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """See `Regressor.restored`."""
        made = cls(int(np.asarray(arrays["num"], dtype=np.int64)))
        made.features_ND = np.asarray(arrays["features"], dtype=np.float32)
        made.scores_NK, made.weights_N, made.mean_K = (
            np.asarray(arrays[name], dtype=np.float64) for name in ("scores", "weights", "mean")
        )
        return made

    def _best(self, scores: Floats) -> int:
        limit = len(scores) - 1
        sizes = tuple(size for size in NEIGHBOURS if size <= limit) or (max(limit, 1),)
        if limit < 1:
            return 1
        asked = np.arange(0, len(scores), max(1, len(scores) // PROBES))
        nearest = self._nearest(self.features_ND[asked], sizes[-1], themselves=asked)
        errors = [float(np.nansum(np.square(mean - scores[asked]))) for mean in self._means(nearest, sizes)]
        return sizes[int(np.argmin(errors))]

    def _nearest(
        self, features: NDArray[np.float32], num: int, themselves: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """(n, num) indices of training prompts, nearest first; ``themselves`` (n,) are not their own neighbours."""
        square = np.square(self.features_ND).sum(axis=1)
        found: list[NDArray[np.int64]] = []
        for start in range(0, len(features), 1000):
            block = features[start : start + 1000]
            distance = square - 2.0 * (block @ self.features_ND.T)
            if themselves is not None:
                distance[np.arange(len(block)), themselves[start : start + 1000]] = np.inf
            near = np.argpartition(distance, num - 1, axis=1)[:, :num]
            inner = np.argsort(np.take_along_axis(distance, near, axis=1), axis=1, kind="stable")
            found.append(np.take_along_axis(near, inner, axis=1))
        return np.concatenate(found) if found else np.zeros((0, num), dtype=np.int64)

    def _means(self, nearest: NDArray[np.int64], sizes: tuple[int, ...]) -> list[Floats]:
        """(n, k) means over the first ``size`` neighbours, for each size."""
        known = ~np.isnan(self.scores_NK)
        mass = self.weights_N[:, None] * known
        value = mass * np.where(known, self.scores_NK, 0.0)
        total, above = np.zeros((len(nearest), value.shape[1])), np.zeros((len(nearest), value.shape[1]))
        means: list[Floats] = []
        for place in range(sizes[-1]):
            total += mass[nearest[:, place]]
            above += value[nearest[:, place]]
            if place + 1 in sizes:
                means.append(np.where(total > 0, above / np.maximum(total, 1e-12), self.mean_K))
        return means
