"""MinHash signatures and their bands (Broder 1997; Indyk and Motwani 1998; as FineWeb-2 sets them).

    x      of a shingle: n words' hashes, each times its place's odd number, summed and mixed; its upper 32 bits
    h_k(x) = a_k x + b_k  modulo 2^32, a_k odd                    (a permutation of 32-bit numbers)
    s_k    = min of h_k over a document's shingles               P(s_k equal) = Jaccard similarity
    band   = 64-bit mix of r hashes of the signature             P(one of b bands equal) = 1 - (1 - J^r)^b

Differences from datatrove: 32-bit permutations instead of (a x + b) mod 2^61 - 1, which numpy computes several times
faster; and a band is one mixed number instead of r. Both add accidental equalities of order 2^-32 a shingle and 2^-64 a
pair.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.corpus.dedup.words import U64, Words, mix

U32 = NDArray[np.uint32]


class Shingles(NamedTuple):
    """Shingles of several documents; those too short to have one are left out."""

    hashes: U32
    starts: NDArray[np.int64]
    """Where each document's begin."""
    rows: NDArray[np.int64]
    """Which document."""


@cache
def _draw(seed: int, what: int, count: int) -> U64:
    """Numbers of a hash family. Raw draws of PCG64 are the same in every version of numpy."""
    return np.random.PCG64([seed, what]).random_raw(count)


def _odd(seed: int, what: int, count: int) -> U64:
    return _draw(seed, what, count) | np.uint64(1)


def shingles(found: Words, ngram: int, seed: int) -> Shingles:
    """Every run of ``ngram`` words within a document, repetitions included (they change no minimum).

    Args:
        found: Words of documents.
        ngram: Words in a shingle.
        seed: Of the places' numbers.
    """
    each = found.counts - (ngram - 1)
    rows = np.flatnonzero(each > 0)
    kept = each[rows]
    starts = np.cumsum(kept) - kept
    total = max(len(found.hashes) - ngram + 1, 0)
    x = np.zeros(total, np.uint64)
    for place, factor in enumerate(_odd(seed, 1, ngram)):
        x += found.hashes[place : place + total] * factor
    edges = np.zeros(total + 1, np.int8)
    begins = (np.cumsum(found.counts) - found.counts)[rows]
    edges[begins] = 1
    edges[begins + kept] -= 1
    within = np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)
    return Shingles((mix(x[within]) >> np.uint64(32)).astype(np.uint32), starts, rows)


def signatures(found: Shingles, hashes: int, seed: int) -> U32:
    """Minima of all permutations.

    Args:
        found: Shingles of documents.
        hashes: How many permutations.
        seed: Of the permutations.

    Returns:
        (hashes, documents with shingles).
    """
    a, b = (draw.astype(np.uint32) for draw in (_odd(seed, 2, hashes), _draw(seed, 3, hashes)))
    out = np.empty((hashes, len(found.rows)), np.uint32)
    if not len(found.rows):
        return out
    buffer = np.empty_like(found.hashes)
    for k in range(hashes):
        np.multiply(found.hashes, a[k], out=buffer)
        np.add(buffer, b[k], out=buffer)
        np.minimum.reduceat(buffer, found.starts, out=out[k])
    return out


def bands(signature: U32, rows: int, seed: int, salt: U64) -> U64:
    """A number for each band.

    Args:
        signature: (bands * rows, documents).
        rows: Hashes in a band.
        seed: Of the mix.
        salt: (documents,), documents of different salt share no band: the language.

    Returns:
        (bands, documents).
    """
    factors = _odd(seed, 4, rows)
    out = np.tile(salt, (len(signature) // rows, 1))
    for row, minima in enumerate(signature):
        out[row // rows] += minima * factors[row % rows]
    return mix(out)
