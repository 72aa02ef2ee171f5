"""Documents that share a key, over all shards: what deduplication shuffles, one key at a time.

Only a column of keys and the documents' numbers are held, 16 to 24 bytes a document; where they are more than `PART`,
the range of keys is cut in parts that are gone through one after the other. Keys that occur once are left out before
anything is put in order.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from homespun.corpus.dedup.settings import Dedup, keys
from homespun.corpus.dedup.words import U64
from homespun.errors import ConfigError, DataError

PART = 1 << 24
"""Documents looked at together: 400 MB at most."""
ROUNDS = 64
"""How often the members of a band that are not similar to its first are compared with the next one."""

PAIRS = pa.schema([("first", pa.uint64()), ("second", pa.uint64())])
"""A document, and one with a larger number that shares a key with it."""

_Members = tuple[NDArray[np.int64], U64]
"""Documents in order of group and number: the group, and the document."""


def pairs(signatures: Sequence[Path], key: str, settings: Dedup) -> pa.Table:
    """Each later document of a key with the first one that has the same key.

    Args:
        signatures: Tables of `sign` with a column ``document`` (uint64, unique), in any order.
        key: One of `keys`.
        settings: As they were for `sign`. With ``verify`` a pair of a band must be as similar as that by its
            signatures; who is not like a band's first document is compared with the first of those left, and so on.

    Returns:
        Rows of `PAIRS`, sorted, none twice.

    Raises:
        ConfigError: there is no such key.
        DataError: a table lacks a column, or cannot be read.
    """
    if key not in keys(settings):
        raise ConfigError(f"no key {key!r}", "Dedup", f"one of {', '.join(keys(settings))}")
    count = sum(_rows(path) for path in signatures)
    parts = max(1, -(-count // PART))
    found = [_part(signatures, key, settings, part, parts) for part in range(parts)]
    first, second = (np.concatenate([part[side] for part in found]) for side in (0, 1))
    order = np.lexsort((second, first))
    return pa.table([pa.array(first[order]), pa.array(second[order])], schema=PAIRS)


def _part(signatures: Sequence[Path], key: str, settings: Dedup, part: int, parts: int) -> tuple[U64, U64]:
    """Pairs of a part of the keys."""
    words, documents = _read(signatures, key, part, parts)
    again = _repeated(words[0])
    words, documents = [word[again] for word in words], documents[again]
    order = np.lexsort((documents, *words))
    words, documents = [word[order] for word in words], documents[order]
    new = np.ones(len(documents), np.bool_)
    new[1:] = np.any([word[1:] != word[:-1] for word in words], axis=0)
    members = (np.cumsum(new, dtype=np.int64), documents)
    if settings.verify is None or key == "exact":
        first = documents[np.flatnonzero(new)][members[0] - 1]
        return first[~new], documents[~new]
    return _verified(members, _signatures(signatures, documents, settings), settings.verify)


def _repeated(words: U64) -> NDArray[np.bool_]:
    """Which values occur more than once."""
    order = np.sort(words)
    twice = order[1:][order[1:] == order[:-1]]
    if not len(twice):
        return np.zeros(len(words), np.bool_)
    at = np.searchsorted(twice, words)
    return twice[np.minimum(at, len(twice) - 1)] == words


def _verified(members: _Members, minima: NDArray[np.uint32], least: float) -> tuple[U64, U64]:
    """Pairs whose signatures agree in a share of at least ``least``, all groups at once, a leader of each at a time."""
    group, document = members
    left = np.arange(len(document))
    firsts: list[U64] = []
    seconds: list[U64] = []
    for _ in range(ROUNDS):
        if len(left) < 2:
            break
        new = np.ones(len(left), np.bool_)
        new[1:] = group[left[1:]] != group[left[:-1]]
        leader = left[np.flatnonzero(new)][np.cumsum(new) - 1]
        alike = np.empty(len(left), np.float64)
        for start in range(0, len(left), 1 << 16):
            some = slice(start, start + (1 << 16))
            alike[some] = (minima[left[some]] == minima[leader[some]]).mean(axis=1)
        pair = ~new & (alike >= least)
        firsts.append(document[leader[pair]])
        seconds.append(document[left[pair]])
        left = left[~new & ~pair]
    return np.concatenate([np.zeros(0, np.uint64), *firsts]), np.concatenate([np.zeros(0, np.uint64), *seconds])


def _read(signatures: Sequence[Path], key: str, part: int, parts: int) -> tuple[list[U64], U64]:
    """Keys of a part as one or two numbers each, and their documents."""
    found: list[list[U64]] = []
    for table in _tables(signatures, [key, "document"]):
        table = table.filter(table[key].is_valid())
        column = _numbers(table[key].combine_chunks())
        columns = [*column, table["document"].to_numpy()]
        if parts > 1:
            here = np.uint64(part) == column[0] // np.uint64(-(-(1 << 64) // parts))
            columns = [values[here] for values in columns]
        found.append(columns)
    if not found:
        return [np.zeros(0, np.uint64)], np.zeros(0, np.uint64)
    *words, documents = (np.concatenate(column) for column in zip(*found, strict=True))
    return words, documents


def _numbers(column: Any) -> list[U64]:
    """A column without nulls as one or two numbers a row."""
    if pa.types.is_uint64(column.type):
        return [column.to_numpy()]
    both = _fixed(column, 2, np.uint64)
    return [both[:, 0], both[:, 1]]


def _signatures(signatures: Sequence[Path], documents: U64, settings: Dedup) -> NDArray[np.uint32]:
    """Signatures of some documents, in their order."""
    out = np.zeros((len(documents), settings.hashes), np.uint32)
    order = np.argsort(documents)
    known = documents[order]
    for table in _tables(signatures, ["signature", "document"]):
        here = table["document"].to_numpy()
        at = np.minimum(np.searchsorted(known, here), max(len(known) - 1, 0))
        wanted = known[at] == here if len(known) else np.zeros(len(here), np.bool_)
        rows = table["signature"].filter(pa.array(wanted)).combine_chunks()
        out[order[at[wanted]]] = _fixed(rows, settings.hashes, np.uint32)
    return out


def _fixed(column: Any, width: int, kind: Any) -> NDArray[Any]:
    """Binary values of one size, without nulls, as rows of numbers."""
    flat = np.frombuffer(column.buffers()[1] or b"", np.dtype(kind).newbyteorder("<")).reshape(-1, width)
    return flat[column.offset : column.offset + len(column)]


def _tables(signatures: Sequence[Path], columns: list[str]) -> Iterator[pa.Table]:
    """Columns of each file, a file at a time."""
    for path in signatures:
        try:
            yield pq.read_table(path, columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{error}", str(path), "signing the shard again") from error


def _rows(path: Path) -> int:
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{error}", str(path), "signing the shard again") from error
    return metadata.num_rows
