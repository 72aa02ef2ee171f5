"""Adaptive sampling: stop drawing answers when the vote is settled.

Paper: "Let's Sample Step by Step: Adaptive-Consistency for Efficient Reasoning and Coding with LLMs", Aggarwal et al.,
arXiv:2305.11860, Beta stopping rule: with v_1 and v_2 votes for the two leading answers, the chance that the leader
has the larger share is P = ∫_0^½ Beta(p; v_2 + 1, v_1 + 1) dp; stop when P exceeds a threshold (0.95 there). Beside it
the rule of our own: draw three, stop if they are unanimous and unanimity is known to be right often enough.

Where we differ: failed extractions are draws that are paid for and vote for nothing; the order of recorded answers is
shuffled many times, so that what is reported doesn't hang on the order of recording. A consistency measured on a vote
that was stopped is not one of fixed n: a map of `homespun.confidence.calibrators` must be fitted on stopped scores.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from scipy.stats import beta

from homespun.confidence.consistency import INVALID, Votes, votes
from homespun.errors import ConfigError, DataError


class Rule(Protocol):
    """Decides after each draw whether to go on."""

    name: str

    def settled(self, counts: Sequence[int], drawn: int) -> bool:
        """Whether to stop, given votes of the distinct valid answers (largest first) and draws so far."""
        ...


@dataclass(frozen=True, kw_only=True)
class BetaStop:
    """Stop when the leader is ahead of the second with probability above ``threshold`` (arXiv:2305.11860)."""

    threshold: float = 0.95
    """C_thresh; 0.95 in the paper."""
    name: str = "beta"

    def __post_init__(self) -> None:
        if not 0.5 <= self.threshold < 1:
            raise ConfigError(f"threshold {self.threshold}", "BetaStop", "from 0.5 to below 1")

    def settled(self, counts: Sequence[int], drawn: int) -> bool:
        """Whether P(leader ahead) exceeds the threshold; never before a valid answer."""
        if not counts:
            return False
        return leader_is_ahead(counts[0], counts[1] if len(counts) > 1 else 0) > self.threshold


@dataclass(frozen=True, kw_only=True)
class UnanimityStop:
    """Stop after the first draws if all of them are valid and equal; otherwise draw to the end."""

    first: int = 3
    """Draws after which to look, once."""
    trust: float = 1.0
    """How often unanimity of the first draws is right at least, e.g. by `lower_bound` on labelled items."""
    bar: float = 0.0
    """Trust below which nothing is stopped early (τ)."""
    name: str = "unanimity"

    def __post_init__(self) -> None:
        if self.first < 1:
            raise ConfigError(f"first look after {self.first} draws", "UnanimityStop", "at least 1")

    def settled(self, counts: Sequence[int], drawn: int) -> bool:
        """Whether the first draws agree, and are trusted."""
        return drawn == self.first and tuple(counts) == (drawn,) and self.trust >= self.bar


class Stopped(NamedTuple):
    """Where a rule stopped."""

    tally: Votes
    """Votes of the draws made; its consistency is a stopped score."""
    drawn: int
    early: bool
    """Whether draws were left."""


@cache
def leader_is_ahead(first: int, second: int) -> float:
    """P(share of the leader > share of the second) under a uniform prior, in [0.5, 1) for first ≥ second.

    For second = 0 it is 1 − 2^−(first + 1).
    """
    if second < 0 or first < second:
        raise DataError(f"votes {first} and {second}", "leader_is_ahead", "first ≥ second ≥ 0")
    return float(beta.cdf(0.5, second + 1, first + 1))


def lower_bound(num_right: int, num: int, level: float = 0.95) -> float:
    """One-sided Clopper–Pearson lower bound of a share of right answers; 0 where none is right or none known."""
    if not 0 <= num_right <= num:
        raise DataError(f"{num_right} right of {num}", "lower_bound", "0 ≤ right ≤ all")
    return float(beta.ppf(1 - level, num_right, num - num_right + 1)) if num_right else 0.0


def draw_until(answers: Sequence[str | None], rule: Rule) -> Stopped:
    """Draws answers in order until the rule is content or none is left.

    Raises:
        DataError: no answers.
    """
    tally: Counter[str] = Counter()
    for drawn, answer in enumerate(answers, start=1):
        if answer is not None and answer.strip() not in ("", INVALID):
            tally[answer] += 1
        if rule.settled(sorted(tally.values(), reverse=True), drawn):
            return Stopped(votes(answers[:drawn]), drawn, drawn < len(answers))
    return Stopped(votes(answers), len(answers), False)


def simulate(
    samples: pl.DataFrame,
    keys: Sequence[str],
    rules: Sequence[Rule],
    *,
    repeats: int = 20,
    seed: int = 0,
) -> pl.DataFrame:
    """What each rule would have drawn and got on recorded votes, beside drawing all of them.

    Args:
        samples: One row per sample: key columns, answer (text or null), value (1 right, 0 wrong; null unknown).
        keys: Columns that name a group.
        rules: Stopping rules.
        repeats: Random orders of each group's samples; all rules see the same orders.
        seed: Of the orders.

    Returns:
        A row per rule, first ``all``: rule, n_groups, samples (mean drawn), samples_all, saving (samples_all /
        samples), accuracy, accuracy_all (fractions), kept (accuracy − accuracy_all), same (share of orders that end
        in the same answer as the full vote of that order).

    Raises:
        DataError: no samples, or repeats below 1.
    """
    if samples.height == 0 or repeats < 1:
        raise DataError(f"{samples.height} samples, {repeats} repeats", "simulate", "at least one of each")
    generator = np.random.default_rng(seed)
    names = ["all", *(rule.name for rule in rules)]
    sums = {name: np.zeros(3) for name in names}
    groups = samples.group_by(*keys, maintain_order=True).agg("answer", "value")
    for answers, values in groups.select("answer", "value").iter_rows():
        truth = _values(answers, values)
        for _ in range(repeats):
            order = [answers[index] for index in generator.permutation(len(answers))]
            full = votes(order)
            sums["all"] += (len(order), truth.get(full.answer, 0.0), 1)
            for rule in rules:
                found = draw_until(order, rule)
                sums[rule.name] += (found.drawn, truth.get(found.tally.answer, 0.0), found.tally.answer == full.answer)
    means = {name: total / (groups.height * repeats) for name, total in sums.items()}
    drawn_all, accuracy_all, _ = means["all"]
    return pl.DataFrame(
        {
            "rule": name,
            "n_groups": groups.height,
            "samples": float(drawn),
            "samples_all": float(drawn_all),
            "saving": float(drawn_all / drawn),
            "accuracy": float(accuracy),
            "accuracy_all": float(accuracy_all),
            "kept": float(accuracy - accuracy_all),
            "same": float(same),
        }
        for name, (drawn, accuracy, same) in means.items()
    )


def _values(answers: Sequence[str | None], values: Sequence[float | None]) -> dict[str | None, float]:
    """Correctness of each answer of a group; an answer of unknown value, or none, is not right."""
    known = {answer: float(value) for answer, value in zip(answers, values, strict=True) if value is not None}
    return known | {None: 0.0}
