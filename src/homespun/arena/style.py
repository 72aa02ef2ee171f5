"""What wins apart from being better: Bradley-Terry with covariates of the two answers.

Style control as FastChat and Arena-Hard-Auto do it (LMSYS, "Does style matter?", 2024); BigCodeArena has none:

    logit P(A wins) = b_A - b_B + x . gamma,   x_k = (A_k - B_k) / (A_k + B_k + 1) / s_k       (1)

with a ridge on gamma. We differ in s_k: the root mean square of the column instead of a z-score, whose shift by the
column's mean would make the ratings depend on which answer stood on the left. Over votes taken both ways round the two
are the same. Strengths are those at equal style. Rows lacking a covariate are left out by the caller.

Axes: N votes, M models, K covariates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import expit

from homespun.arena.newton import LIMIT, TOLERANCE, Floats, Ints, summed
from homespun.arena.rank import PRIOR
from homespun.arena.votes_table import WEIGHT
from homespun.errors import DataError

RIDGE = 1.0
"""Precision of the normal prior on each coefficient, in log-odds per standard unit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Votes with their covariates."""

    a_N: Ints
    b_N: Ints
    score_N: Floats
    """1 where A won, 0 where B did, one half else."""
    weight_N: Floats
    x_NK: Floats
    num_models: int

    def logits(self, value: Floats) -> Floats:
        """(N,) of equation (1) for strengths and coefficients (M + K,)."""
        effect: Floats = self.x_NK @ value[self.num_models :]
        return value[self.a_N] - value[self.b_N] + effect

    def scatter(self, value_N: Floats) -> Floats:
        """(M + K,): what votes say, added up by model and covariate."""
        size = self.num_models
        models: Floats = summed(self.a_N, value_N, size) - summed(self.b_N, value_N, size)
        return np.concatenate([models, value_N @ self.x_NK])

    def outer(self, value_N: Floats) -> Floats:
        """(M + K, M + K): sum over votes of value z z', z the vote's row of the design."""
        size = self.num_models
        met = summed(self.a_N * size + self.b_N, value_N, size**2).reshape(size, size)
        met = met + met.T
        scaled = value_N[:, None] * self.x_NK
        mixed = np.stack([self.scatter(column)[:size] for column in scaled.T], axis=1)
        return np.block([[np.diag(met.sum(axis=1)) - met, mixed], [mixed.T, self.x_NK.T @ scaled]])


def covariates(frame: pl.DataFrame, names: Sequence[str]) -> Floats:
    """(N, K) of equation (1), from columns NAME_a and NAME_b.

    Raises:
        DataError: a value is negative, or a covariate never differs between two answers.
    """
    columns: list[Floats] = []
    for name in names:
        a, b = (frame[f"{name}_{side}"].cast(pl.Float64).to_numpy() for side in "ab")
        if min(a.min(), b.min()) < 0:
            raise DataError(
                f"row {int(np.argmax((a < 0) | (b < 0)))} is negative", f"covariate {name!r}", "amounts from 0"
            )
        share = (a - b) / (a + b + 1)
        spread = np.sqrt(np.mean(share**2))
        if spread == 0:
            raise DataError("never differs between the two answers", f"covariate {name!r}", "leave it out of --control")
        columns.append(share / spread)
    return np.stack(columns, axis=1)


def design(frame: pl.DataFrame, models: list[str], names: Sequence[str]) -> Design:
    """The design of checked votes; the column `WEIGHT` says what each counts."""
    kind = pl.Enum(models)
    a, b = (frame[side].cast(kind).to_physical().to_numpy().astype(np.int64) for side in ("model_a", "model_b"))
    score = frame["winner"].replace_strict({"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "both_bad": 0.5}).to_numpy()
    weight = frame[WEIGHT].to_numpy() if WEIGHT in frame.columns else np.ones(frame.height)
    return Design(a_N=a, b_N=b, score_N=score, weight_N=weight, x_NK=covariates(frame, names), num_models=len(models))


def fit(data: Design, weight_N: Floats, *, prior: float, start: Floats | None = None) -> Floats:
    """(M + K,) most likely strengths, mean zero, and coefficients, by the damped Newton of `newton`.

    Args:
        data: Votes.
        weight_N: What each counts: ``data.weight_N``, times how often a resample drew it.
        prior: Precision of the prior on each strength.
        start: Where to begin.

    Raises:
        DataError: it did not settle.
    """
    size = data.num_models
    value = np.zeros(size + data.x_NK.shape[1]) if start is None else start.copy()
    for _ in range(LIMIT):
        chance = expit(data.logits(value))
        slope = data.scatter(weight_N * (data.score_N - chance)) - _ridge(data, prior) * value
        step = np.linalg.solve(_information(data, weight_N * chance * (1 - chance), prior), slope)
        reach = float(np.abs(data.logits(step)).max())
        value += step * (np.log1p(reach) / reach if reach > 0 else 1.0)
        value[:size] -= value[:size].mean()
        if reach < TOLERANCE:
            return value
    raise DataError("the ratings do not settle", "style control", "fewer covariates, or more votes")


def sandwich(data: Design, value: Floats, *, prior: float) -> Floats:
    """(M + K, M + K) covariance of strengths and coefficients, as in `intervals`."""
    chance = expit(data.logits(value))
    inverse = np.linalg.inv(_information(data, data.weight_N * chance * (1 - chance), prior))
    return inverse @ data.outer((data.weight_N * (data.score_N - chance)) ** 2) @ inverse


def bootstrap(data: Design, value: Floats, *, prior: float, num_resamples: int, seed: int) -> Floats:
    """(B, M + K) strengths and coefficients of resamples of the votes.

    Every resample has at least a tenth of the weak prior on the strengths, since some may have a model that never lost
    a point; on the hundreds of votes that covariates ask for, that moves a rating by hundredths of a point.

    Args:
        data: Votes.
        value: Fit of them all, to begin from.
        prior: Precision that the whole needed.
        num_resamples: B.
        seed: Same seed, same resamples.
    """
    least = max(prior, PRIOR / 10)
    resamples = _resamples(len(data.score_N), num_resamples, seed)
    return np.array([fit(data, data.weight_N * drawn, prior=least, start=value) for drawn in resamples])


def _resamples(num_votes: int, num_resamples: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    for _ in range(num_resamples):
        drawn = generator.integers(0, num_votes, num_votes)
        yield np.bincount(drawn, minlength=num_votes).astype(np.float64)


def _ridge(data: Design, prior: float) -> Floats:
    return np.concatenate([np.full(data.num_models, prior), np.full(data.x_NK.shape[1], RIDGE)])


def _information(data: Design, curve_N: Floats, prior: float) -> Floats:
    """Negative second derivatives, with a weight on the sum of the strengths, as in `newton`."""
    matrix = data.outer(curve_N) + np.diag(_ridge(data, prior))
    size = data.num_models
    matrix[:size, :size] += np.trace(matrix[:size, :size]) / size**2
    return matrix
