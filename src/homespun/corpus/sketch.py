"""How scores are spread, by language: counts that shards make alone and that add up to the same whole in any order.

A threshold such as .9994 has to be told from .9996, so bins are equal in odds, s / (1 - s), not in the score: the odds
are a float64, and a bin is its exponent and the first `BITS` bits of its mantissa. The odds are one exact subtraction
and one correctly rounded division, so every machine counts alike; and odds in one bin differ by at most one part in
2^BITS. Only bins that hold something are kept. Counting, not sampling: what a threshold keeps of the counted documents
is known exactly, not about.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from homespun.errors import DataError

BITS = 8
"""Of the mantissa: odds within a bin differ by less than 0.4 %, near .9994 that is 0.000003 of the score."""
UNKNOWN = "und"
"""Language of documents without one, as ISO 639-2 says it."""
TABLE = pa.schema([("lang", pa.string()), ("bin", pa.int32()), ("count", pa.int64())])
Counts = Mapping[str, Mapping[int, int]]
"""Language to bin to number of scores."""
Floats = NDArray[np.float64]
_LAST = int(np.float64(np.inf).view(np.uint64) >> np.uint64(52 - BITS))


class Edges(NamedTuple):
    """Thresholds between bins, rising."""

    score: Floats
    """(k,) smallest float32 of the bins above; above 1 where nothing is above."""
    below: NDArray[np.int64]
    """(k,) scores that are smaller."""
    above: NDArray[np.int64]
    """(k,) scores that are not."""


def bins_of(scores: ArrayLike) -> NDArray[np.int32]:
    """(n,) bin of each float32 score; a greater score never has a smaller bin.

    Raises:
        DataError: a score is not in [0, 1].
    """
    values = np.asarray(scores, dtype=np.float32).astype(np.float64)
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        raise DataError(f"{values[bad][0]:g} is no score", f"row {int(bad.argmax())}", "scores from 0 to 1")
    with np.errstate(divide="ignore"):
        odds = np.abs(values) / (1 - values)  # -0 is 0
    return (odds.view(np.uint64) >> np.uint64(52 - BITS)).astype(np.int32)


def first_scores(bins: ArrayLike) -> Floats:
    """(n,) the smallest float32 score whose bin is the given one or a later one; just above 1 where there is none."""
    wanted = np.asarray(bins, dtype=np.int64)
    odds = (np.minimum(wanted, _LAST).astype(np.uint64) << np.uint64(52 - BITS)).view(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.where(np.isinf(odds), 1.0, odds / (1 + odds)).astype(np.float32)
    lower = np.maximum(np.nextafter(near, np.float32(0)), 0)
    upper = np.minimum(np.nextafter(near, np.float32(2)), 1)
    found = np.where(bins_of(lower) >= wanted, lower, np.where(bins_of(near) >= wanted, near, upper))
    return np.where(wanted > _LAST, np.nextafter(np.float32(1), np.float32(2)), found).astype(np.float64)


class Sketch:
    """Counts by language and bin. Adding up is `merge`: in any order and grouping it gives equal sketches."""

    def __init__(self, counts: Counts | None = None) -> None:
        self._counts = counts or {}

    @classmethod
    def counted(cls, languages: Iterable[str | None], scores: ArrayLike) -> Self:
        """The sketch of some documents.

        Args:
            languages: Of each; None: unknown.
            scores: (n,) in [0, 1], none missing.

        Raises:
            DataError: a score is out of range.
        """
        names, codes = np.unique([lang or UNKNOWN for lang in languages], return_inverse=True)
        bins = bins_of(scores).astype(np.int64)
        keys, counts = np.unique(codes.astype(np.int64) << 32 | bins, return_counts=True)
        found: dict[str, dict[int, int]] = {}
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            found.setdefault(str(names[key >> 32]), {})[key & 0xFFFFFFFF] = count
        return cls(found)

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """The sketch that `table` wrote.

        Raises:
            DataError: other columns, a bin that doesn't exist, or a count below 1.
        """
        if set(table.column_names) != set(TABLE.names):
            raise DataError(f"columns {', '.join(table.column_names)}"[:200], "sketch", ", ".join(TABLE.names))
        columns = [table[name].to_pylist() for name in TABLE.names]
        found: dict[str, dict[int, int]] = {}
        for lang, bin_, count in zip(*columns, strict=True):
            known = isinstance(lang, str) and isinstance(bin_, int) and isinstance(count, int)
            if not known or not 0 <= bin_ <= _LAST or count < 1 or bin_ in found.setdefault(lang, {}):
                raise DataError(f"{lang!r}, bin {bin_!r}, count {count!r}"[:200], "sketch", "delete it and count again")
            found[lang][bin_] = count
        return cls(found)

    def table(self) -> pa.Table:
        """The counts as rows of `TABLE`, sorted: equal sketches give equal bytes."""
        rows = [(lang, *held) for lang in self.languages for held in sorted(self._counts[lang].items())]
        columns = zip(*rows, strict=True) if rows else ([], [], [])
        return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, TABLE, strict=True)], schema=TABLE)

    def merge(self, other: Self) -> Self:
        """The sketch of both sets of documents."""
        merged = dict(self._counts)
        for lang, bins in other._counts.items():
            own = dict(merged.get(lang, {}))
            for bin_, count in bins.items():
                own[bin_] = own.get(bin_, 0) + count
            merged[lang] = own
        return type(self)(merged)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages with at least one score, sorted."""
        return tuple(sorted(self._counts))

    def count(self, language: str) -> int:
        """How many scores a language has."""
        return sum(self._counts.get(language, {}).values())

    def edges(self, language: str) -> Edges:
        """The places where a threshold can stand: before each bin that holds something, and after the last."""
        held = sorted(self._counts.get(language, {}).items())
        bins = [bin_ for bin_, _ in held]
        below = np.cumsum([0, *(count for _, count in held)], dtype=np.int64)
        scores = first_scores(bins + [bin_ + 1 for bin_ in bins[-1:]])
        return Edges(scores, below[: len(scores)], below[-1] - below[: len(scores)])

    def quantile(self, language: str, q: float) -> float:
        """A score whose bin is that of the q-quantile (inverse of the distribution function), so its odds are near.

        Raises:
            DataError: the language has no scores, or q is not in [0, 1].
        """
        total = self.count(language)
        if not total or not 0 <= q <= 1:
            raise DataError(f"no quantile {q:g} of {total} scores", language, "a language with scores, q from 0 to 1")
        edges = self.edges(language)
        rank = max(1, int(np.ceil(np.float64(q) * total)))
        return float(edges.score[int(np.searchsorted(edges.below, rank)) - 1])
