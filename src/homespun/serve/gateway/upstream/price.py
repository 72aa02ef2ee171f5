"""What tokens cost at a target, in whole nanodollars, rounded up once per call."""

from datetime import UTC, date, datetime
from fractions import Fraction
from math import lcm

from homespun.errors import ConfigError
from homespun.models.recorded import RECORDED_ON
from homespun.runs.cost import Rates, price
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import Usage
from homespun.serve.gateway.upstream.usage import Bound

NANO_PER_TOKEN = 1000
"""A dollar per million tokens, in nanodollars per token."""


class _Rates:
    """Whole numbers of 1/scale nanodollars per token."""

    __slots__ = ("cached", "input", "output", "reasoning", "scale")

    def __init__(self, given: float, cached: float | None, made: float, thought: float | None) -> None:
        raw = (given, given if cached is None else cached, made, made if thought is None else thought)
        exact = [Fraction(repr(float(rate))) * NANO_PER_TOKEN for rate in raw]
        self.scale = lcm(*(rate.denominator for rate in exact))
        self.input, self.cached, self.output, self.reasoning = (int(rate * self.scale) for rate in exact)


class Tariff:
    """The rates of a target; a provider may charge others for a prompt longer than ``over`` tokens."""

    __slots__ = ("_long", "_over", "_short")

    def __init__(self, short: _Rates, long: _Rates | None = None, over: int = 0) -> None:
        self._short, self._long, self._over = short, long, over

    def cost(self, usage: Usage) -> int:
        """Nanodollars of a call, rounded up."""
        rates = self._short if self._long is None or usage.input <= self._over else self._long
        total = (
            (usage.input - usage.cached) * rates.input
            + usage.cached * rates.cached
            + (usage.output - usage.reasoning) * rates.output
            + usage.reasoning * rates.reasoning
        )
        return -(-total // rates.scale)

    def most(self, tokens: Bound) -> int:
        """Nanodollars that a call within these tokens can cost at most."""
        worst = self._worst(self._short, tokens)
        return worst if self._long is None else max(worst, self._worst(self._long, tokens))

    @staticmethod
    def _worst(rates: _Rates, tokens: Bound) -> int:
        dearest_in, dearest_out = max(rates.input, rates.cached), max(rates.output, rates.reasoning)
        return -(-(tokens.input * dearest_in + tokens.output * dearest_out) // rates.scale)


def tariff(target: Target, on: date | None = None) -> Tariff:
    """What a target costs: by its own price, else by the dated table (of mid-2023 for recorded answers).

    Args:
        target: ``local`` and ``scripted`` ones are free unless they name a price.
        on: The day, today unless given.

    Raises:
        ConfigError: no price is known; says what to write.
    """
    if (own := target.price) is not None:
        return Tariff(_Rates(own.input, own.cached_input, own.output, own.reasoning))
    if target.kind in ("local", "scripted"):
        return Tariff(_Rates(0.0, 0.0, 0.0, 0.0))
    day = RECORDED_ON if target.kind == "recorded" else (on or datetime.now(UTC).date())
    try:
        found = price(target.model, day)
    except ConfigError:
        what = f"no price is known for model {target.model[:80]!r}"
        hint = "price = { input = 1.0, output = 2.0 } in dollars per million tokens"
        raise ConfigError(what, f"target {target.name!r}", hint) from None
    long = None if found.long is None else _of(found.long)
    return Tariff(_of(found), long, found.long.over if found.long is not None else 0)


def _of(rates: Rates) -> _Rates:
    return _Rates(rates.input, rates.cached_input, rates.output, None)
