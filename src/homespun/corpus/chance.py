"""Chance that every process throws alike: a number in [0, 1) from a seed, a purpose, and a document's id."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def chances(ids: Sequence[str], purpose: str, seed: int) -> NDArray[np.float64]:
    """(n,) numbers, uniform over ids, that depend on nothing but the arguments.

    Args:
        ids: Of documents.
        purpose: Who asks: two filters with one seed must not throw out the same documents.
        seed: Of the filter.
    """
    start = hashlib.blake2b(f"{purpose}\0{seed}\0".encode(), digest_size=8)
    digests: list[bytes] = []
    for name in ids:
        hasher = start.copy()
        hasher.update(name.encode("utf-8", "surrogatepass"))
        digests.append(hasher.digest())
    whole = np.frombuffer(b"".join(digests), dtype="<u8")
    return (whole >> np.uint64(11)).astype(np.float64) / float(1 << 53)
