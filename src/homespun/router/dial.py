"""The user's dial μ: what a point of score is worth in money, its presets, and the way from a wish to a setting.

EMAFusion §4.3 [X]: q̂ - μ·ĉ/c_ref, presets ``quality``, ``balanced``, ``economy``, or "accuracy at least A at least
cost" by bisection of μ on held-out replay. c_ref is the mean cost of the best single arm, so μ = 0.1 gives up ten
points of expected score for the price of one such call. Presets are fixed on validation prompts.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from homespun.errors import ConfigError

DIAL = (0.0, *(float(f"{mu:.4g}") for mu in np.geomspace(0.006, 2.0, 23)))
"""The settings that every router is fitted for, dear to cheap."""
PRESETS = ("quality", "balanced", "economy")
SHARES: Mapping[str, float] = {"balanced": 0.32, "economy": 0.10}
"""Most of the reference cost that a preset may spend on validation prompts; quality may spend anything."""


class Point(NamedTuple):
    """One setting on a set of prompts."""

    mu: float
    score: float
    cost: float


def presets(points: list[Point], reference: float) -> dict[str, float]:
    """The μ of each preset: the best validation score within the preset's share of the reference cost.

    Among equal scores the cheapest; where no setting is that cheap, the cheapest of all.

    Args:
        points: Validation score and mean dollars of each setting.
        reference: Mean dollars of the best single arm on the same prompts.
    """
    cheapest = min(points, key=lambda point: (point.cost, -point.score))
    chosen: dict[str, float] = {}
    for name in PRESETS:
        most = SHARES.get(name, np.inf) * reference
        affordable = [point for point in points if point.cost <= most] or [cheapest]
        chosen[name] = max(affordable, key=lambda point: (point.score, -point.cost)).mu
    return chosen


def nearest(mu: float, settings: Mapping[float, object] | tuple[float, ...]) -> float:
    """The fitted setting nearest to a wished one.

    Raises:
        ConfigError: μ is negative or not a number.
    """
    if not mu >= 0:
        raise ConfigError(f"μ = {mu}", "dial", "a number from 0")
    return min(settings, key=lambda known: (abs(known - mu), known))


def bisect(score: Callable[[float], float], wanted: float, *, low: float = 0.0, high: float = 4.0) -> float:
    """The largest μ, hence the least cost, at which ``score(μ)`` still reaches ``wanted``.

    Args:
        score: Held-out score at a setting; falls as μ rises.
        wanted: Score to reach.
        low: A setting assumed good enough.
        high: A setting above which nobody looks.

    Raises:
        ConfigError: even the dearest setting does not reach it.
    """
    if score(low) < wanted:
        raise ConfigError(f"no setting reaches {wanted:.1%}", "dial", f"at most {score(low):.1%}")
    if score(high) >= wanted:
        return high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) >= wanted else (low, middle)
    return low
