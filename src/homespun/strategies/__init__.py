"""The five prompting strategies, by the keys that tables use: standard, cot, ltm, pot, fcot."""

from homespun.errors import ConfigError
from homespun.strategies.base import Mode, Parsed, Strategy
from homespun.strategies.cot import ChainOfThought
from homespun.strategies.faithful import FaithfulChainOfThought
from homespun.strategies.least_to_most import LeastToMost
from homespun.strategies.program import ProgramOfThought
from homespun.strategies.standard import Standard

__all__ = ["Mode", "Parsed", "Strategy", "names", "strategy"]

STRATEGIES: dict[str, Strategy] = {
    item.name: item
    for item in (Standard(), ChainOfThought(), LeastToMost(), ProgramOfThought(), FaithfulChainOfThought())
}


def names() -> tuple[str, ...]:
    """Keys of all strategies, from the plainest to the most elaborate."""
    return tuple(STRATEGIES)


def strategy(name: str) -> Strategy:
    """A strategy by its key.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"unknown strategy {name!r}", "strategy", f"one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
