"""Keeps a share of each language or source, the same documents in every process and every order.

A document's lot is a hash of its id (`chances`), so batches, shards and workers don't matter, and a smaller fraction
keeps a part of what a greater one keeps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from homespun.corpus.chance import chances
from homespun.corpus.documents import Batch, Judge, judged
from homespun.corpus.sketch import UNKNOWN
from homespun.errors import ConfigError

Shares = tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What share of which documents stays."""

    name: ClassVar[str] = "sample"
    version: ClassVar[int] = 1

    fraction: float = 1.0
    """The share of documents that neither of the next two names."""
    languages: Shares = ()
    """Language and share, ``("de", 0.3135)``; ``und`` for documents without a language."""
    sources: Shares = ()
    """Source and share; where a document's language is named too, both shares are multiplied."""
    seed: int = 0

    def __post_init__(self) -> None:
        for what, share in (("fraction", self.fraction), *self.languages, *self.sources):
            if not 0 <= share <= 1:
                raise ConfigError(f"a share of {share:g}", f"Sample, {what}", "from 0 to 1")
        for shares in (self.languages, self.sources):
            if len(dict(shares)) < len(shares):
                raise ConfigError("a name stands twice", "Sample", "each language and source once")

    @property
    def files(self) -> Mapping[str, Path]:
        """None."""
        return {}

    def open(self) -> Judge:
        """The function: reason ``sampled_out``."""
        return self._judge

    def _judge(self, batch: Batch) -> Batch:
        by_lang, by_source = dict(self.languages), dict(self.sources)
        langs, sources, ids = ([name or "" for name in batch[c].to_pylist()] for c in ("lang", "source", "id"))
        pairs = list(zip(langs, sources, strict=True))
        named = [((lang or UNKNOWN) in by_lang, source in by_source) for lang, source in pairs]
        shares = np.array(
            [
                by_lang.get(lang or UNKNOWN, 1.0) * by_source.get(source, 1.0) if any(known) else self.fraction
                for (lang, source), known in zip(pairs, named, strict=True)
            ],
            dtype=np.float64,
        )
        out = chances(ids, self.name, self.seed) >= shares
        reason = ["sampled_out" if gone else None for gone in out.tolist()]
        evidence = [f"{share:.6g} stay" if gone else None for gone, share in zip(out.tolist(), shares, strict=True)]
        return judged(batch, reason, evidence)
