"""Fills the columns ``quality`` and ``toxicity``; nothing leaves here, the cuts come after deduplication.

Apertus, sections 3.2.2 and 3.2.3. A document whose language has no classifier, or without text, keeps a null: the cut
then samples it (`homespun.corpus.filters.cut`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from homespun.corpus.documents import Batch, Judge, replaced
from homespun.corpus.heads.head import Kind, load_head
from homespun.corpus.heads.scorer import Score, embedder_of, scorer
from homespun.errors import DataError

PUBLISHED_LANGUAGES = frozenset(("de", "en", "es", "fr", "it", "nl", "pl", "pt", "zh"))
"""Languages with a toxicity classifier in Apertus."""


@dataclass(frozen=True, kw_only=True)
class _Scored:
    head: Path
    """A head, or a folder with one per language, ``de.npz``, as Apertus has them for toxicity."""
    languages: frozenset[str] = frozenset()
    """Only these are scored; empty: those that the head was trained on, and all if it doesn't say."""
    encoder: Path | None = None
    """Folder of XLM-R, for heads that were trained on it."""
    skip_sources: frozenset[str] = frozenset()
    """Sources without a score: mathematics and code."""

    @property
    def files(self) -> Mapping[str, Path]:
        """The head, and the encoder."""
        return {"head": self.head} | ({"encoder": self.encoder} if self.encoder else {})

    def _opened(self, kind: Kind, column: str) -> Judge:
        by_lang = self._scorers(kind)

        def judge(batch: Batch) -> Batch:
            known = batch[column].to_numpy()
            found = np.array(known, dtype=np.float32) if len(batch) else np.zeros(0, dtype=np.float32)
            rows: dict[int, tuple[Score, list[int]]] = {}
            texts, langs, sources = (batch[name].to_pylist() for name in ("text", "lang", "source"))
            for at, (lang, source) in enumerate(zip(langs, sources, strict=True)):
                score = by_lang.get(lang, by_lang.get(None)) if source not in self.skip_sources else None
                if score is not None and texts[at]:
                    rows.setdefault(id(score), (score, []))[1].append(at)
            for score, places in rows.values():
                found[places] = score([texts[at] or "" for at in places])
            return replaced(batch, column, pa.array(found, pa.float32(), mask=np.isnan(found)))

        return judge

    def _scorers(self, kind: Kind) -> dict[str | None, Score]:
        """By language; None for all that are not named."""
        paths = sorted(self.head.glob("*.npz")) if self.head.is_dir() else [self.head]
        if not paths:
            raise DataError("holds no heads", str(self.head), "files such as de.npz")
        found: dict[str | None, Score] = {}
        for path in paths:
            head = load_head(path, kind)
            score = scorer(head, embedder_of(head, self.encoder, str(path)))
            if self.head.is_dir():
                own = {path.stem} & (self.languages or {path.stem})
            else:
                own = self.languages or head.about.languages or (None,)
            found |= dict.fromkeys(own, score)
        return found


@dataclass(frozen=True, kw_only=True)
class Quality(_Scored):
    """Quality of a document's first chunk."""

    name: ClassVar[str] = "score_quality"
    version: ClassVar[int] = 1

    def open(self) -> Judge:
        """The function: ``quality`` filled."""
        return self._opened("quality", "quality")


@dataclass(frozen=True, kw_only=True)
class Toxicity(_Scored):
    """Toxicity of a document's worst chunk."""

    name: ClassVar[str] = "score_toxicity"
    version: ClassVar[int] = 1

    def open(self) -> Judge:
        """The function: ``toxicity`` filled."""
        return self._opened("toxicity", "toxicity")
