"""How well a confidence in [0, 1] foretells correctness: Brier, ECE, ACE, AUROC, risk and coverage, reliability.

Lyu et al., arXiv:2402.13904, use Brier (their main score) and ECE with M equal-width bins ((m-1)/M, m/M], M = 10 in
their code; a confidence of 0 belongs to the first bin here. Brier (1950); Murphy, A New Vector Partition of the
Probability Score (1973); adaptive bins of equal mass: Nixon et al., arXiv:1904.01685; risk and coverage:
Geifman and El-Yaniv, arXiv:1705.08500. The number of bins is always an argument and always reported.

Legend: confidence (n,) floats in [0, 1]; correct (n,) zeros and ones. All functions raise DataError on empty input,
unequal lengths, NaN, or values out of range.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from homespun.errors import ConfigError, DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Murphy(NamedTuple):
    """Brier = reliability - resolution + uncertainty, over the distinct values of confidence."""

    reliability: float
    """Mean squared gap of confidence and accuracy; 0 is best."""
    resolution: float
    """Spread of accuracy over the values of confidence; more is better."""
    uncertainty: float
    """Variance of correctness: the Brier score of the constant base rate."""


class RiskCoverage(NamedTuple):
    """Error among the answers kept, when the most confident are kept first."""

    coverage: Floats
    """(k,) share of answers kept, rising; one point per distinct confidence."""
    risk: Floats
    """(k,) share of wrong answers among those kept."""


def checked(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float arrays (n,), or a DataError that names the first bad value."""
    scores = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if scores.ndim != 1 or scores.shape != right.shape or len(scores) == 0:
        raise DataError(f"shapes {scores.shape} and {right.shape}", "confidence and correct", "two equal, filled lists")
    for name, values, bad in (
        ("confidence", scores, ~((scores >= 0) & (scores <= 1))),
        ("correct", right, (right != 0) & (right != 1)),
    ):
        if bad.any():
            row = int(bad.argmax())
            wanted = "from 0 to 1" if name == "confidence" else "0 or 1"
            raise DataError(f"row {row} is {values[row]}", name, f"values {wanted}")
    return scores, right


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Mean of (confidence - correct)²; 0 is best."""
    scores, right = checked(confidence, correct)
    return float(np.mean((scores - right) ** 2))


def base_rate_brier(correct: ArrayLike) -> float:
    """Brier score of the best constant, the base rate p: p (1 - p)."""
    _, right = checked(np.zeros(np.shape(np.asarray(correct))), correct)
    return float(right.mean() * (1 - right.mean()))


def brier_skill(confidence: ArrayLike, correct: ArrayLike) -> float:
    """1 - Brier / Brier of the base rate: 0 is no better than a constant, below 0 worse; NaN if all are equal."""
    base = base_rate_brier(correct)
    return 1.0 - brier(confidence, correct) / base if base > 0 else float("nan")


def bin_numbers(confidence: Floats, bins: int) -> Ints:
    """(n,) number from 0 of the equal-width, right-closed bin of each confidence."""
    if bins < 1:
        raise ConfigError(f"{bins} bins", "bins", "at least 1")
    # m/M and k/n are rounded alike, so that a score on an edge is recognised as such
    edges = np.arange(1, bins + 1) / bins
    return np.searchsorted(edges, confidence, side="left").astype(np.int64)


def ece(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: sum_m |B_m| / N · |acc(B_m) - conf(B_m)| over equal-width bins."""
    scores, right = checked(confidence, correct)
    gaps = np.bincount(bin_numbers(scores, bins), weights=scores - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))


def ace(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Adaptive calibration error: mean gap over ``bins`` bins of equal mass; ties are cut by their order of input."""
    scores, right = checked(confidence, correct)
    if not 1 <= bins <= len(scores):
        raise ConfigError(f"{bins} bins for {len(scores)} values", "bins", f"1 to {len(scores)}")
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, bins)
    return float(np.mean([abs(scores[part].mean() - right[part].mean()) for part in parts]))


def auroc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Chance that a right answer has more confidence than a wrong one, ties half; NaN if there is only one kind."""
    scores, right = checked(confidence, correct)
    wins, losses = _by_value(scores, right)
    pairs = wins.sum() * losses.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(losses) - losses
    return float((wins * (below + losses / 2)).sum() / pairs)


def murphy(confidence: ArrayLike, correct: ArrayLike) -> Murphy:
    """Murphy's partition of the Brier score, exact because values are grouped as they are, not binned."""
    scores, right = checked(confidence, correct)
    values, codes = np.unique(scores, return_inverse=True)
    weights = np.bincount(codes) / len(scores)
    accuracy = np.bincount(codes, weights=right) / np.bincount(codes)
    base = right.mean()
    reliability = float((weights * (values - accuracy) ** 2).sum())
    resolution = float((weights * (accuracy - base) ** 2).sum())
    return Murphy(reliability, resolution, float(base * (1 - base)))


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """Risk at each coverage that a threshold on confidence can reach."""
    scores, right = checked(confidence, correct)
    wins, losses = _by_value(scores, right)
    wrong, kept = np.cumsum(losses[::-1]), np.cumsum((wins + losses)[::-1])
    return RiskCoverage(kept / len(scores), wrong / kept)


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under risk and coverage: mean over k of the risk expected among the k most confident, equals at random."""
    scores, right = checked(confidence, correct)
    wins, losses = (side[::-1] for side in _by_value(scores, right))
    sizes = (wins + losses).astype(np.int64)
    # among equals the expected errors grow linearly with the number kept
    rate = np.repeat(losses / sizes, sizes)
    kept = np.arange(1, len(scores) + 1)
    return float(np.mean(np.cumsum(rate) / kept))


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> pl.DataFrame:
    """The reliability curve over equal-width, right-closed bins.

    Returns:
        ``bins`` rows: bin (from 0), low, high, n, confidence and accuracy (means; null where n = 0).
    """
    scores, right = checked(confidence, correct)
    codes = bin_numbers(scores, bins)
    counts = np.bincount(codes, minlength=bins)
    filled = np.maximum(counts, 1)
    known = pl.col("n") > 0
    frame = pl.DataFrame(
        {
            "bin": np.arange(bins),
            "low": np.arange(bins) / bins,
            "high": np.arange(1, bins + 1) / bins,
            "n": counts.astype(np.int64),
            "confidence": np.bincount(codes, weights=scores, minlength=bins) / filled,
            "accuracy": np.bincount(codes, weights=right, minlength=bins) / filled,
        }
    )
    return frame.with_columns(pl.when(known).then(pl.col(name)).alias(name) for name in ("confidence", "accuracy"))


SCORES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "brier": brier,
    "skill": brier_skill,
    "auroc": auroc,
    "aurc": aurc,
}
"""Scores without a number of bins, by name."""


def _by_value(scores: Floats, right: Floats) -> tuple[Floats, Floats]:
    """How many right and how many wrong answers each distinct confidence has, rising."""
    _, codes = np.unique(scores, return_inverse=True)
    wins = np.bincount(codes, weights=right).astype(np.float64)
    return wins, np.bincount(codes).astype(np.float64) - wins
