"""Goldfish loss: a fixed fiftieth of the tokens never counts, so that no passage is learnt by heart (arXiv:2406.10209).

    L = −(1/|G|) Σ_i G_i log p(x_i | x_<i),   G_i = 0 iff h(window ending at x_i) falls below 1/k

The mask depends on the last ``context`` labels alone, the label itself among them (the released code; the paper says
"preceding"): the same passage meets the same gaps each time. Four hash functions, in the order of what they mend:

``product``     the released one (Apertus, arXiv:2509.14233): labels multiplied in wrapping int64, mod 1,000,003, looked
                up in a table of U(0, 1). Products of 50 ids wrap to exactly 0 in one window of ten, and forget order.
``rolling``     an order-sensitive hash of the same window: no such windows, but it looks across document borders.
``document``    the window restarts at each document, padded: a passage's first 49 tokens have one mask, wherever it is.
``words``       hashes the last `WORDS` normalised words instead (NFKC, case folded, no white space or punctuation), and
                drops whole words: copies that differ in line breaks, capitals or leading blanks have one mask.

Everything is numpy on integers, in the loader, before a batch reaches the model.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Hash = Literal["product", "rolling", "document", "words"]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
TABLE, SEED = 1_000_003, 2_971_215_073
"""Entries of the released table, and the seed of its generator."""
WORDS = 35
"""Words in a window: about what 50 tokens hold."""
_BASE, _PAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_WHOLE = 1 << 64


@dataclass(frozen=True, kw_only=True)
class Goldfish:
    """Which tokens count."""

    k: int = 50
    """One in k is dropped."""
    context: int = 50
    """Labels in a window, h."""
    hash: Hash = "document"


def mask(labels_BT: Ints, settings: Goldfish, documents_BT: Ints | None = None) -> Mask:
    """Which labels count, for hashes of tokens: (B, T), true where the loss sees it.

    Args:
        labels_BT: Ids to be predicted.
        settings: k, context and hash; ``words`` is `word_mask`'s, document by document.
        documents_BT: For ``document``: a number that changes where a new document begins.

    Raises:
        ValueError: ``document`` without documents, or ``words``.
    """
    if settings.hash == "product":
        return _product_mask(labels_BT, settings)
    if settings.hash == "words":
        raise ValueError("words are hashed by word_mask, which sees their text")
    if settings.hash == "rolling":
        counted = _hashed(labels_BT, settings.context, np.zeros_like(labels_BT)) >= np.uint64(_WHOLE // settings.k)
        counted[:, : settings.context - 1] = True  # as released: the first windows of a row are not whole
        return counted
    if documents_BT is None:
        raise ValueError("hash 'document' needs the documents' numbers")
    starts = _starts(documents_BT)
    return _hashed(labels_BT, settings.context, starts) >= np.uint64(_WHOLE // settings.k)


def _product_mask(labels: Ints, settings: Goldfish) -> Mask:
    counted = np.ones(labels.shape, dtype=np.bool_)
    if labels.shape[1] < settings.context:
        return counted
    windows = np.lib.stride_tricks.sliding_window_view(labels, settings.context, axis=1)
    with np.errstate(over="ignore"):
        keys = np.multiply.reduce(windows, axis=-1, dtype=np.int64)
    counted[:, settings.context - 1 :] = released_table()[np.mod(keys, TABLE)] >= 1.0 / settings.k
    return counted


@cache
def released_table() -> NDArray[np.float32]:
    """U(0, 1) for each residue, as torch's generator draws them from the released seed."""
    import torch

    return torch.rand(TABLE, generator=torch.Generator().manual_seed(SEED)).numpy()


def _starts(documents: Ints) -> Ints:
    """(B, T): where in its row each token's document begins."""
    length = documents.shape[1]
    new = np.ones(documents.shape, dtype=np.bool_)
    new[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return np.maximum.accumulate(np.where(new, np.arange(length), 0), axis=1)


def _hashed(labels: Ints, length: int, starts: Ints) -> NDArray[np.uint64]:
    """A hash of the last ``length`` labels at each place, those before ``starts`` replaced by a constant.

    A polynomial in wrapping 64-bit arithmetic over mixed labels, put together from windows of 1, 2, 4, … labels:
    hash(left right) = hash(left) · base^|right| + hash(right). Then mixed once more, since the low bits of a product
    know nothing of the high ones.
    """
    with np.errstate(over="ignore"):
        places = np.arange(labels.shape[1])
        window, width, pads, power = mixed(labels.astype(np.uint64)), 1, _PAD, _BASE
        whole: NDArray[np.uint64] | None = None
        done = 0
        while True:
            if length & width:
                if whole is None:
                    whole, done = window, width
                else:  # the finished part is the right one, this window lies before it
                    whole = _before(window, done, starts, places, pads) * _power(done) + whole
                    done += width
            if width * 2 > length:
                break
            window = _before(window, width, starts, places, pads) * power + window
            pads = pads * power + pads
            width, power = width * 2, power * power
        assert whole is not None
        return mixed(whole)


def _before(window: NDArray[np.uint64], by: int, starts: Ints, places: Ints, pads: np.uint64) -> NDArray[np.uint64]:
    """Hashes of the windows that end ``by`` places earlier; where that is before the document, of padding alone."""
    moved = np.full_like(window, pads)
    moved[:, by:] = window[:, :-by] if by else window
    return np.where(places - by >= starts, moved, pads)


@cache
def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(int(_BASE), exponent, _WHOLE))


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al. 2014): each bit of the result depends on every bit given."""
    with np.errstate(over="ignore"):
        values = values + _BASE
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def word_mask(pieces: Sequence[str], settings: Goldfish) -> Mask:
    """Which tokens of a document count, by the words that they belong to.

    Args:
        pieces: The text of each token, of which the document is put together.
        settings: k.

    Returns:
        One truth value for each token. A token with letters of a dropped word does not count.
    """
    counted = np.ones(len(pieces), dtype=np.bool_)
    if not pieces:
        return counted
    ends = np.cumsum([len(piece) for piece in pieces])
    spans, keys = words("".join(pieces))
    if not spans:
        return counted
    hashed = _hashed(np.array(keys, dtype=np.int64)[None], WORDS, np.zeros((1, len(keys)), dtype=np.int64))[0]
    first = np.searchsorted(ends, np.array([start for start, _ in spans]), side="right")
    last = np.searchsorted(ends, np.array([stop for _, stop in spans]) - 1, side="right")
    for at in np.flatnonzero(hashed < np.uint64(_WHOLE // settings.k)):
        counted[first[at] : last[at] + 1] = False
    return counted


def words(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    """Runs of letters, marks and digits as (start, stop), each with a number that its normalised form gives it."""
    spans: list[tuple[int, int]] = []
    start = -1
    for at, char in enumerate(text):
        inside = char.isalnum() or unicodedata.category(char)[0] == "M"
        if inside and start < 0:
            start = at
        elif not inside and start >= 0:
            spans.append((start, at))
            start = -1
    if start >= 0:
        spans.append((start, len(text)))
    return spans, [_number(text[start:stop]) for start, stop in spans]


@cache
def _number(word: str) -> int:
    from hashlib import blake2b

    plain = unicodedata.normalize("NFKC", word).casefold()
    return int.from_bytes(blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") >> 1
