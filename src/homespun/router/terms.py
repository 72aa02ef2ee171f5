"""TF-IDF over words (1–2-grams) and, if asked for, characters (2–5-grams within words), as a sparse matrix.

The vocabulary and its weights are scikit-learn's; the reading of a prompt is our own, since for a single prompt most of
scikit-learn's time goes into checking arguments. Both give the same numbers (tests/router/test_features.py).

Legend: n prompts, v terms.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

Analyzer = Callable[[str], list[str]]


class _Part(NamedTuple):
    """One kind of term: how to cut them, their numbers and their inverse document frequencies."""

    analyze: Analyzer
    vocabulary: dict[str, int]
    idf: NDArray[np.float32]


class Terms:
    """Sublinear TF-IDF, each kind of term at unit norm, side by side."""

    def __init__(self, num_words: int, num_characters: int) -> None:
        self._kinds = {
            "words": TfidfVectorizer(ngram_range=(1, 2), max_features=num_words or None, **_COMMON),
            "characters": TfidfVectorizer(
                analyzer="char_wb", ngram_range=(2, 5), max_features=num_characters or None, **_COMMON
            ),
        }
        self._wanted = [name for name, num in zip(self._kinds, (num_words, num_characters), strict=True) if num]
        self._parts: dict[str, _Part] = {}

    def __len__(self) -> int:
        return sum(len(part.idf) for part in self._parts.values())

    def fit(self, texts: Sequence[str]) -> Any:
        """Learns which terms there are (those in two texts at least) and how rare they are.

        Returns:
            (n, v) the rows of these very texts, as `transform` would give them.
        """
        blocks: list[Any] = [sparse.csr_matrix((len(texts), 0), dtype=np.float32)]
        for name in self._wanted:
            model: Any = self._kinds[name]
            with suppress(ValueError):  # no term occurs in two texts
                blocks.append(model.fit_transform(texts))
                self._parts[name] = _Part(model.build_analyzer(), model.vocabulary_, model.idf_.astype(np.float32))
        return sparse.hstack(blocks, format="csr")

    def transform(self, texts: Sequence[str]) -> Any:
        """(n, v) sparse rows in float32."""
        blocks = [_rows(part, texts) for part in self._parts.values()]
        if len(blocks) == 1:
            return blocks[0]
        return sparse.hstack([sparse.csr_matrix((len(texts), 0), dtype=np.float32), *blocks], format="csr")

    def vocabularies(self) -> dict[str, list[str]]:
        """Terms by kind, in the order of their columns."""
        return {name: sorted(part.vocabulary, key=part.vocabulary.__getitem__) for name, part in self._parts.items()}

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Inverse document frequencies by kind."""
        return {name: part.idf for name, part in self._parts.items()}

    def restore(self, vocabularies: dict[str, list[str]], weights: dict[str, NDArray[np.float32]]) -> Self:
        """Takes the state that `vocabularies` and `weights` gave.

        Raises:
            ValueError: they do not fit together.
        """
        for name, terms in vocabularies.items():
            if len(terms) != len(weights[name]):
                raise ValueError("vocabulary and weights differ in length")
            analyze = self._kinds[name].build_analyzer()
            self._parts[name] = _Part(analyze, {term: i for i, term in enumerate(terms)}, weights[name])
        return self


_COMMON: dict[str, Any] = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}


def _rows(part: _Part, texts: Sequence[str]) -> Any:
    starts, columns, values = [0], [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.float32)]
    for text in texts:
        found = Counter(number for term in part.analyze(text) if (number := part.vocabulary.get(term)) is not None)
        column = np.fromiter(found.keys(), dtype=np.int32, count=len(found))
        weight = (1 + np.log(np.fromiter(found.values(), dtype=np.float32, count=len(found)))) * part.idf[column]
        columns.append(column)
        values.append(weight / max(float(np.sqrt(weight @ weight)), 1e-12))
        starts.append(starts[-1] + len(found))
    content = (np.concatenate(values), np.concatenate(columns), np.array(starts, dtype=np.int32))
    return sparse.csr_matrix(content, shape=(len(texts), len(part.idf)))
