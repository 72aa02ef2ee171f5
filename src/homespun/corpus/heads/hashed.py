"""Hashed n-grams of characters and words: no model, no fitted state, any language, tens of thousands of texts a second.

Each n-gram's hash is a column (Weinberger et al., arXiv:0902.2206, without their sign); a text's vector is how often
each column occurs, over the root of all occurrences, which is near unit length because most n-grams occur once. A
linear head needs no matrix then: it looks up a weight for each place in the text and adds up (`project`). All of it is
arithmetic on arrays of code points modulo 2³² and 2⁶⁴, so a vector never depends on the machine, the process or the
batch.

Legend: N code points of a block of texts, m texts, V = 2^bits columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.corpus.heads.embedder import Passages, Spec, owned
from homespun.errors import ConfigError

BASE = 0x01000193
"""Of the rolling hash of characters, modulo 2³² (the FNV prime)."""
WORD_BASE = 0x9E3779B97F4A7C15
"""Of the hash of words, modulo 2⁶⁴; odd, so it has an inverse."""
MIX = 0x85EBCA6B
BLOCK = 1 << 18
"""Code points that are worked on at a time."""

Words32 = NDArray[np.uint32]
Ints = NDArray[np.int64]


class _Block(NamedTuple):
    points: Words32
    """(N,) code points of m texts, one after another."""
    starts: Ints
    """(m,) where each begins; none is empty."""
    left: NDArray[np.uint8]
    """(N,) code points from here to its text's end, at most 255."""


class _Grams(NamedTuple):
    places: Ints | None
    """Where these n-grams begin; None: at every place."""
    columns: NDArray[np.int64]
    """Their columns."""
    valid: NDArray[np.bool_] | None
    """Which of them lie within a text; None: all."""


@dataclass(frozen=True, kw_only=True)
class HashedNgrams:
    """Which n-grams, and into how many columns."""

    bits: int = 18
    """log2 of the columns, V."""
    characters: int = 5
    """Character 1-grams to this; 0: none."""
    words: bool = True
    """Words and pairs of words besides."""
    lower: bool = False
    """Ignore case: better where what is said matters (toxicity), worse where how it is written does (quality)."""
    size: int = 2_000
    """Characters of a chunk, some 512 tokens of XLM-R."""

    def __post_init__(self) -> None:
        for name, low, high in (("bits", 4, 24), ("characters", 0, 8), ("size", 16, BLOCK)):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(f"{name}={value!r}", "HashedNgrams", f"{low} to {high}")
        for name in ("words", "lower"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}={getattr(self, name)!r}", "HashedNgrams", "True or False")
        if not self.characters and not self.words:
            raise ConfigError("neither characters nor words", "HashedNgrams", "one of them")

    @property
    def name(self) -> str:
        """For people."""
        return "hashed"

    @property
    def width(self) -> int:
        """V."""
        return 1 << self.bits

    @property
    def spec(self) -> Spec:
        """All settings."""
        fields = ("bits", "characters", "words", "lower", "size")
        return {"kind": self.name, **{name: getattr(self, name) for name in fields}}

    def embed(self, texts: Sequence[str], chunks: int | None = 1) -> Passages:
        """Sparse vectors (m, V)."""
        from scipy import sparse

        parts, owner = owned(texts, self.size, chunks)
        found: list[Any] = [sparse.csr_array((0, self.width), dtype=np.float32)]
        for block in _blocks(self._read(parts)):
            text_of = np.repeat(np.arange(len(block.starts)), np.diff(block.starts, append=len(block.points)))
            rows: list[Ints] = []
            columns: list[Ints] = []
            for grams in self._grams(block):
                places = np.arange(len(block.points)) if grams.places is None else grams.places
                keep = slice(None) if grams.valid is None else grams.valid
                rows.append(text_of[places[keep]])
                columns.append(grams.columns[keep])
            row, column = np.concatenate(rows), np.concatenate(columns)
            total = np.bincount(row, minlength=len(block.starts))
            values = (1 / np.sqrt(np.maximum(total, 1)))[row]
            shape = (len(block.starts), self.width)
            found.append(sparse.coo_array((values, (row, column)), shape=shape).tocsr().astype(np.float32))
        return Passages(sparse.vstack(found, format="csr"), owner)

    def project(self, texts: Sequence[str], weights: NDArray[np.float32], chunks: int | None = 1) -> Passages:
        """``embed(texts) @ weights`` for weights (V,), as (m, 1), without making the vectors."""
        parts, owner = owned(texts, self.size, chunks)
        found: list[NDArray[np.float64]] = [np.zeros(0)]
        for block in _blocks(self._read(parts)):
            sums = np.zeros(len(block.points), dtype=np.float32)
            counts = np.zeros(len(block.points), dtype=np.uint8)
            for grams in self._grams(block):
                values = weights.take(grams.columns)
                where = slice(None) if grams.places is None else grams.places
                if grams.valid is not None:
                    values *= grams.valid
                sums[where] += values
                counts[where] += 1 if grams.valid is None else grams.valid.view(np.uint8)
            total = np.add.reduceat(counts, block.starts, dtype=np.int64)
            found.append(np.add.reduceat(sums, block.starts, dtype=np.float64) / np.sqrt(np.maximum(total, 1)))
        return Passages(np.concatenate(found)[:, None], owner)

    def _read(self, parts: Sequence[str]) -> Sequence[str]:
        return [part.lower() for part in parts] if self.lower else parts

    def _grams(self, block: _Block) -> Iterator[_Grams]:
        """Every n-gram of a block, one kind after another."""
        rolling = block.points + np.uint32(1)
        for n in range(1, self.characters + 1):
            if n > 1:
                following = block.points[n - 1 :]
                rolling = rolling[: len(following)] * np.uint32(BASE) + following + np.uint32(1)
            columns = np.zeros(len(block.points), dtype=np.int64)
            columns[: len(rolling)] = _columns(rolling, n, self.bits)
            yield _Grams(None, columns, None if n == 1 else block.left >= n)
        if self.words:
            yield from self._word_grams(block)

    def _word_grams(self, block: _Block) -> Iterator[_Grams]:
        inside = _letters().take(block.points)
        before = np.zeros_like(inside)
        before[1:] = inside[:-1]
        before[block.starts] = False
        begins = np.flatnonzero(inside & ~before)
        after = np.ones_like(inside)
        after[:-1] = ~inside[1:]
        after[block.starts[1:] - 1] = True
        ends = np.flatnonzero(inside & after) + 1
        powers, inverse = _powers()
        sums = np.zeros(len(block.points) + 1, dtype=np.uint64)
        np.cumsum((block.points + np.uint64(1)) * powers[: len(block.points)], out=sums[1:])
        word = (sums[ends] - sums[begins]) * inverse[begins]
        yield _Grams(begins, _columns(_folded(word), 101, self.bits), None)
        if len(word) < 2:
            return
        pair = word[:-1] * np.uint64(WORD_BASE) + word[1:]
        together = np.searchsorted(block.starts, begins[:-1], "right") == np.searchsorted(
            block.starts, begins[1:], "right"
        )
        yield _Grams(begins[:-1][together], _columns(_folded(pair[together]), 102, self.bits), None)


def _blocks(parts: Sequence[str]) -> Iterator[_Block]:
    """The texts in blocks of at most `BLOCK` code points, or one text."""
    at = 0
    while at < len(parts):
        stop, size = at, 0
        while stop < len(parts) and (stop == at or size + len(parts[stop]) <= BLOCK):
            size += len(parts[stop])
            stop += 1
        lengths = np.array([len(part) for part in parts[at:stop]], dtype=np.int64)
        whole = "".join(parts[at:stop]).encode("utf-32-le", "surrogatepass")
        ends = np.cumsum(lengths)
        left = np.minimum(np.repeat(ends, lengths) - np.arange(size), 255).astype(np.uint8)
        yield _Block(np.frombuffer(whole, dtype="<u4"), ends - lengths, left)
        at = stop


def _columns(hashes: Words32, salt: int, bits: int) -> NDArray[np.int64]:
    """The column of each hash: its bits mixed (the second half of MurmurHash3's finaliser), the highest taken."""
    mixed = hashes ^ np.uint32(salt * 0x9E3779B1 & 0xFFFFFFFF)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(MIX)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed >>= np.uint32(32 - bits)
    return mixed.astype(np.int64)


def _folded(hashes: NDArray[np.uint64]) -> Words32:
    return ((hashes ^ (hashes >> np.uint64(32))) & np.uint64(0xFFFFFFFF)).astype(np.uint32)


@cache
def _powers() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Powers of `WORD_BASE` and of its inverse modulo 2⁶⁴: a word's hash is then a difference of sums."""
    both: list[NDArray[np.uint64]] = []
    for base in (WORD_BASE, pow(WORD_BASE, -1, 1 << 64)):
        steps = np.full(2 * BLOCK, base, dtype=np.uint64)
        steps[0] = 1
        both.append(np.cumprod(steps, dtype=np.uint64))
    return both[0], both[1]


@cache
def _letters() -> NDArray[np.bool_]:
    """For every code point whether it belongs to a word: all but controls, spaces, and common punctuation.

    Fixed blocks of Unicode, not the tables of this Python's version.
    """
    inside = np.ones(0x110000, dtype=np.bool_)
    inside[:0x30] = inside[0x3A:0x41] = inside[0x5B:0x61] = inside[0x7B:0xC0] = False
    inside[[0xAA, 0xB5, 0xBA]] = True
    for low, high in ((0x2000, 0x2070), (0x3000, 0x3005), (0x3008, 0x3021), (0xFF00, 0xFF10), (0xFF1A, 0xFF21)):
        inside[low:high] = False
    inside[[0xD7, 0xF7, 0x1680, 0xFEFF]] = False
    return inside
