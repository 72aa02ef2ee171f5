"""Cuts by score: the best third of each language stays, or all but the worst twentieth.

Apertus, sections 3.2.2 and 3.2.3: quality keeps the highest p = .33 (later stages .10), toxicity the lowest .95 of each
language that has a classifier; other languages are sampled at the same share, so that the natural proportions of
languages are kept. Where we differ: the thresholds are those of the whole corpus, counted in `Sketch`, not of a sample
of a million documents; a language with a classifier but few documents is sampled too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from homespun.corpus.chance import chances
from homespun.corpus.documents import Batch, Judge, Stage, judged
from homespun.corpus.sketch import UNKNOWN, Sketch
from homespun.errors import ConfigError

Column = Literal["quality", "toxicity"]
PUBLISHED_TOXICITY: tuple[tuple[str, float], ...] = (
    ("de", 0.9977),
    ("en", 0.99944),
    ("es", 0.9953),
    ("fr", 0.9994),
    ("it", 0.9985),
    ("nl", 0.9883),
    ("pl", 0.9867),
    ("pt", 0.9476),
    ("zh", 0.5954),
)
"""Thresholds in swiss-ai/pretrain-data; they belong to its classifiers on XLM-R and mean nothing for others."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What share of each language stays, by which score."""

    column: Column
    """The score; also the name of the filter in the ledger."""
    keep: Literal["highest", "lowest"]
    fraction: float
    """p: the share that stays. Published: .33 or .10 of the highest quality, .95 of the lowest toxicity."""
    seed: int = 0
    """Of the sampling of documents without a score."""
    min_documents: int = 100
    """A language with fewer scores is sampled: its quantile would be a few documents' whim."""
    fixed: tuple[tuple[str, float], ...] = ()
    """Language and threshold known beforehand; others are counted. `PUBLISHED_TOXICITY`, for its own classifiers."""
    skip_sources: frozenset[str] = frozenset()
    """Sources left as they are: mathematics, code, and what was cut before (section 3.2.3)."""

    def __post_init__(self) -> None:
        where = f"Cut({self.column})"
        if self.column not in ("quality", "toxicity") or self.keep not in ("highest", "lowest"):
            raise ConfigError(f"{self.keep!r} of {self.column!r}", where, "highest or lowest, of quality or toxicity")
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"a fraction of {self.fraction:g}", where, "above 0, at most 1")
        if self.min_documents < 1:
            raise ConfigError(f"min_documents={self.min_documents}", where, "at least 1")
        for lang, value in self.fixed:
            if not 0 <= value <= 1:
                raise ConfigError(f"threshold {value:g} of {lang}", where, "from 0 to 1")

    def sketch(self, batch: Batch) -> Sketch:
        """How the batch's scores are spread; documents without a score and skipped sources don't count.

        Raises:
            DataError: a score is not in [0, 1].
        """
        counted = batch.filter(pc.and_(pc.is_valid(batch[self.column]), pa.array(~_skipped(batch, self.skip_sources))))
        return Sketch.counted(counted["lang"].to_pylist(), counted[self.column].to_numpy())

    def thresholds(self, merged: Sketch) -> dict[str, float]:
        """By language: `highest` keeps scores from here on, `lowest` scores below.

        Of all places between two bins the one that keeps the share nearest to ``fraction``; of two equally near that
        which keeps more; never one that keeps nothing. So among equal scores no lot is drawn: all stay or all leave.
        """
        found: dict[str, float] = {}
        for lang in merged.languages:
            if merged.count(lang) < self.min_documents:
                continue
            edges = merged.edges(lang)
            kept = edges.above if self.keep == "highest" else edges.below
            distance = np.abs(kept - self.fraction * merged.count(lang))
            distance[kept == 0] = np.inf
            found[lang] = float(edges.score[np.lexsort((-kept, distance))[0]])
        return found | dict(self.fixed)

    def stage(self, thresholds: Mapping[str, float]) -> Stage:
        """The stage that cuts; small and picklable."""
        kind = QualityCut if self.column == "quality" else ToxicityCut
        return kind(cut=self, thresholds=tuple(sorted(thresholds.items())))


@dataclass(frozen=True, kw_only=True)
class _Cutting:
    """A cut whose thresholds are known."""

    cut: Cut
    thresholds: tuple[tuple[str, float], ...]
    """Language and threshold, sorted."""

    @property
    def files(self) -> Mapping[str, Path]:
        """None."""
        return {}

    def open(self) -> Judge:
        """The function: reasons ``below_threshold`` or ``above_threshold``, and ``sampled_out`` without a threshold."""
        return self._judge

    def _judge(self, batch: Batch) -> Batch:
        cut, known = self.cut, dict(self.thresholds)
        langs = [lang or UNKNOWN for lang in batch["lang"].to_pylist()]
        score = batch[cut.column].to_numpy().astype(np.float64)  # no score is NaN
        bound = np.array([known.get(lang, np.nan) for lang in langs], dtype=np.float64)
        compared = ~(np.isnan(score) | np.isnan(bound))
        fails = score < bound if cut.keep == "highest" else score >= bound
        skipped = _skipped(batch, cut.skip_sources)
        out = compared & fails & ~skipped
        drawn = np.flatnonzero(~compared & ~skipped)
        chance = chances([batch["id"][int(at)].as_py() for at in drawn], cut.column, cut.seed)
        lost = drawn[chance >= cut.fraction]
        reason: list[str | None] = [None] * len(batch)
        evidence: list[str | None] = [None] * len(batch)
        word = "below_threshold" if cut.keep == "highest" else "above_threshold"
        for at in np.flatnonzero(out).tolist():
            reason[at], evidence[at] = word, f"{score[at]:.9g} against {bound[at]:.9g} ({langs[at]})"
        for at in lost.tolist():
            reason[at], evidence[at] = "sampled_out", f"{cut.fraction:g} of {langs[at]} stay, without a score"
            if not np.isnan(score[at]):
                evidence[at] = f"{cut.fraction:g} of {langs[at]} stay, too few scores for a threshold"
        return judged(batch, reason, evidence)


@dataclass(frozen=True, kw_only=True)
class QualityCut(_Cutting):
    """By quality."""

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class ToxicityCut(_Cutting):
    """By toxicity."""

    name: ClassVar[str] = "toxicity"
    version: ClassVar[int] = 1


def _skipped(batch: Batch, sources: frozenset[str]) -> NDArray[np.bool_]:
    found = pc.is_in(batch["source"], pa.array(sorted(sources), pa.string()))
    return np.asarray(found.to_numpy(), dtype=np.bool_)
