"""Scores of whole documents: the first chunk's for quality, the worst chunk's for toxicity."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from homespun.corpus.heads.embedder import Embedder, Passages
from homespun.corpus.heads.encoders import MiniLM, XlmR
from homespun.corpus.heads.hashed import HashedNgrams
from homespun.corpus.heads.head import Floats, Head, forward, probability
from homespun.errors import ConfigError, DataError

Score = Callable[[Sequence[str]], Floats]
"""(n,) scores of texts; NaN for a text without a character."""


def embedder_of(head: Head, encoder: Path | None, where: str) -> Embedder:
    """The embedder that a head was trained on.

    Args:
        head: As loaded.
        encoder: Folder of its encoder, if it needs one.
        where: The head's file, for messages.

    Raises:
        ConfigError: it needs an encoder and none is given.
        DataError: unknown, of other settings, or another encoder than it was trained on.
    """
    spec: dict[str, Any] = dict(head.about.embedder)
    kind = spec.get("kind")
    try:
        if kind == "hashed":
            found: Embedder = HashedNgrams(**{name: value for name, value in spec.items() if name != "kind"})
        elif kind == "minilm":
            found = MiniLM(size=int(spec["size"]))
        elif kind == "xlm-r":
            if encoder is None:
                raise ConfigError("needs the encoder it was trained on", where, "the folder of XLM-R")
            found = XlmR(folder=encoder)
        else:
            raise DataError(f"sees by {str(kind)[:40]!r}, which is unknown", where, "hashed, minilm or xlm-r")
    except (TypeError, KeyError, ValueError) as error:
        if isinstance(error, DataError) or (isinstance(error, ConfigError) and kind == "xlm-r"):
            raise
        raise DataError(f"its embedder is damaged: {error}", where, "train the head again") from None
    if dict(found.spec) != spec:
        raise DataError("was trained on other vectors", where, "the encoder it was trained on, or a new head")
    if found.width != len(head.layers[0].weight):
        raise DataError(f"takes {len(head.layers[0].weight)} columns, not {found.width}", where, "train it again")
    return found


def scorer(head: Head, embedder: Embedder) -> Score:
    """The function from texts to scores.

    Args:
        head: Its kind says which chunks count.
        embedder: Of the head (`embedder_of`).
    """
    chunks = 1 if head.about.kind == "quality" else None

    def score(texts: Sequence[str]) -> Floats:
        found = logits(head, embedder, texts, chunks)
        out = np.full(len(texts), -1, dtype=np.float32)
        np.maximum.at(out, found.owner, probability(found.vectors))
        return np.where(out < 0, np.float32(np.nan), out)

    return score


def logits(head: Head, embedder: Embedder, texts: Sequence[str], chunks: int | None) -> Passages:
    """Of every chunk what the head says before the sigmoid; for one layer on hashed n-grams without a matrix."""
    if isinstance(embedder, HashedNgrams) and len(head.layers) == 1 and head.layers[0].weight.shape[1] == 1:
        layer = head.layers[0]
        found = embedder.project(texts, np.ascontiguousarray(layer.weight[:, 0]), chunks)
        return Passages(found.vectors + layer.bias, found.owner)
    found = embedder.embed(texts, chunks)
    return Passages(forward(head.layers, found.vectors), found.owner)
