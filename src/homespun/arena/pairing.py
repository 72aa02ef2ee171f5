"""Whom to pair next.

BigCodeArena (arXiv:2510.08697, section 3) draws the pair {i, j} with

    p(i, j) = w_i w_j / sum_{k < l} w_k w_l                                                  (1)

w equal for settled models and raised for newcomers; the sides are then flipped by a fair coin. We draw from the table
of unordered pairs, which is (1) exactly. The released code draws one model and then its rival, which gives
w_i w_j (1 / (W - w_i) + 1 / (W - w_j)) instead: the same only when all weights are.

The active mode asks where one more vote helps most: with C = H^-1 the covariance of the strengths (H the information of
`rank`, under its weak prior so that a model without votes is merely unsure) and m the model of the widest interval, a
vote on (i, j), which adds p (1 - p) x x' to H with x = e_i - e_j, lowers the variance of m by (Sherman and Morrison)

    v (x' C e_m)^2 / (1 + v x' C x),   v = p (1 - p)                                          (2)

A pair chosen for sure has no propensity to weigh by, so a share `explore` of the active draws is by (1) and every
allowed pair keeps a chance. Each draw tells the chance of its unordered pair, for `settings.weighed`.

Left out of the paper's code: battle targets (a newcomer's listed rivals); (2) finds them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from homespun.arena.intervals import variance
from homespun.arena.newton import Floats, Ints
from homespun.arena.rank import PRIOR, Bools, BradleyTerry, Fit
from homespun.arena.votes_table import Counts
from homespun.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config:
    """How contestants are weighed."""

    boost: float = 2.0
    """Factor on the weight of a newcomer; 2 in the released code."""
    enough: int = 100
    """Votes from which a model is no newcomer any more."""
    explore: float = 0.3
    """Share of active draws that are by weight alone."""

    def __post_init__(self) -> None:
        if not (self.boost > 0 and np.isfinite(self.boost)):
            raise ConfigError(f"{self.boost} is no factor", "boost", "a number above 0")
        if not 0 < self.explore <= 1:
            raise ConfigError(f"{self.explore} is no share", "explore", "above 0 and up to 1, so that no pair is lost")


class Draw(NamedTuple):
    """Who meets, on which side, and how likely it was."""

    left: str
    right: str
    propensity: float
    """Chance of the unordered pair."""


class Pairing:
    """The table of allowed pairs of the moment; make a new one when contestants, outages or votes change.

    Axes: M contestants, P allowed unordered pairs (first before second).
    """

    def __init__(
        self,
        contestants: Sequence[str],
        *,
        weights: Mapping[str, float] | None = None,
        votes: Mapping[str, int] | None = None,
        outage: Iterable[str] = (),
        never_meet: Iterable[tuple[str, str]] = (),
        config: Config | None = None,
    ) -> None:
        """Builds the table.

        Args:
            contestants: Names, all different.
            weights: Base weight of some; 1 for the others.
            votes: How many votes each has had; 0 for the others, which makes them newcomers.
            outage: Contestants that can't answer now: weight 0.
            never_meet: Pairs that must not be drawn, in either order.
            config: Boost and exploration.

        Raises:
            ConfigError: names that repeat, a weight that is none, or no pair left to draw.
        """
        self.config = config or Config()
        self.contestants = list(contestants)
        if len(set(self.contestants)) < len(self.contestants):
            raise ConfigError("a contestant is there twice", "contestants", "different names")
        place = {name: index for index, name in enumerate(self.contestants)}
        weight_M = self._weights(dict(weights or {}), dict(votes or {}), set(outage))
        allowed = np.triu(np.ones((len(place), len(place)), dtype=bool), 1)
        for one, other in never_meet:
            if one in place and other in place:
                allowed[place[one], place[other]] = allowed[place[other], place[one]] = False
        product = np.where(allowed, weight_M[:, None] * weight_M, 0.0)
        first, second = np.nonzero(product)
        if len(first) == 0:
            raise ConfigError("no two contestants may meet", "contestants", "two that are up and may meet")
        self.first_P: Ints = first.astype(np.int64)
        self.second_P: Ints = second.astype(np.int64)
        self.chance_P: Floats = product[first, second] / product.sum()
        """Equation (1)."""

    def _weights(self, base: dict[str, float], votes: dict[str, int], outage: set[str]) -> Floats:
        wrong = [name for name, weight in base.items() if not (np.isfinite(weight) and weight >= 0)]
        if wrong:
            raise ConfigError(f"{base[wrong[0]]} is no weight", f"contestant {wrong[0]!r}", "a number from 0")
        newcomer = {name for name in self.contestants if votes.get(name, 0) < self.config.enough}
        boost = dict.fromkeys(newcomer, self.config.boost)
        return np.array(
            [0.0 if name in outage else base.get(name, 1.0) * boost.get(name, 1.0) for name in self.contestants]
        )

    def probabilities(self) -> dict[tuple[str, str], float]:
        """Chance of each pair that can be drawn by weight, names in the contestants' order."""
        names = self.contestants
        pairs = zip(self.first_P, self.second_P, self.chance_P, strict=True)
        return {(names[i], names[j]): float(chance) for i, j, chance in pairs}

    def draw(self, generator: np.random.Generator) -> Draw:
        """A pair by weight, sides by a fair coin."""
        return self._sided(generator.choice(len(self.chance_P), p=self.chance_P), self.chance_P, generator)

    def draw_active(self, generator: np.random.Generator, counts: Counts, fit: Fit) -> Draw:
        """The pair whose vote shrinks the widest interval most; a share ``explore`` of draws is by weight.

        Args:
            generator: Source of chance.
            counts: The votes so far; contestants that they don't name have none yet.
            fit: Strengths that were fitted to them.
        """
        explore = self.config.explore
        chance = explore * self.chance_P
        chance[int(np.argmax(self.reductions(counts, fit)))] += 1 - explore
        return self._sided(generator.choice(len(chance), p=chance / chance.sum()), chance, generator)

    def reductions(self, counts: Counts, fit: Fit) -> Floats:
        """(P,) by how much a vote on each pair would lower the widest variance. Equation (2), in log-odds squared."""
        strength, covariance = self._posterior(counts, fit)
        widest = int(np.argmax(np.where(self._playing(), variance(covariance), -np.inf)))
        chance = expit(strength[self.first_P] - strength[self.second_P])
        vote = chance * (1 - chance)
        diagonal = np.diag(covariance)
        spread = diagonal[self.first_P] + diagonal[self.second_P] - 2 * covariance[self.first_P, self.second_P]
        centred = covariance[:, widest] - covariance.mean(axis=1)
        return vote * (centred[self.first_P] - centred[self.second_P]) ** 2 / (1 + vote * spread)

    def _posterior(self, counts: Counts, fit: Fit) -> tuple[Floats, Floats]:
        """(M,) strengths and (M, M) covariance of the contestants, under the weak prior."""
        pairs, voted = counts.pairs, len(counts.models)
        gap = pairs.gaps(fit.strength_M[None])
        found = BradleyTerry().derivatives(gap, np.array([np.nan]), counts.weighted_3P[None])
        place = {name: index for index, name in enumerate(dict.fromkeys([*counts.models, *self.contestants]))}
        strength = np.zeros(len(place))
        strength[:voted] = fit.strength_M
        matrix = max(fit.prior, PRIOR) * np.eye(len(place))
        matrix[:voted, :voted] += pairs.laplacian(found.curve_BP)[0]
        here = [place[name] for name in self.contestants]
        covariance: Floats = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        return strength[here], covariance[np.ix_(here, here)]

    def _playing(self) -> Bools:
        playing = np.zeros(len(self.contestants), dtype=bool)
        playing[self.first_P] = playing[self.second_P] = True
        return playing

    def _sided(self, index: int, chance_P: Floats, generator: np.random.Generator) -> Draw:
        names = (self.contestants[self.first_P[index]], self.contestants[self.second_P[index]])
        left, right = names if generator.random() < 0.5 else names[::-1]
        return Draw(left, right, float(chance_P[index]))
