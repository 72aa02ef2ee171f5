"""Words of many texts at once, as 64-bit numbers, after much the same simplification as datatrove's for MinHash.

Lower case; no diacritics (Unicode category Mn); every number a word "0"; whatever is neither letter, mark nor digit
separates words. Where a script writes no spaces (Han, Kana, Thai, Lao, Khmer, Burmese, Tibetan, ...) every character
is a word; datatrove calls a dictionary per language there, so that its n-grams reach further. Invisible format
characters vanish. All of it is one table by code point, so that texts are read at numpy's speed:

    hash of a word = mix(sum over its characters of value[c] * BASE^(place in the word))  modulo 2^64

The sums come from one running total over all texts, taken at the words' beginnings.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]

_END = 0x110000
"""A code beyond Unicode, written behind each text."""
_SEPARATOR, _VANISHES, _POINT, _DIGIT, _LETTER, _ALONE = range(6)
_SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham  # spellchecker:disable-line
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Kana
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Burmese, extended
    (0xAA60, 0xAADF),  # Burmese, extended; Tai Viet
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # Kana of half width
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)
"""Code points of scripts that leave no space between words."""
_BASE = 0x9E3779B97F4A7C15
KEPT = 1 << 17
"""Powers of the base that a process keeps; a longer text has its own made."""


class Words(NamedTuple):
    """Words of several texts."""

    hashes: U64
    """One after the other."""
    counts: NDArray[np.int64]
    """How many each text has."""


class _Table(NamedTuple):
    kind: NDArray[np.uint8]
    value: U64


def mix(x: U64) -> U64:
    """Spreads every bit over all (the finaliser of splitmix64); in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)
    return x


def words(texts: Sequence[str], seed: int) -> Words:
    """Hashes of all words.

    Args:
        texts: Any; what they take in memory is some 50 bytes a character.
        seed: Of the characters' values.

    Returns:
        (words,) and (texts,).
    """
    if not texts:
        return Words(np.zeros(0, np.uint64), np.zeros(0, np.int64))
    codes = np.frombuffer("\n".join((*texts, "")).encode("utf-32-le"), np.uint32).astype(np.intp)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    codes[np.cumsum(lengths + 1) - 1] = _END
    table = _table(seed)
    kind = table.kind.take(codes, mode="clip")
    vanishes = kind == _VANISHES
    if vanishes.any():
        codes, kind = codes[~vanishes], kind[~vanishes]
    _numbers(kind)
    alone = kind == _ALONE
    inside = kind >= _LETTER
    begins = inside.copy()
    begins[1:] &= ~inside[:-1] | alone[1:] | alone[:-1]
    starts = np.flatnonzero(begins)
    power, inverse = _kept_powers() if len(codes) <= KEPT else _powers(len(codes))
    total = np.empty(len(codes) + 1, np.uint64)
    total[0] = 0
    value = table.value.take(codes, mode="clip")
    value *= power[: len(codes)]
    value *= inside
    np.cumsum(value, out=total[1:])
    hashes = np.diff(total[starts], append=total[-1:]) * inverse[starts]
    ends = np.searchsorted(starts, np.flatnonzero(codes == _END))
    return Words(mix(hashes), np.diff(ends, prepend=0))


def joined(parts: Sequence[Words]) -> Words:
    """Words of all texts of several parts."""
    hashes, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Words(hashes, counts)


def _numbers(kind: NDArray[np.uint8]) -> None:
    """Makes a number's first digit a word, and nothing of the rest ("3.14" is one "0"); in place."""
    number = kind == _DIGIT
    if not number.any():
        return
    number[1:-1] |= (kind[1:-1] == _POINT) & number[:-2] & number[2:]
    later = number[1:] & number[:-1]
    kind[number] = _ALONE
    kind[1:][later] = _SEPARATOR


@cache
def _kept_powers() -> tuple[U64, U64]:
    return _powers(KEPT)


def _powers(count: int) -> tuple[U64, U64]:
    """Powers of the base, and of its inverse modulo 2^64."""
    found: list[U64] = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        factors = np.full(count, base, np.uint64)
        factors[0] = 1
        found.append(np.multiply.accumulate(factors))
    return found[0], found[1]


@cache
def _table(seed: int) -> _Table:
    """For each code point what it does, and its value; 0 for what is not part of a word."""
    folded = np.arange(_END + 1, dtype=np.uint64)
    kind = np.full(_END + 1, _LETTER, np.uint8)
    for code in range(_END):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cn":  # letters of a newer Unicode
            continue
        if category in ("Mn", "Cf"):
            kind[code] = _VANISHES
        elif category == "Nd":
            kind[code], folded[code] = _DIGIT, ord("0")
        elif category[0] not in "LMN":
            kind[code] = _SEPARATOR
        else:
            folded[code] = ord(_base(character.lower()))
    for first, last in _SPACELESS:
        letters = kind[first : last + 1]
        letters[letters == _LETTER] = _ALONE
    kind[[ord(point) for point in ".,\u060c\u066b"]] = _POINT
    kind[_END] = _SEPARATOR
    value = mix(folded + np.random.PCG64(seed).random_raw(1))
    value[kind < _DIGIT] = 0
    return _Table(kind, value)


def _base(character: str) -> str:
    """The letter without its diacritics; Hangul stays whole."""
    first = unicodedata.normalize("NFD", character)[0]
    return character[0] if "\u1100" <= first <= "\u11ff" else first
