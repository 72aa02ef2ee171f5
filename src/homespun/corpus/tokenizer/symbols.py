"""Words as linked symbols whose pairs are counted: what a merge changes, and nothing else.

Symbols are ids, a pair is ``left << 20 | right``. A merge visits the places where its pair stands and updates the
counts of the pairs beside them, so counts are exact at every step and all merges together cost about as much as there
were symbols to begin with. Lists rather than arrays: the places are few, and visited one by one.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from homespun.errors import DataError

SHIFT = 20
MASK = (1 << SHIFT) - 1


@dataclass(kw_only=True)
class Words:
    """One language: its words, cut and in the byte-level alphabet, with how often they occur."""

    train: Mapping[str, int]
    """In the text from which pairs are counted."""
    dev: Mapping[str, int] = field(default_factory=dict[str, int])
    """In the parallel text by which languages are compared."""
    lines: int = 0
    """Lines of that; 0: the language is never worst off."""


class Symbols:
    """All words as one row of symbols, linked within words, with exact counts of pairs by group of languages.

    Args:
        languages: Words of each.
        alphabet: Characters in the order of their ids.

    Raises:
        DataError: a word holds a character that the alphabet lacks.
    """

    def __init__(self, languages: Sequence[Words], alphabet: Sequence[str]) -> None:
        ids = {char: at for at, char in enumerate(alphabet)}
        words = [(at, word) for at, said in enumerate(languages) for word in sorted({*said.train, *said.dev}) if word]
        try:
            symbols = [ids[char] for _, word in words for char in word]
        except KeyError as error:
            raise DataError(
                f"character {error.args[0]!r} is no byte", "a word", "words of the byte-level cut"
            ) from None
        lengths = np.array([len(word) for _, word in words], dtype=np.int64)
        self._language = np.repeat(np.array([at for at, _ in words], dtype=np.int64), lengths)
        self._symbols = symbols
        last = np.zeros(len(symbols), dtype=np.bool_)
        last[np.cumsum(lengths) - 1] = True
        first = np.roll(last, 1)
        places = np.arange(len(symbols))
        self._next: list[int] = np.where(last, -1, places + 1).tolist()
        self._previous: list[int] = np.where(first, -1, places - 1).tolist()
        self._train: list[int] = _spread([languages[at].train.get(word, 0) for at, word in words], lengths)
        self._dev: list[int] = _spread([languages[at].dev.get(word, 0) for at, word in words], lengths)

    def group(self, groups: Sequence[int]) -> None:
        """Counts pairs and development tokens afresh.

        Args:
            groups: The group of each language.
        """
        by_language = np.array(groups, dtype=np.int64)
        symbols, following = np.array(self._symbols, dtype=np.int64), np.array(self._next, dtype=np.int64)
        group = by_language[self._language] if len(symbols) else self._language
        live = symbols >= 0
        number = int(by_language.max(initial=0)) + 1
        self.tokens: list[int] = [0] * number
        for at, count in enumerate(np.bincount(group[live], np.array(self._dev)[live], number)):
            self.tokens[at] = int(count)
        places = np.flatnonzero(live & (following >= 0))
        pairs = (symbols[places] << SHIFT) | symbols[following[places]]
        order = np.argsort(pairs, kind="stable")
        kinds, starts = np.unique(pairs[order], return_index=True)
        pieces = np.split(places[order], starts[1:]) if len(kinds) else []
        self._where: defaultdict[int, list[int]] = defaultdict(list)
        self._where.update((int(kind), piece.tolist()) for kind, piece in zip(kinds, pieces, strict=True))
        self._group: list[int] = group.tolist()
        weights = np.array(self._train, dtype=np.int64)[places]
        self._counts = [_counted(pairs[here], weights[here]) for g in range(number) for here in [group[places] == g]]
        self._heaps = [[(-count, pair) for pair, count in counts.items() if count] for counts in self._counts]
        for heap in self._heaps:
            heapq.heapify(heap)

    def best(self, group: int, least: int, allows: Callable[[int], bool]) -> int | None:
        """A group's most frequent pair that may be merged, the smaller of equals; None if none occurs so often."""
        heap, counts = self._heaps[group], self._counts[group]
        while heap:
            count, pair = heap[0]
            now = counts[pair]
            if -count == now and allows(pair):
                return pair if now >= least else None
            if now == -count or not now:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (-now, pair))
        return None

    def merge(self, pair: int, new: int) -> None:
        """Makes one symbol of a pair wherever it stands; from left to right where places overlap."""
        left, right = pair >> SHIFT, pair & MASK
        symbols, following, previous, group = self._symbols, self._next, self._previous, self._group
        where, train, dev = self._where, self._train, self._dev
        grown: set[tuple[int, int]] = set()
        for place in sorted(where.pop(pair)):
            behind = following[place]
            if symbols[place] != left or behind < 0 or symbols[behind] != right:
                continue  # another merge took it
            here, weight = group[place], train[place]
            counts = self._counts[here]
            counts[pair] -= weight
            self.tokens[here] -= dev[place]
            if (before := previous[place]) >= 0:
                counts[symbols[before] << SHIFT | left] -= weight
                made = symbols[before] << SHIFT | new
                counts[made] += weight
                where[made].append(before)
                grown.add((here, made))
            if (after := following[behind]) >= 0:
                counts[right << SHIFT | symbols[after]] -= weight
                made = new << SHIFT | symbols[after]
                counts[made] += weight
                where[made].append(place)
                grown.add((here, made))
                previous[after] = place
            symbols[place], symbols[behind], following[place] = new, -1, after
        for here, made in grown:
            if (count := self._counts[here][made]) > 0:
                heapq.heappush(self._heaps[here], (-count, made))


def _spread(values: list[int], lengths: NDArray[np.int64]) -> list[int]:
    return np.repeat(np.array(values, dtype=np.int64), lengths).tolist()


def _counted(pairs: NDArray[np.int64], weights: NDArray[np.int64]) -> defaultdict[int, int]:
    kinds, inverse = np.unique(pairs, return_inverse=True)
    sums = np.bincount(inverse, weights, len(kinds)).astype(np.int64)
    return defaultdict(int, zip(kinds.tolist(), sums.tolist(), strict=True))
