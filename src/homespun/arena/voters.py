"""Which votes of which voters enter the ranking: duplicates, one voter's share, and voters who do not judge.

Two tests, each on a voter's votes in order of time, after 8, 16, 32, … of them. The k-th look spends α / (k (k + 1)),
so that all looks together flag an honest voter with a chance of at most α, however often a ranking is made.

Side. Sides are flipped by a fair coin, so whatever a voter likes, each side wins half of the votes that choose: the
exact binomial test, two-sided.

Against everybody (Chiang et al., Chatbot Arena, arXiv:2403.04132, section 6, Fisher's combination). Each vote gets the
p-value of being at least as far from the others as it is, among the others' votes on the same pair,

    p = (1 + #{h in H: |h - m| >= |x - m|}) / (1 + |H|),   m the mean of H and x,

and M = -2 Σ ln p is held against chi-squared with 2j degrees of freedom. Under exchangeability p is valid, and with
scores of 0, ½ and 1 only it is conservative: it takes pairs with a clear favourite to flag anybody. Ours differs in
that it looks at fixed numbers of votes instead of random ones, and at both directions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import bdtr, chdtrc

from homespun.arena.newton import Floats

FIRST_LOOK = 8
"""Votes before which no voter is tested."""
SCORES = np.array([0.0, 0.5, 1.0])
_SCORE = {"model_a": 2, "tie": 1, "both_bad": 1, "model_b": 0}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What keeps a vote out of the ranking. It stays in the store all the same."""

    alpha: float = 0.001
    """Chance to flag an honest voter, for each of the two tests; 0 tests nobody."""
    same_prompt: int = 3
    """Votes of one voter on one prompt that count; 0: all."""
    share: float = 0.1
    """Of all votes that may be one voter's; the rest of theirs, the newest, don't count."""
    least: int = 50
    """Votes that every voter may give whatever their share."""


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """What the tests say of a voter; p-values over all looks."""

    voter: str
    votes: int
    side: float
    against: float
    why: str | None
    """Set if flagged."""


def left_out(votes: pl.DataFrame, rules: Rules = Rules()) -> tuple[pl.Series, list[Suspicion]]:
    """Reasons why votes don't count.

    Args:
        votes: With id, time, voter, model_a, model_b, winner, prompt_hash; in any order.
        rules: The rules.

    Returns:
        Per row the reason, or null if the vote counts: flagged, prompt, share. And the voters who are flagged.
    """
    order = votes.with_row_index("row").sort("time", "id")
    flagged = {found.voter: found for found in suspicions(order, rules.alpha) if found.why} if rules.alpha else {}
    reasons: list[str | None] = [None] * votes.height
    seen: Counter[tuple[str, str | None]] = Counter()
    rows = list(order.select("row", "voter", "prompt_hash").iter_rows())
    for row, voter, prompt in rows:
        if voter in flagged:
            reasons[row] = "flagged"
        elif rules.same_prompt and prompt is not None:
            seen[voter, prompt] += 1
            if seen[voter, prompt] > rules.same_prompt:
                reasons[row] = "prompt"
    most = max(rules.least, int(rules.share * reasons.count(None)))
    given: Counter[str] = Counter()
    for row, voter, _ in rows:
        if reasons[row] is None:
            given[voter] += 1
            if given[voter] > most:
                reasons[row] = "share"
    return pl.Series("left_out", reasons, dtype=pl.String), list(flagged.values())


def suspicions(votes: pl.DataFrame, alpha: float) -> list[Suspicion]:
    """Tests every voter with at least `FIRST_LOOK` votes; votes in order of time."""
    everybody: defaultdict[tuple[str, str], Floats] = defaultdict(lambda: np.zeros(3))
    theirs: defaultdict[str, list[tuple[tuple[str, str], int, str]]] = defaultdict(list)
    for voter, a, b, winner in votes.select("voter", "model_a", "model_b", "winner").iter_rows():
        score = _SCORE[winner]
        pair, score = ((a, b), score) if a < b else ((b, a), 2 - score)
        everybody[pair][score] += 1
        theirs[voter].append((pair, score, winner))
    return [_tested(voter, cast, everybody, alpha) for voter, cast in sorted(theirs.items()) if len(cast) >= FIRST_LOOK]


def _tested(voter: str, cast: list[tuple[tuple[str, str], int, str]],
            everybody: dict[tuple[str, str], Floats], alpha: float) -> Suspicion:  # fmt: skip
    chosen = [winner == "model_a" for _, _, winner in cast if winner in ("model_a", "model_b")]
    side = _least(side_p(chosen[:size]) for size in looks(len(chosen)))
    own: defaultdict[tuple[str, str], Floats] = defaultdict(lambda: np.zeros(3))
    for pair, score, _ in cast:
        own[pair][score] += 1
    values = [distance_p(everybody[pair] - own[pair], score) for pair, score, _ in cast]
    against = _least(fisher_p(values[:size]) for size in looks(len(values)))
    why = None
    if side <= alpha:
        why = f"{sum(chosen)} of {len(chosen)} choices are for the left"
    elif against <= alpha:
        why = "the votes are against what everybody else says"
    return Suspicion(voter=voter, votes=len(cast), side=side, against=against, why=why)


def looks(size: int) -> list[int]:
    """Numbers of votes at which a voter is tested: 8, 16, 32, … up to ``size``."""
    found: list[int] = []
    while (step := FIRST_LOOK << len(found)) <= size:
        found.append(step)
    return found


def side_p(chosen: Sequence[bool]) -> float:
    """Exact two-sided p-value of choosing the left that often."""
    size, left = len(chosen), sum(chosen)
    return min(1.0, 2 * float(bdtr(min(left, size - left), size, 0.5)))


def distance_p(others: Floats, score: int) -> float:
    """P-value of one vote among those of the others on its pair.

    Args:
        others: How many of them gave 0, ½, 1.
        score: Index into `SCORES` of the vote.
    """
    total = others.sum()
    mean = (others @ SCORES + SCORES[score]) / (total + 1)
    far = np.abs(SCORES - mean) >= abs(SCORES[score] - mean) - 1e-12
    return float((1 + others[far].sum()) / (1 + total))


def fisher_p(values: Sequence[float]) -> float:
    """Fisher's combination of independent p-values."""
    return float(chdtrc(2 * len(values), -2 * np.log(values).sum()))


def _least(values: Iterable[float]) -> float:
    """The smallest p-value of the looks, each divided by its share of α; at most 1."""
    return min([1.0, *(value * k * (k + 1) for k, value in enumerate(values, 1))])
