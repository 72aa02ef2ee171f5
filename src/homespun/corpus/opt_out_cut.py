"""Takes documents out of a finished shard: rows, tokens, and a line in the ledger for each.

What comes out has the bytes that the pipeline would have written without them. A shard's files are written one after
another, each whole or not at all, and its record (``parts/cut/00012.json``) last.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from homespun.corpus.documents import EXCLUDED, SCHEMA, byte_lengths
from homespun.corpus.ledger import ends
from homespun.corpus.ledger_check import item_bytes
from homespun.corpus.ledger_rules import OPT_OUT
from homespun.corpus.shards import ShardWriter, batches, read_json, shard_path, write_json
from homespun.errors import RunError
from homespun.runs.tables import atomic, sha256

BLOCK = 1 << 22
"""Bytes that are copied at a time."""


def cut_shard(
    before: Path,
    after: Path,
    shard: int,
    rows: Sequence[int],
    reasons: Sequence[str],
    evidence: Sequence[str],
    digests: Mapping[str, str],
) -> Mapping[str, Any]:
    """Writes a shard without some of its documents.

    Args:
        before: Folder of the finished run.
        after: Folder of the new one.
        shard: The shard.
        rows: The documents' places among what was kept, in order.
        reasons: Of each.
        evidence: Of each.
        digests: Checksums of the shard's files, as the finished run recorded them.

    Returns:
        Counts of what stays and of all that left: documents, bytes, tokens if it was packed.

    Raises:
        RunError: a file is not what the finished run wrote.
    """
    marker = shard_path(after / "parts", "cut", shard, ".json")
    if (found := read_json(marker)) is not None:
        return found
    for name, digest in digests.items():
        if not (before / name).is_file() or sha256(before / name) != digest:
            raise RunError("is not what the run wrote", str(before / name), "build the corpus again")
    gone = np.asarray(rows, dtype=np.int64)
    kept_bytes, left = _cut_documents(before, after, shard, gone)
    ledger = pq.read_table(shard_path(before, "excluded", shard))
    places = _places(ledger["row"].to_numpy(), len(gone) + _kept(after, shard))[gone]
    new = pa.table(
        {
            **left,
            "filter": pa.array([OPT_OUT] * len(gone), pa.string()),
            "reason": pa.array(reasons, pa.string()),
            "evidence": pa.array(evidence, pa.string()),
            "shard": pa.array(np.full(len(gone), shard, dtype=np.int32)),
            "row": pa.array(places),
        }
    )
    ledger = pa.concat_tables([ledger, new.select(EXCLUDED.names).cast(EXCLUDED)]).sort_by("row")
    with ShardWriter(shard_path(after, "excluded", shard), EXCLUDED) as writer:
        writer.append(ledger)
    said: dict[str, Any] = {
        "kept": _kept(after, shard),
        "kept_bytes": kept_bytes,
        "excluded": len(ledger),
        "excluded_bytes": int(ledger["bytes"].to_numpy().sum()),
    }
    if ends(before, shard) is not None:
        said["tokens"] = _cut_tokens(before, after, shard, gone)
    write_json(marker, said)
    return said


def link(before: Path, after: Path) -> None:
    """The same file under another name; a copy where the two are on different disks.

    Raises:
        RunError: it is missing.
    """
    if after.exists():
        return
    if not before.is_file():
        raise RunError("is missing", str(before), "build the corpus again")
    after.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(before, after)
    except OSError:
        with atomic(after) as temporary:
            shutil.copyfile(before, temporary)


def _cut_documents(before: Path, after: Path, shard: int, gone: NDArray[np.int64]) -> tuple[int, Mapping[str, Any]]:
    """Writes what stays; gives its bytes, and columns of the ledger for what leaves."""
    at = kept_bytes = 0
    left: list[pa.Table] = []
    with ShardWriter(shard_path(after, "documents", shard), SCHEMA) as writer:
        for table in batches(shard_path(before, "documents", shard)):
            stays = np.ones(len(table), dtype=np.bool_)
            stays[gone[(gone >= at) & (gone < at + len(table))] - at] = False
            at += len(table)
            kept, other = table.filter(pa.array(stays)), table.filter(pa.array(~stays))
            kept_bytes += int(byte_lengths(kept).sum())
            left.append(
                other.select(["id", "url", "source", "lang"]).append_column("bytes", pa.array(byte_lengths(other)))
            )
            writer.append(kept)
    found = pa.concat_tables(left) if left else None
    if found is None or len(found) != len(gone):
        raise RunError("holds fewer documents than were decided on", f"{before.name}, shard {shard}", "the same again")
    return kept_bytes, {name: found[name] for name in found.column_names}


def _kept(after: Path, shard: int) -> int:
    return pq.read_metadata(shard_path(after, "documents", shard)).num_rows


def _places(left: NDArray[np.int64], kept: int) -> NDArray[np.int64]:
    """Where each kept document was in its shard as it was read: at the places that the ledger leaves free, in order."""
    free = np.ones(len(left) + kept, dtype=np.bool_)
    free[left] = False
    return np.flatnonzero(free)


def _cut_tokens(before: Path, after: Path, shard: int, gone: NDArray[np.int64]) -> int:
    """Writes a shard's tokens without those of some documents, and where the others end now."""
    stops = np.asarray(ends(before, shard), dtype=np.int64)
    lengths = np.diff(stops, prepend=0)
    stays = np.ones(len(lengths), dtype=np.bool_)
    stays[gone] = False
    size = item_bytes(before)
    source = shard_path(before, "tokens", shard, ".bin")
    target = shard_path(after, "tokens", shard, ".bin")
    with source.open("rb") as tokens, atomic(target) as temporary, temporary.open("wb") as out:
        for start, stop in _stretches(stays, stops):
            tokens.seek(start * size)
            _copy(tokens, out, (stop - start) * size, source)
    cut = np.cumsum(lengths[stays], dtype=np.int64)
    with atomic(shard_path(after, "tokens", shard, ".ends.npy")) as temporary, temporary.open("wb") as out:
        np.save(out, cut)
    return int(cut[-1]) if len(cut) else 0


def _stretches(stays: NDArray[np.bool_], stops: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring documents that stay, as first token and one beyond the last."""
    edges = np.flatnonzero(np.diff(stays.astype(np.int8), prepend=0, append=0))
    starts = np.concatenate([[0], stops])
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        yield int(starts[first]), int(starts[after])


def _copy(source: Any, target: Any, count: int, path: Path) -> None:
    while count:
        block = source.read(min(BLOCK, count))
        if not block:
            raise RunError("ends before its last document", str(path), "build the corpus again")
        target.write(block)
        count -= len(block)


def reindex(before: Path, after: Path, shards: Sequence[int]) -> None:
    """Writes the tokens' index again, with the counts of the shards as they are now.

    Raises:
        RunError: the old index is damaged.
    """
    path = before / "tokens" / "index.json"
    index = read_json(path)
    if index is None or not isinstance(index.get("shards"), list) or len(index["shards"]) != len(shards):
        raise RunError("is no index of the run's tokens", str(path), "build the corpus again")
    known = [np.asarray(ends(after, shard), dtype=np.int64) for shard in shards]
    counts = [{"documents": len(found), "tokens": int(found[-1]) if len(found) else 0} for found in known]
    index["shards"] = [{**said, **count} for said, count in zip(index["shards"], counts, strict=True)]
    index |= {name: sum(count[name] for count in counts) for name in ("documents", "tokens") if name in index}
    write_json(after / "tokens" / "index.json", index)
