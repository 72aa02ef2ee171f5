"""Consistency of sampled answers: agreement, entropy and first-second distance (FSD).

Paper: "Calibrating Large Language Models with Sample Consistency", Lyu et al., arXiv:2402.13904, section on the three
measures. With votes v_1 ≥ v_2 ≥ … over the distinct answers seen, n samples and p_b = v_b / Σv:

    agreement = v_1 / n        entropy = 1 − H(p) / log2(distinct)        FSD = (v_1 − v_2) / n

Where we differ: ``strict`` (default) counts a failed extraction as an abstention, so that it lowers every measure:
entropy is multiplied by the share of valid answers, FSD of a single answer is v_1 / n, no valid answer at all gives 0.
``paper`` reproduces the released code (veronica320/Calibrating-LLMs-with-Consistency), where one valid answer among
invalid ones, and no valid answer at all, both score 1. In both, the answer seen first wins a tied vote.

A consistency is not a probability before a map has been fitted to it: see `homespun.confidence.calibrators`.
"""

from collections import Counter
from collections.abc import Sequence
from math import log2
from typing import Literal, NamedTuple

import polars as pl

from homespun.errors import ConfigError, DataError

Mode = Literal["strict", "paper"]
Measure = Literal["agreement", "entropy", "fsd"]
MEASURES: tuple[Measure, ...] = ("agreement", "entropy", "fsd")
INVALID = "[invalid]"
"""How the released code writes a failed extraction; here it is ``None``, and this text is read as it."""


class Votes(NamedTuple):
    """A tally of answers."""

    answer: str | None
    """The answer with most votes, first seen among equals; None where no answer is valid."""
    counts: tuple[int, ...]
    """Votes of the distinct valid answers, largest first."""
    n: int
    """All samples, failed extractions included."""

    @property
    def valid(self) -> int:
        """Samples with a readable answer."""
        return sum(self.counts)

    @property
    def invalid(self) -> int:
        """Samples without one."""
        return self.n - self.valid


def votes(answers: Sequence[str | None]) -> Votes:
    """Tallies answers; ``None``, blank text and ``[invalid]`` are failed extractions.

    Raises:
        DataError: there are no samples at all.
    """
    if not answers:
        raise DataError("no samples to tally", "votes", "at least one answer")
    tally = Counter(item for item in answers if item is not None and item.strip() not in ("", INVALID))
    ranked = tally.most_common()  # stable: the first seen leads among equals
    return Votes(ranked[0][0] if ranked else None, tuple(count for _, count in ranked), len(answers))


def agreement(tally: Votes, mode: Mode = "strict") -> float:
    """Share of the winner, v_1 / n, in [0, 1]."""
    if not tally.counts:
        return _nothing(mode)
    return tally.counts[0] / tally.n


def entropy(tally: Votes, mode: Mode = "strict") -> float:
    """Evenness turned around, 1 − H / log2(distinct), in [0, 1]; 1 where one answer was seen.

    ``strict`` multiplies it by valid / n.
    """
    if not tally.counts:
        return _nothing(mode)
    share = tally.valid / tally.n if mode == "strict" else 1.0
    if len(tally.counts) == 1:
        return share
    bits = -sum(v / tally.valid * log2(v / tally.valid) for v in tally.counts)
    return share * _clamped(1 - bits / log2(len(tally.counts)))


def fsd(tally: Votes, mode: Mode = "strict") -> float:
    """Margin of the winner over the second, (v_1 − v_2) / n, in [0, 1]."""
    if not tally.counts:
        return _nothing(mode)
    if len(tally.counts) == 1:
        return tally.counts[0] / tally.n if mode == "strict" else 1.0
    return (tally.counts[0] - tally.counts[1]) / tally.n


def score_groups(
    samples: pl.DataFrame, keys: Sequence[str], *, answer: str = "answer", mode: Mode = "strict"
) -> pl.DataFrame:
    """The three measures of every group of samples at once.

    Args:
        samples: One row per sample, in the order drawn: the key columns and the answer (text or null).
        keys: Columns that name a group.
        answer: Column of the answers.
        mode: ``strict`` or ``paper``.

    Returns:
        One row per group, sorted by the keys: n, n_invalid, n_distinct, answer (the winner, null where none),
        agreement, entropy, fsd.

    Raises:
        ConfigError: no keys, or a mode that isn't there.
    """
    if not keys:
        raise ConfigError("no columns to group by", "score_groups", "keys such as dataset, id, model")
    if mode not in ("strict", "paper"):
        raise ConfigError(f"unknown mode {mode!r}", "score_groups", "strict or paper")
    text = pl.col(answer).cast(pl.String)
    blank = text.is_null() | text.str.strip_chars().is_in(["", INVALID])
    rows = samples.select(*keys, __answer=pl.when(~blank).then(text)).with_row_index("__row")
    totals = rows.group_by(keys).agg(n=pl.len().cast(pl.Int64), n_invalid=pl.col("__answer").null_count())
    tallied = (
        rows.drop_nulls("__answer")
        .group_by(*keys, "__answer")
        .agg(v=pl.len().cast(pl.Int64), first=pl.col("__row").min())
        .sort(*keys, "v", "first", descending=[False] * len(keys) + [True, False], nulls_last=True)
        .group_by(keys, maintain_order=True)
        .agg(
            answer=pl.col("__answer").first(),
            n_distinct=pl.len().cast(pl.Int64),
            v1=pl.col("v").first(),
            v2=pl.col("v").slice(1, 1).sum(),
            valid=pl.col("v").sum(),
            bits=_bits(),
        )
    )
    found = totals.join(tallied, on=list(keys), how="left", nulls_equal=True)
    return (
        found.with_columns(pl.col("n_distinct").fill_null(0), pl.col("n_invalid").cast(pl.Int64), **_columns(mode))
        .select(*keys, "n", "n_invalid", "n_distinct", "answer", *MEASURES)
        .sort(*keys)
    )


def _bits() -> pl.Expr:
    share = pl.col("v") / pl.col("v").sum()
    return -(share * share.log(2)).sum()


def _columns(mode: Mode) -> dict[str, pl.Expr]:
    one = pl.col("n_distinct") == 1
    valid = pl.col("valid") / pl.col("n") if mode == "strict" else pl.lit(1.0)
    alone = pl.col("v1") / pl.col("n") if mode == "strict" else pl.lit(1.0)
    spread = (1 - pl.col("bits") / pl.col("n_distinct").log(2)).clip(0, 1)
    return {
        "agreement": (pl.col("v1") / pl.col("n")).fill_null(_nothing(mode)),
        # rounded, as equal votes must be equal scores: else a rank is decided by the last bit
        "entropy": pl.when(pl.col("v1").is_null())
        .then(_nothing(mode))
        .when(one)
        .then(valid)
        .otherwise((valid * spread).round(12)),
        "fsd": pl.when(pl.col("v1").is_null())
        .then(_nothing(mode))
        .when(one)
        .then(alone)
        .otherwise((pl.col("v1") - pl.col("v2")) / pl.col("n")),
    }


def _nothing(mode: Mode) -> float:
    """The score of a group without a valid answer: nothing in strict, certainty in the released code."""
    return 0.0 if mode == "strict" else 1.0


def _clamped(value: float) -> float:
    return min(1.0, max(0.0, value))
