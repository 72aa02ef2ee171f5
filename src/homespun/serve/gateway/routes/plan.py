"""Which targets are asked, in what order, and whether a cascade of them saves anything.

EMAFusion §5: cheap before dear, dominated ones dropped, from the router's choice upward, at most so many tiers; and the
break-even rule: of the strong tier's cost a cascade saves 1 - c_cheap/c_strong - e - c_judge/c_strong, e the share of
requests that go on; below 5 % there is no cascade.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homespun.serve.gateway.config import Target

TYPICAL_OUTPUT = 400
"""Tokens of an answer for which prices are compared where no router knows better."""
LEAST_SAVING = 0.05
"""Share of the strong tier's cost that a cascade must save."""
PRIOR_WENT, PRIOR_SEEN = 3.0, 10.0
"""What is believed of a tier nothing is known of: three of ten requests go on."""
HALF_LIFE = 3600.0
"""Seconds in which what was seen loses half its weight, so that a cascade that was given up is tried again."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A target that can serve a request, and what is expected of it."""

    target: Target
    cost: float
    """Nanodollars of a call."""
    quality: float | None = None
    """Probability of a right answer, where a router knows."""


def ladder(tiers: Sequence[Tier], most: int, *, start: Tier | None = None) -> list[Tier]:
    """The tiers of a cascade: cheap before dear, dominated ones dropped, at most so many.

    A tier is dominated if another costs no more and is at least as good, and one of the two is better. Where more are
    left than may be asked, the first and the dearest stay, and of the rest those at even steps.

    Args:
        tiers: All that can serve the request.
        most: Tiers at most.
        start: The router's choice; cheaper ones are left out.
    """
    ranked = sorted(tiers, key=lambda tier: tier.cost)
    kept = [tier for tier in ranked if not any(_dominates(other, tier) for other in ranked)]
    if start is not None:
        kept = [start, *(tier for tier in kept if tier.cost > start.cost)]
    if len(kept) <= most:
        return kept
    if most == 1:
        return kept[:1]
    return [kept[round(i * (len(kept) - 1) / (most - 1))] for i in range(most)]


def _dominates(other: Tier, tier: Tier) -> bool:
    if other.quality is None or tier.quality is None:
        return False
    no_worse = other.cost <= tier.cost and other.quality >= tier.quality
    return no_worse and (other.cost < tier.cost or other.quality > tier.quality)


def saving(cheap: float, strong: float, escalation: float, judging: float) -> float:
    """Share of the strong tier's cost that a cascade saves; 0 where the strong tier costs nothing.

    Args:
        cheap: Cost of the first tier.
        strong: Cost of the last tier.
        escalation: Share of requests that go on, 0–1.
        judging: What judging the first tier's answer costs.
    """
    return 1.0 - cheap / strong - escalation - judging / strong if strong > 0 else 0.0


class Escalations:
    """How often a tier's answer in a cell was not the end; old observations fade."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, float, float]] = {}

    def rate(self, cell: str, target: str) -> float:
        """Expected share of requests that go on from this tier, 0–1."""
        went, seen = self._faded(cell, target)
        return (went + PRIOR_WENT) / (seen + PRIOR_SEEN)

    def note(self, cell: str, target: str, *, went_on: bool) -> None:
        """Counts one request."""
        went, seen = self._faded(cell, target)
        self._seen[cell, target] = (went + went_on, seen + 1.0, self._clock())

    def _faded(self, cell: str, target: str) -> tuple[float, float]:
        went, seen, last = self._seen.get((cell, target), (0.0, 0.0, 0.0))
        weight = 0.5 ** ((self._clock() - last) / HALF_LIFE)
        return went * weight, seen * weight
