"""How sure a rating is: the sandwich from the fit alone, and the bootstrap over votes.

Sandwich (Huber 1967; White 1982): Cov(b) = H^-1 G H^-1, with H the negative second derivative of the log-likelihood
and G the sum over votes of the outer product of their scores. It holds where the model is not quite right, as with ties
that count as half: then H alone would claim too wide an interval.

Bootstrap (Efron 1979): votes drawn anew, with replacement. Votes of one cell (pair, outcome, weight) are alike, so a
resample is one multinomial draw of how many fall into each cell, and all resamples are fitted side by side from the
strengths of the whole. Where a resample has a model that never lost or never won, it gets the weak prior of `rank`,
instead of being skipped as in the released code, which would leave out just the resamples that say "unsure".

A rating is measured from the mean, or from the anchor's; so is its interval. The anchor's own is a point.

Axes as in `newton`; C cells of equal votes.
"""

import numpy as np
from scipy import sparse
from scipy.stats import norm

from homespun.arena.newton import Floats, PairModel, information, maximise
from homespun.arena.rank import ELO, PRIOR, Fit, elo, strongly_connected
from homespun.arena.votes_table import Counts

BLOCK = 4_000_000
"""Numbers per array that are worked on at a time."""
Anchor = tuple[int, float] | None


def sandwich(counts: Counts, model: PairModel, fit: Fit) -> Floats:
    """(M, M) covariance of the strengths, in log-odds; it means something for differences only."""
    pairs = counts.pairs
    gap = pairs.gaps(fit.strength_M[None])
    found = model.derivatives(gap, np.array([fit.tie]), counts.weighted_3P[None])
    inverse = np.linalg.inv(information(pairs, found, np.array([fit.prior]))[0])
    by_gap, by_tie = model.scores(gap[0], fit.tie)
    square = counts.table(counts.number_C * counts.weight_C**2)
    meat = pairs.laplacian((square * by_gap**2).sum(axis=0)[None])[0]
    if len(inverse) > len(meat):
        border = pairs.scatter((square * by_gap * by_tie).sum(axis=0)[None])[0]
        meat = np.block([[meat, border[:, None]], [border[None], np.full((1, 1), (square * by_tie**2).sum())]])
    size = pairs.num_models
    return (inverse @ meat @ inverse)[:size, :size]


def sandwich_interval(rating: Floats, covariance: Floats, anchor: Anchor, level: float = 0.95) -> tuple[Floats, Floats]:
    """Low and high ends (M,) around ratings on the Elo scale."""
    half = norm.ppf((1 + level) / 2) * ELO * np.sqrt(np.maximum(variance(covariance, anchor), 0))
    return rating - half, rating + half


def variance(covariance: Floats, anchor: Anchor = None) -> Floats:
    """(M,) variance of each strength's distance from the mean of all, or from the anchor's."""
    if anchor is None:
        return np.diag(covariance) - 2 * covariance.mean(axis=1) + covariance.mean()
    index = anchor[0]
    return np.diag(covariance) - 2 * covariance[:, index] + covariance[index, index]


def bootstrap(counts: Counts, model: PairModel, fit: Fit, *, num_resamples: int = 100, seed: int = 0) -> Floats:
    """(B, M) strengths of as many resamples of the votes; the same seed and votes give the same.

    Raises:
        DataError: a resample did not settle.
    """
    generator = np.random.default_rng(seed)
    total, chance = counts.num_votes, counts.number_C / counts.number_C.sum()
    size = len(counts.models)
    cells = (np.ones(len(chance)), (counts.place_C, np.arange(len(chance))))
    places = sparse.csr_array(cells, shape=(3 * counts.num_pairs, len(chance)))
    block = max(1, BLOCK // max(size**2, len(chance), 3 * counts.num_pairs))
    found: list[Floats] = []
    for start in range(0, num_resamples, block):
        batch = min(block, num_resamples - start)
        drawn = generator.multinomial(total, chance, size=batch) * counts.weight_C
        table = np.asarray((places @ drawn.T).T).reshape(batch, 3, counts.num_pairs)
        ridge = np.where(strongly_connected(counts, table), fit.prior, max(PRIOR, fit.prior))
        warm = (np.tile(fit.strength_M, (batch, 1)), np.full(batch, fit.tie))
        strength, _ = maximise(model, counts.pairs, table, ridge_B=ridge, strength_BM=warm[0], tie_B=warm[1])
        found.append(strength)
    return np.concatenate(found)


def percentile_interval(strength_BM: Floats, anchor: Anchor, level: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Low end, median and high end (M,) of the resampled ratings on the Elo scale."""
    low, median, high = np.quantile(elo(strength_BM, anchor), [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
    return low, median, high
