"""What a head sees of a document: a vector for each of its chunks, as Apertus keeps them.

Quality is read off the first chunk, toxicity off the worst (`homespun.corpus.heads.scorer`), so an embedder is asked
for one or for all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Spec = Mapping[str, str | int | bool]
"""An embedder as a head's file names it: its kind and whatever changes its vectors."""


class Passages(NamedTuple):
    """Chunks of documents, as vectors."""

    vectors: Any
    """(m, width) float32, an array or a sparse CSR array."""
    owner: NDArray[np.int64]
    """(m,) index of each chunk's document; rising. A document without text has no chunk."""


class Embedder(Protocol):
    """Vectors from text alone: the same text has the same vectors in every batch and process."""

    @property
    def name(self) -> str:
        """A word for people: hashed, minilm, xlm-r."""
        ...

    @property
    def width(self) -> int:
        """Of the vectors."""
        ...

    @property
    def spec(self) -> Spec:
        """What a head's file says, so that it is never used on other vectors."""
        ...

    def embed(self, texts: Sequence[str], chunks: int | None = 1) -> Passages:
        """The vectors of each text's first ``chunks`` chunks; None: of all.

        Raises:
            ConfigError: a library that it needs is missing.
        """
        ...


def pieces(text: str, size: int, most: int | None = None) -> list[str]:
    """A text in pieces of at most ``size`` characters, cut after a space if one is in the last tenth.

    Joined they are the text again, or its beginning if there are more than ``most``.
    """
    found: list[str] = []
    start = 0
    while start < len(text) and (most is None or len(found) < most):
        end = start + size
        if end < len(text):
            end = text.rfind(" ", end - size // 10, end) + 1 or end
        found.append(text[start:end])
        start = end
    return found


def owned(texts: Sequence[str], size: int, most: int | None) -> tuple[list[str], NDArray[np.int64]]:
    """The pieces of all texts, and whose each is."""
    parts = [pieces(text, size, most) for text in texts]
    owner = np.repeat(np.arange(len(texts), dtype=np.int64), [len(found) for found in parts])
    return [piece for found in parts for piece in found], owner
