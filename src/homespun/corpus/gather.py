"""The first half of a shard's way: read, judge, sign. Everything is written as it comes, in bounded memory.

A shard's record (``parts/gathered/00012.json``) is written last: as long as it is missing, nothing counts as done.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from homespun.corpus.dedup import Dedup, sign
from homespun.corpus.documents import EXCLUDED, SCHEMA, Batch, Judge, Stage, byte_lengths, documents, parted
from homespun.corpus.plan import Corpus
from homespun.corpus.read.source import Slice, read
from homespun.corpus.shards import ShardWriter, read_json, shard_path, write_json
from homespun.corpus.sketch import Sketch
from homespun.errors import HomespunError, RunError
from homespun.runs.tables import atomic

PLACED = SCHEMA.append(pa.field("row", pa.int64()))
"""A document between the two halves: with its place in the shard as it was read."""


@cache
def opened(stage: Stage) -> Judge:
    """A stage, open, once per process."""
    return stage.open()


def signature_schema(dedup: Dedup) -> pa.Schema:
    """Of the table that deduplication reads: the keys of each document, and its number in the corpus."""
    return sign(documents({"id": [], "text": []}), dedup).schema.append(pa.field("document", pa.uint64()))


def judge(
    stage: Stage, judgement: Judge, batch: Batch, rows: NDArray[np.int64], shard: int, left: ShardWriter
) -> tuple[Batch, NDArray[np.int64]]:
    """Puts a batch through a stage: what stays with its places, and what leaves into the ledger.

    Raises:
        RunError: the stage failed, or lost rows.
    """
    try:
        said = judgement(batch)
        parts = parted(said, stage.name, len(batch))
    except HomespunError:
        raise
    except Exception as error:
        first = batch["id"][0].as_py()
        text = f"{type(error).__name__} in stage {stage.name}: {error}"
        raise RunError(text, f"shard {shard}, batch from {first}", "leave the source out, or mend the stage") from error
    exclude(left, parts.excluded, stage.name, shard, rows[~parts.mask])
    return parts.kept, rows[parts.mask]


def exclude(left: ShardWriter, rows: pa.Table, name: str, shard: int, places: NDArray[np.int64]) -> None:
    """Writes judged rows into a shard's ledger."""
    if not len(rows):
        return
    said: dict[str, Any] = {column: rows[column] for column in ("id", "url", "source", "lang", "reason", "evidence")}
    said |= {
        "filter": pa.array([name] * len(rows)),
        "bytes": pa.array(byte_lengths(rows)),
        "shard": pa.array(np.full(len(rows), shard, dtype=np.int32)),
        "row": pa.array(places),
    }
    left.append(pa.table({field.name: said[field.name] for field in EXCLUDED}))


def gather(corpus: Corpus, shard: int, slice_: Slice, folder: Path) -> Mapping[str, Any]:
    """Reads and judges one shard.

    Args:
        corpus: The recipe.
        shard: Its number.
        slice_: What of which file it is.
        folder: The run's ``parts``; the shard's files appear in ``gathered``, ``signed``, ``left`` and ``sketched``.

    Returns:
        Counts: documents and bytes read.

    Raises:
        RunError: a stage failed; the text names it.
    """
    marker = shard_path(folder, "gathered", shard, ".json")
    if (found := read_json(marker)) is not None:
        return found
    read_documents = read_bytes = 0
    sketches = [Sketch() for _ in corpus.cuts]
    with ExitStack() as files:
        kept = files.enter_context(ShardWriter(shard_path(folder, "gathered", shard), PLACED, level=1))
        left = files.enter_context(ShardWriter(shard_path(folder, "left", shard), EXCLUDED, level=1))
        signed = corpus.dedup and files.enter_context(
            ShardWriter(shard_path(folder, "signed", shard), signature_schema(corpus.dedup), level=1)
        )
        for batch in read(slice_, corpus.limits):
            rows = np.arange(read_documents, read_documents + len(batch), dtype=np.int64)
            read_documents += len(batch)
            read_bytes += int(byte_lengths(batch).sum())
            parts = parted(batch, "read", len(batch))
            exclude(left, parts.excluded, "read", shard, rows[~parts.mask])
            batch, rows = parts.kept, rows[parts.mask]
            for stage in corpus.gather:
                if len(batch):
                    batch, rows = judge(stage, opened(stage), batch, rows, shard, left)
            if not len(batch):
                continue
            if corpus.dedup and signed:
                numbers = pa.array(rows.astype(np.uint64) | np.uint64(shard << 32))
                signed.append(sign(batch, corpus.dedup).append_column("document", numbers))
            sketches = [s.merge(cut.sketch(batch)) for s, cut in zip(sketches, corpus.cuts, strict=True)]
            kept.append(batch.append_column("row", pa.array(rows)))
    for at, sketch in enumerate(sketches):
        with atomic(shard_path(folder, f"sketched-{at}", shard)) as temporary:
            pq.write_table(sketch.table(), temporary)
    said = {"read": read_documents, "read_bytes": read_bytes, "gathered": kept.rows}
    write_json(marker, said)
    return said
