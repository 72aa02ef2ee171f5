"""Warm-up, stable, cool-down (WSD): the learning rate by tokens seen (systems page, section 4.3).

Linear warm-up from a tenth of the peak, constant, and a cool-down over the last tokens:

    η = η_min + (η_max − η_min)(1 − √p),   p ∈ [0, 1] how much of the cool-down has passed

A run can be made longer, or cooled down from any of its checkpoints, without having known its end at the beginning.
"""

import math
from dataclasses import dataclass

from homespun.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Learning rate over a run; lengths are in tokens, so that a growing batch changes nothing."""

    peak: float
    total: int
    """Tokens of the run."""
    warmup: int
    cooldown: int
    first: float = 0.1
    """At the beginning, of the peak."""
    last: float = 0.1
    """At the end, of the peak."""

    def __post_init__(self) -> None:
        if self.warmup < 0 or self.cooldown < 0 or self.warmup + self.cooldown > self.total:
            text = f"warmup {self.warmup:,} and cooldown {self.cooldown:,} don't fit into {self.total:,} tokens"
            raise ConfigError(text, "schedule", "shorter ones")

    def at(self, tokens: int) -> float:
        """Learning rate when so many tokens have been seen."""
        if tokens < self.warmup:
            return self.peak * (self.first + (1 - self.first) * tokens / self.warmup)
        left = self.total - self.cooldown
        if tokens <= left or not self.cooldown:
            return self.peak
        passed = min((tokens - left) / self.cooldown, 1.0)
        return self.peak * (self.last + (1 - self.last) * (1 - math.sqrt(passed)))
