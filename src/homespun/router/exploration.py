"""Exploration that costs little: Thompson sampling among the arms that are nearly the best, with exact propensities.

EMAFusion §6 [X]: only arms within ε of the best expected quality are tried. Of these, arm j is worth
θ_j ~ N(utility_j, spread_j²) and the largest draw wins (Thompson 1933; Chapelle and Li 2011). Where we differ from the
usual practice of estimating a propensity by drawing many times: the probability that was used is computed,

    P(j wins) = ∫ φ((x - u_j)/s_j)/s_j · ∏_{i≠j} Φ((x - u_i)/s_i) dx,

closed for one and two arms, else by Gauss–Legendre between knots that lie within two spreads of every arm, which leaves
an error of less than 10⁻⁹. The winner is then drawn from these probabilities with a single uniform number, so the same
numbers and the same seed give the same choice on any machine.

Legend: k arms, s of them safe, x knots and nodes of the integral.
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from homespun.errors import ConfigError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

KNOTS = np.linspace(-8.0, 8.0, 9)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
MIN_SPREAD = 1e-9
"""Spread that a certain arm gets beside uncertain ones, so that ties and densities stay defined."""


class Choice(NamedTuple):
    """The arm to ask and the probability with which it was going to be chosen."""

    arm: int
    propensity: float


def choose(
    utility: ArrayLike,
    quality: ArrayLike,
    allowed: ArrayLike,
    *,
    epsilon: float,
    spread: ArrayLike,
    rng: np.random.Generator,
) -> Choice:
    """Chooses an arm of the ε-safe set.

    Args:
        utility: (k,) expected score less the price of money.
        quality: (k,) expected score, 0–1.
        allowed: (k,) whether the arm may serve the request at all.
        epsilon: Expected score that may be given up; 0 explores only among equals.
        spread: Standard deviation of each utility, one number or (k,); 0: no exploration.
        rng: Source of the one uniform number that is drawn.

    Raises:
        ConfigError: no arm is allowed, or a number is out of range.
    """
    chances = probabilities(utility, quality, allowed, epsilon=epsilon, spread=spread)
    edge = np.cumsum(chances)
    arm = int(np.searchsorted(edge, rng.random() * edge[-1], side="right"))
    if arm >= len(chances) or chances[arm] <= 0.0:  # the uniform number fell on a rounding error
        arm = int(np.argmax(chances))
    return Choice(arm, float(chances[arm]))


def probabilities(
    utility: ArrayLike, quality: ArrayLike, allowed: ArrayLike, *, epsilon: float, spread: ArrayLike
) -> Floats:
    """(k,) probability of each arm under `choose`; they sum to one, and are zero outside the ε-safe set.

    Raises:
        ConfigError: no arm is allowed, or a number is out of range.
    """
    u, q = np.asarray(utility, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    safe = np.flatnonzero(safe_set(q, np.asarray(allowed, dtype=np.bool_), epsilon))
    wide = np.broadcast_to(np.asarray(spread, dtype=np.float64), u.shape)[safe]
    if not (wide >= 0).all() or not np.isfinite(u[safe]).all():
        raise ConfigError("a spread below zero, or a utility that is not finite", "exploration", "finite numbers")
    chances = np.zeros(len(u))
    chances[safe] = _winning(u[safe], wide)
    return chances


def safe_set(quality: Floats, allowed: Flags, epsilon: float) -> Flags:
    """(k,) arms that are allowed and within ε of the best allowed expected quality.

    Raises:
        ConfigError: no arm is allowed, or ε is below zero.
    """
    if not allowed.any() or not epsilon >= 0:
        raise ConfigError("no arm is allowed, or ε is below zero", "exploration", "at least one arm, ε from 0")
    return allowed & (quality >= quality[allowed].max() - epsilon)


def seeded(text: str) -> np.random.Generator:
    """A generator that depends on a text alone, for instance a request's id: what makes a decision repeatable."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def _winning(u: Floats, spread: Floats) -> Floats:
    """(s,) probability that each arm's draw is the largest."""
    if len(u) == 1 or not spread.any():
        return (np.arange(len(u)) == int(np.argmax(u))).astype(np.float64)
    if len(u) == 2:
        first = float(ndtr((u[0] - u[1]) / math.hypot(*spread)))
        return np.array([first, 1.0 - first])
    s = np.maximum(spread, MIN_SPREAD * max(float(spread.max()), 1.0))
    knots = np.unique(u[:, None] + s[:, None] * KNOTS)
    half = np.diff(knots)[:, None] / 2.0
    x = (knots[:-1, None] + half + half * NODES).ravel()
    z = (x - u[:, None]) / s[:, None]
    below = ndtr(z)
    density = np.exp(-0.5 * z * z) / (s[:, None] * math.sqrt(2.0 * math.pi))
    found = (density * _others(below)) @ (half * WEIGHTS).ravel()
    return found / found.sum()


def _others(below: Floats) -> Floats:
    """(s, x) products of all rows but one's own, without dividing by what may be zero."""
    ahead, behind = np.ones_like(below), np.ones_like(below)
    np.cumprod(below[:-1], axis=0, out=ahead[1:])
    behind[:-1] = np.cumprod(below[:0:-1], axis=0)[::-1]
    return ahead * behind
