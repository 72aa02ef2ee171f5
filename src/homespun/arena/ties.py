"""Models with a chance of a tie: Rao and Kupper (1967) and Davidson (1970).

Rao and Kupper, Ties in paired-comparison experiments, JASA 62 (1967), with theta = e^eta >= 1 and s the logistic curve:

    P(i beats j) = pi_i / (pi_i + theta pi_j) = s(gap - eta)                                  (1)
    P(tie)       = (theta^2 - 1) pi_i pi_j / ((pi_i + theta pi_j)(theta pi_i + pi_j))         (2)
                 = (1 - e^{-2 eta}) s(eta + gap) s(eta - gap)

Davidson, On extending the Bradley-Terry model to accommodate ties, JASA 65 (1970), with nu = e^delta > 0:

    P(i beats j) : P(j beats i) : P(tie) = pi_i : pi_j : nu sqrt(pi_i pi_j)                   (3)

Both are concave in (b, eta) and (b, delta). Where the paper's parameter would run away (no tie at all, or nothing but
ties) we refuse: without a tie both are Bradley-Terry, so ask for that. "Both bad" is a tie here too. One gap b_i - b_j
means different things: in Davidson's model e^gap are the odds of the votes that chose, under Bradley-Terry those of
points, with ties as half; so ratings of different methods are not on one scale.

Axes as in `newton`.
"""

import numpy as np
from scipy.special import expit

from homespun.arena.newton import FIRST, SECOND, TIE, Derivatives, Floats
from homespun.errors import DataError


def _shares(counts_B3P: Floats, name: str) -> Floats:
    """(B,) share of ties, strictly between 0 and 1.

    Raises:
        DataError: no tie, or nothing but ties.
    """
    share = counts_B3P[:, TIE].sum(axis=1) / counts_B3P.sum(axis=(1, 2))
    if (share <= 0).any() or (share >= 1).any():
        what = "there is no tie" if (share <= 0).any() else "every vote is a tie"
        raise DataError(f"{what}, so that {name} has no finite tie parameter", "votes", "--method bt")
    return share


class RaoKupper:
    """Equations (1) and (2); the tie parameter is eta = ln theta > 0, a threshold of what a voter can tell apart."""

    name = "rao-kupper"
    tie_floor = 0.0

    def start_tie(self, counts_B3P: Floats) -> Floats:
        """Eta at which equal models would tie as often as was seen: share = (theta - 1) / (theta + 1)."""
        share = _shares(counts_B3P, self.name)
        return np.log((1 + share) / (1 - share))

    def derivatives(self, gap_BP: Floats, tie_B: Floats, counts_B3P: Floats) -> Derivatives:
        """Of win_i ln s(gap - eta) + win_j ln s(-gap - eta) + tie ln of (2)."""
        eta = tie_B[:, None]
        one, other = expit(gap_BP - eta), expit(-gap_BP - eta)
        win, loss, tie = counts_B3P[:, FIRST], counts_B3P[:, SECOND], counts_B3P[:, TIE]
        lost_i, lost_j = win * (1 - one), loss * (1 - other)
        curve_i, curve_j = (win + tie) * one * (1 - one), (loss + tie) * other * (1 - other)
        ties = tie.sum(axis=1)
        return Derivatives(
            slope_BP=lost_i - lost_j + tie * (other - one),
            curve_BP=curve_i + curve_j,
            tie_slope_B=(tie * (one + other) - lost_i - lost_j).sum(axis=1) + 2 * ties / np.expm1(2 * tie_B),
            tie_curve_B=(curve_i + curve_j).sum(axis=1) + ties / np.sinh(tie_B) ** 2,
            cross_BP=curve_j - curve_i,
        )

    def scores(self, gap_P: Floats, tie: float) -> tuple[Floats, Floats]:
        """The same for one vote of each outcome."""
        one, other = expit(gap_P - tie), expit(-gap_P - tie)
        by_gap = np.array([1 - one, other - 1, other - one])
        return by_gap, np.array([one - 1, other - 1, one + other + 2 / np.expm1(2 * tie)])

    def chances(self, gap_P: Floats, tie: float) -> Floats:
        """(3, P) chances of the outcomes."""
        one, other = expit(gap_P - tie), expit(-gap_P - tie)
        return np.array([one, other, 1 - one - other])

    def constant(self, tie: float) -> float:
        """The paper's theta."""
        return float(np.exp(tie))


class Davidson:
    """Equation (3); the tie parameter is delta = ln nu."""

    name = "davidson"
    tie_floor = -np.inf

    def start_tie(self, counts_B3P: Floats) -> Floats:
        """Delta at which equal models would tie as often as was seen: share = nu / (2 + nu)."""
        share = _shares(counts_B3P, self.name)
        return np.log(2 * share / (1 - share))

    def derivatives(self, gap_BP: Floats, tie_B: Floats, counts_B3P: Floats) -> Derivatives:
        """Of a softmax over (gap / 2, -gap / 2, delta)."""
        one, other, draw = self._chances(gap_BP, tie_B[:, None])
        played = counts_B3P.sum(axis=1)
        mean = 0.5 * (one - other)
        return Derivatives(
            slope_BP=0.5 * (counts_B3P[:, FIRST] - counts_B3P[:, SECOND]) - played * mean,
            curve_BP=played * (0.25 * (one + other) - mean**2),
            tie_slope_B=(counts_B3P[:, TIE] - played * draw).sum(axis=1),
            tie_curve_B=(played * draw * (1 - draw)).sum(axis=1),
            cross_BP=-played * mean * draw,
        )

    def scores(self, gap_P: Floats, tie: float) -> tuple[Floats, Floats]:
        """The same for one vote of each outcome."""
        one, other, draw = self._chances(gap_P, tie)
        by_gap = np.array([[0.5], [-0.5], [0.0]]) - 0.5 * (one - other)
        return by_gap, np.array([[0.0], [0.0], [1.0]]) - draw

    def chances(self, gap_P: Floats, tie: float) -> Floats:
        """(3, P) chances of the outcomes."""
        return np.array(self._chances(gap_P, tie))

    def constant(self, tie: float) -> float:
        """The paper's nu."""
        return float(np.exp(tie))

    @staticmethod
    def _chances(gap: Floats, tie: Floats | float) -> tuple[Floats, Floats, Floats]:
        logits = np.array(np.broadcast_arrays(0.5 * gap, -0.5 * gap, tie))
        odds = np.exp(logits - logits.max(axis=0))
        one, other, draw = odds / odds.sum(axis=0)
        return one, other, draw
