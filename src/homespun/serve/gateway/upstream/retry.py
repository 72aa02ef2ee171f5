"""When to call the same target again, and after how long."""

import random

from homespun.serve.gateway.config import Retries

_random = random.Random()


def pause(retries: Retries, attempt: int, asked: float | None) -> float:
    """Seconds before the next attempt: full jitter, at least what the upstream asked for.

    Drawn evenly from 0 to ``base · 2^(attempt-1)``, at most ``cap`` (Brooker, "Exponential backoff and jitter",
    AWS Architecture Blog, 2015).

    Args:
        retries: The settings.
        attempt: Number of attempts made, from 1.
        asked: ``Retry-After``.
    """
    longest = min(retries.cap, retries.base * 2.0 ** (attempt - 1))
    return max(_random.uniform(0.0, longest), asked or 0.0)


def cooling(retries: Retries, strikes: int, asked: float | None) -> float:
    """Seconds for which a key rests that the upstream answered with 429."""
    return asked if asked is not None else min(retries.cap, retries.base * 2.0 ** min(strikes, 20))
