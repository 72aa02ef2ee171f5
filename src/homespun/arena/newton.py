"""Damped Newton on counts of pair outcomes, for a whole batch of tables at once.

Every model of paired comparison here is concave in the gap b_i - b_j and its tie parameter, and generalised
self-concordant, so that the step ln(1 + r) / r, r the largest change of a gap that the full step would make,
always goes up and becomes the full step near the top (Sun and Tran-Dinh, Generalized self-concordant functions,
Mathematical Programming 178, 2019, arXiv:1703.04599, theorem 2 for nu = 2): no line search, no tuning.

Axes: B tables (1, or bootstrap resamples), M models, P pairs that met, 3 outcomes (FIRST, SECOND, TIE).
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from homespun.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FIRST, SECOND, TIE = 0, 1, 2
"""Outcome of a pair (i, j) with i < j: i won, j won, neither."""
TOLERANCE = 1e-6
"""Log-odds. The last step was below this, so what is left is below its square."""
LIMIT = 200


def summed(place: Ints, value: Floats, size: int) -> Floats:
    """(size,): values added up by place."""
    return np.bincount(place, value, size).astype(np.float64, copy=False)


class Derivatives(NamedTuple):
    """First derivatives of the log-likelihood and the negatives of its second ones, summed over votes."""

    slope_BP: Floats
    """By the gap of each pair."""
    curve_BP: Floats
    tie_slope_B: Floats | None = None
    """By the tie parameter, where the model has one."""
    tie_curve_B: Floats | None = None
    cross_BP: Floats | None = None
    """By gap and tie parameter."""


class PairModel(Protocol):
    """How a gap b_i - b_j becomes the chances of the three outcomes."""

    @property
    def name(self) -> str:
        """As the command line calls it."""
        ...

    @property
    def tie_floor(self) -> float | None:
        """Lower bound of the tie parameter; None where the model has no such parameter."""
        ...

    def start_tie(self, counts_B3P: Floats) -> Floats:
        """(B,) tie parameters to begin with."""
        ...

    def derivatives(self, gap_BP: Floats, tie_B: Floats, counts_B3P: Floats) -> Derivatives:
        """Of the log-likelihood of these counts."""
        ...

    def scores(self, gap_P: Floats, tie: float) -> tuple[Floats, Floats]:
        """(3, P) derivatives of one vote's log-likelihood per outcome: by the gap, and by the tie parameter."""
        ...


class Pairs:
    """The pairs that met, as matrices that gather and scatter."""

    def __init__(self, first_P: Ints, second_P: Ints, num_models: int) -> None:
        self.first_P, self.second_P, self.num_models = first_P, second_P, num_models
        rows = np.arange(len(first_P))
        signs = np.concatenate([np.ones(len(first_P)), -np.ones(len(first_P))])
        places = (np.concatenate([rows, rows]), np.concatenate([first_P, second_P]))
        self.incidence_PM = sparse.csr_array((signs, places), shape=(len(first_P), num_models))

    def gaps(self, strength_BM: Floats) -> Floats:
        """(B, P) of b_i - b_j."""
        return strength_BM[:, self.first_P] - strength_BM[:, self.second_P]

    def scatter(self, value_BP: Floats) -> Floats:
        """(B, M): what pairs say, added to their first model and taken from their second."""
        return np.asarray((self.incidence_PM.T @ value_BP.T).T)

    def laplacian(self, value_BP: Floats) -> Floats:
        """(B, M, M): sum over pairs of value (e_i - e_j)(e_i - e_j)'."""
        size = self.num_models
        whole = np.zeros((len(value_BP), size, size))
        whole[:, self.first_P, self.second_P] = -value_BP
        whole[:, self.second_P, self.first_P] = -value_BP
        diagonal = np.arange(size)
        whole[:, diagonal, diagonal] = -whole.sum(axis=2)
        return whole


def information(pairs: Pairs, found: Derivatives, ridge_B: Floats) -> Floats:
    """(B, M, M), or (B, M + 1, M + 1) with a tie parameter: the negative second derivatives.

    The likelihood doesn't know the level of all strengths together; a weight on their sum, of the size of the rest,
    makes the matrix invertible and leaves every difference as it is.
    """
    size = pairs.num_models
    matrix = pairs.laplacian(found.curve_BP)
    diagonal = np.arange(size)
    matrix[:, diagonal, diagonal] += ridge_B[:, None]
    matrix += (np.trace(matrix, axis1=1, axis2=2) / size**2)[:, None, None]
    if found.cross_BP is None or found.tie_curve_B is None:
        return matrix
    border = pairs.scatter(found.cross_BP)
    whole = np.empty((len(matrix), size + 1, size + 1))
    whole[:, :size, :size] = matrix
    whole[:, :size, size] = whole[:, size, :size] = border
    whole[:, size, size] = found.tie_curve_B
    return whole


def maximise(
    model: PairModel,
    pairs: Pairs,
    counts_B3P: Floats,
    *,
    ridge_B: Floats,
    strength_BM: Floats | None = None,
    tie_B: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Most likely strengths and tie parameters of each table, less the ridge: sum of log-likelihood - ridge/2 |b|^2.

    Args:
        model: Bradley-Terry, Rao-Kupper or Davidson.
        pairs: Who met.
        counts_B3P: How often each pair ended how.
        ridge_B: Precision of the prior on each centred strength, in log-odds; 0 where none is wanted.
        strength_BM: Where to begin; all equal if not given.
        tie_B: Likewise.

    Returns:
        (B, M) strengths in log-odds with mean zero, and (B,) tie parameters.

    Raises:
        DataError: it did not settle, because the votes determine no finite strengths.
    """
    batch, size = len(counts_B3P), pairs.num_models
    strength = np.zeros((batch, size)) if strength_BM is None else strength_BM.copy()
    tie = model.start_tie(counts_B3P) if tie_B is None else tie_B.copy()
    for _ in range(LIMIT):
        found = model.derivatives(pairs.gaps(strength), tie, counts_B3P)
        slope = pairs.scatter(found.slope_BP) - ridge_B[:, None] * strength
        if found.tie_slope_B is not None:
            slope = np.concatenate([slope, found.tie_slope_B[:, None]], axis=1)
        solved = np.linalg.solve(information(pairs, found, ridge_B), slope[:, :, None])
        step: Floats = np.asarray(solved[:, :, 0], dtype=np.float64)
        reach = np.ptp(step[:, :size], axis=1) + np.abs(step[:, size:]).sum(axis=1)
        step *= _damping(reach, step[:, size:], tie, model.tie_floor)[:, None]
        strength += step[:, :size] - step[:, :size].mean(axis=1, keepdims=True)
        if found.tie_slope_B is not None:
            tie = tie + step[:, size]
        if not np.isfinite(reach).all():
            break
        if reach.max() < TOLERANCE:
            return strength, tie
    raise DataError("the ratings do not settle", f"{model.name} on {size} models", "more votes, or a stronger prior")


def _damping(reach: Floats, tie_step: Floats, tie: Floats, floor: float | None) -> Floats:
    """(B,) share of the Newton step to take; nine tenths of the way to the tie parameter's floor at most."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(reach > 0, np.log1p(reach) / reach, 1.0)
        if tie_step.shape[1] and floor is not None:
            down = -tie_step[:, 0]
            share = np.where(down > 0, np.minimum(share, 0.9 * (tie - floor) / down), share)
    return share
