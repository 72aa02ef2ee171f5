"""Pairs of known similarity, shards on disk, and the whole way from batches to groups."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homespun.corpus.dedup import Dedup, keys, pairs, resolve, sign
from homespun.corpus.documents import Batch, documents

WORDS = 104
SHINGLES = WORDS - 4
"""Of a document, for n-grams of 5."""


class Planted(NamedTuple):
    """Documents in pairs."""

    left: Batch
    right: Batch
    jaccard: float
    """Exact similarity of the shingles of each pair; those of different pairs share none."""


def _planted(shared: int, count: int, seed: int) -> Planted:
    rng = np.random.default_rng(seed)
    texts: tuple[list[str], list[str]] = ([], [])
    for _ in range(count):
        drawn = ["".join(map(chr, letters)) for letters in rng.integers(97, 123, (2 * WORDS, 10))]
        begin, tail = drawn[: shared + 4], WORDS - shared - 4
        texts[0].append(" ".join(begin + drawn[WORDS : WORDS + tail]))
        texts[1].append(" ".join(begin + drawn[WORDS + tail : WORDS + 2 * tail]))
    left, right = (documents({"id": [f"{side}{at}" for at in range(count)], "text": texts[side]}) for side in (0, 1))
    return Planted(left, right, shared / (2 * SHINGLES - shared))


@pytest.fixture(scope="session")
def planted() -> Callable[[int, int, int], Planted]:
    """A function of shingles in common (of 100), pairs and seed: texts that begin alike and have no word twice."""
    return _planted


def _found(folder: Path, shards: Sequence[Batch], settings: Dedup, numbers: Sequence[int]) -> pa.Table:
    paths: list[Path] = []
    for number, batch in zip(numbers, shards, strict=True):
        places = np.arange(len(batch), dtype=np.uint64) | np.uint64(number << 32)
        paths.append(folder / f"{number}.parquet")
        pq.write_table(sign(batch, settings).append_column("document", pa.array(places)), paths[-1])
    for key in keys(settings):
        pq.write_table(pairs(paths, key, settings), folder / f"{key}.pairs")
    return resolve({key: folder / f"{key}.pairs" for key in keys(settings)}, settings)


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., pa.Table]:
    """A function from shards, and their numbers if those are not 0, 1, 2 ..., to the table of `resolve`."""

    def run(shards: Sequence[Batch], settings: Dedup, numbers: Sequence[int] | None = None) -> pa.Table:
        return _found(tmp_path_factory.mktemp("shards"), shards, settings, numbers or range(len(shards)))

    return run
