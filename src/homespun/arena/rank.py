"""Bradley-Terry ratings from counts of votes.

Bradley and Terry, Rank analysis of incomplete block designs, Biometrika 39 (1952):

    P(i beats j) = e^{b_i} / (e^{b_i} + e^{b_j})                                             (1)

BigCodeArena (arXiv:2510.08697) fits it to its votes, a tie and a "both bad" counting as half a win for either; the
rating is R = 1000 + 400 / ln 10 * b with b centred, so that 400 points are odds of ten to one (2). We differ from the
released code, which multiplies by 400 alone (its gaps are 2.303 times too wide), which counts the ties of only one
order of a pair, and which lets an unbeaten model run to infinity or falls back to online Elo.

The most likely b is finite exactly when the models can't be split into two sets of which one never lost a point to
the other (Ford, 1957): the graph of points taken is strongly connected. Then there is no prior at all. Where it
isn't, for a model that never lost or never won, a normal prior with precision `PRIOR` on every centred b keeps the
ratings finite, and the table says so. Models that never met, not even through others, can't be compared: refused.

Axes as in `newton`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from homespun.arena.newton import FIRST, SECOND, TIE, Derivatives, Floats, PairModel, maximise
from homespun.arena.votes_table import Counts
from homespun.errors import DataError

Bools = NDArray[np.bool_]
ELO = 400 / math.log(10)
"""Points per unit of log-odds, equation (2)."""
MEAN = 1000.0
"""Mean rating where no model is the anchor."""
PRIOR = 0.1
"""Precision of the weak prior in log-odds: a standard deviation of 549 points."""


class Fit(NamedTuple):
    """Most likely strengths."""

    strength_M: Floats
    """b in log-odds, mean zero, in the order of the counts' models."""
    tie: float
    """The model's own tie parameter; NaN for Bradley-Terry."""
    prior: float
    """Precision of the prior that was needed; 0 where none was."""


class BradleyTerry:
    """Equation (1); a tie is half a win."""

    name = "bt"
    tie_floor = None

    def start_tie(self, counts_B3P: Floats) -> Floats:
        """There is no tie parameter."""
        return np.full(len(counts_B3P), np.nan)

    def derivatives(self, gap_BP: Floats, tie_B: Floats, counts_B3P: Floats) -> Derivatives:
        """Points won less points expected, and n p (1 - p)."""
        won = counts_B3P[:, FIRST] + 0.5 * counts_B3P[:, TIE]
        played = won + counts_B3P[:, SECOND] + 0.5 * counts_B3P[:, TIE]
        chance = expit(gap_BP)
        expected = played * chance
        return Derivatives(won - expected, expected * (1 - chance))

    def scores(self, gap_P: Floats, tie: float) -> tuple[Floats, Floats]:
        """Outcome 1, 0 or one half, less what was expected."""
        return np.array([[1.0], [0.0], [0.5]]) - expit(gap_P), np.zeros((3, len(gap_P)))


def fit(counts: Counts, model: PairModel, *, prior: float | None = None) -> Fit:
    """Most likely strengths of the models.

    Args:
        counts: Votes.
        model: `BradleyTerry`, `ties.RaoKupper` or `ties.Davidson`.
        prior: Precision of the prior on each centred strength; by default 0 where the votes determine finite
            strengths, else `PRIOR`.

    Raises:
        DataError: some models never met the others, not even through third ones.
    """
    require_connected(counts)
    table = counts.weighted_3P[None]
    if prior is None:
        prior = 0.0 if strongly_connected(counts, table)[0] else PRIOR
    strength, tie = maximise(model, counts.pairs, table, ridge_B=np.array([prior]))
    return Fit(strength[0], float(tie[0]), prior)


def elo(strength: Floats, anchor: tuple[int, float] | None = None) -> Floats:
    """Ratings of strengths (..., M): mean 1000, or the anchor's model at the anchor's value. Equation (2)."""
    if anchor is None:
        return MEAN + ELO * (strength - strength.mean(axis=-1, keepdims=True))
    index, value = anchor
    return value + ELO * (strength - strength[..., index : index + 1])


def require_connected(counts: Counts) -> None:
    """Refuses votes that leave two groups of models without a common scale.

    Raises:
        DataError: naming one model of each of two groups.
    """
    size = len(counts.models)
    where = (counts.pairs.first_P, counts.pairs.second_P)
    number, label_M = connected_components(csr_array((np.ones(counts.num_pairs), where), shape=(size, size)), False)
    if number > 1:
        one, other = counts.models[0], counts.models[int(np.flatnonzero(label_M != label_M[0])[0])]
        raise DataError(
            f"the models fall into {number} groups that never met: {one[:40]!r} cannot be compared with {other[:40]!r}",
            "votes",
            "votes between the groups, or each group alone",
        )


def strongly_connected(counts: Counts, table_B3P: Floats) -> Bools:
    """(B,) whether every model took a point, straight or through others, from every other (Ford's condition)."""
    size = len(counts.models)
    first, second = counts.pairs.first_P, counts.pairs.second_P
    took = np.zeros((len(table_B3P), size, size), dtype=np.float32)
    took[:, first, second] = table_B3P[:, FIRST] + table_B3P[:, TIE] > 0
    took[:, second, first] = table_B3P[:, SECOND] + table_B3P[:, TIE] > 0
    return _reaches_all(took) & _reaches_all(took.transpose(0, 2, 1))


def _reaches_all(
    edge_BMM: NDArray[np.float32],
) -> Bools:
    """Whether the first model reaches all others, by breadth-first search of all graphs at once."""
    seen = np.zeros((len(edge_BMM), 1, edge_BMM.shape[1]), dtype=np.float32)
    seen[:, 0, 0] = 1
    while True:
        more = np.minimum(seen + seen @ edge_BMM, 1)
        if (more == seen).all():
            return np.asarray(seen[:, 0].all(axis=1))
        seen = more


def never_lost_or_won(counts: Counts) -> list[str]:
    """Models that gave away no point, or took none: those for which the weak prior is most needed."""
    table, size = counts.weighted_3P, len(counts.models)
    half = 0.5 * table[TIE]
    first, second = counts.pairs.first_P, counts.pairs.second_P
    taken = np.bincount(first, table[FIRST] + half, size) + np.bincount(second, table[SECOND] + half, size)
    given = np.bincount(first, table[SECOND] + half, size) + np.bincount(second, table[FIRST] + half, size)
    return [counts.models[i] for i in np.flatnonzero((taken == 0) | (given == 0))]
