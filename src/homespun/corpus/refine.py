"""The second half of a shard's way: without its copies, above the cuts, sampled, without personal data; then packed.

The shard's record (``parts/refined/00012.json``) is written last, after it was checked that what stayed and what left
is what was read.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from homespun.corpus.documents import EXCLUDED, SCHEMA, Batch, byte_lengths, judged, parted, replaced
from homespun.corpus.gather import exclude, judge, opened
from homespun.corpus.pack import pack_shard
from homespun.corpus.plan import Corpus
from homespun.corpus.shards import ShardWriter, batches, read_json, shard_path, write_json
from homespun.errors import RunError

Thresholds = tuple[tuple[str, float], ...]
"""Of one cut: language and threshold, sorted."""


def refine(corpus: Corpus, shard: int, thresholds: Sequence[Thresholds], folder: Path) -> Mapping[str, Any]:
    """Finishes one shard.

    Args:
        corpus: The recipe.
        shard: Its number.
        thresholds: For each of the recipe's cuts.
        folder: The run's folder; the shard appears in ``documents``, ``excluded`` and ``tokens``.

    Returns:
        Counts: documents and bytes read, kept and excluded, tokens if it was packed.

    Raises:
        RunError: a stage failed, or documents were lost on the way.
    """
    parts = folder / "parts"
    marker = shard_path(parts, "refined", shard, ".json")
    if (found := read_json(marker)) is not None:
        return found
    stages = [cut.stage(dict(by)) for cut, by in zip(corpus.cuts, thresholds, strict=True)]
    judges = [(stage, stage.open()) for stage in stages] + [(stage, opened(stage)) for stage in corpus.refine]
    late = shard_path(parts, "late", shard)
    documents = shard_path(folder, "documents", shard)
    kept_bytes = 0
    with ExitStack() as files:
        kept = files.enter_context(ShardWriter(documents, SCHEMA))
        left = files.enter_context(ShardWriter(late, EXCLUDED, level=1))
        for batch, rows in _once(corpus, shard, parts, left):
            for stage, judgement in judges:
                if len(batch):
                    batch, rows = judge(stage, judgement, batch, rows, shard, left)
            kept_bytes += int(byte_lengths(batch).sum())
            kept.append(batch)
    ledger = pa.concat_tables([pq.read_table(shard_path(parts, "left", shard)), pq.read_table(late)]).sort_by("row")
    with ShardWriter(shard_path(folder, "excluded", shard), EXCLUDED) as writer:
        writer.append(ledger)
    said = {
        **(read_json(shard_path(parts, "gathered", shard, ".json")) or {}),
        "kept": kept.rows,
        "kept_bytes": kept_bytes,
        "excluded": len(ledger),
        "excluded_bytes": int(np.sum(ledger["bytes"].to_numpy())),
    }
    if said["kept"] + said["excluded"] != said["read"]:
        text = f"{said['read']} documents were read, {said['kept']} stayed and {said['excluded']} left"
        raise RunError(text, f"shard {shard}", "delete the run's folder and start again")
    if corpus.pack:
        ends = shard_path(folder, "tokens", shard, ".ends.npy")
        packed = pack_shard(documents, corpus.pack, shard_path(folder, "tokens", shard, ".bin"), ends)
        said["tokens"] = packed["tokens"]
    write_json(marker, said)
    return said


def _once(corpus: Corpus, shard: int, parts: Path, left: ShardWriter) -> Iterator[tuple[Batch, NDArray[np.int64]]]:
    """A shard's documents with those that stand for others counted, and those for which another stands taken out."""
    for table in batches(shard_path(parts, "gathered", shard)):
        rows = table["row"].to_numpy()
        batch = table.drop_columns("row")
        if corpus.dedup:
            found = pl.DataFrame({"row": rows})
            for kind in ("copies", "keepers"):
                known = pl.read_parquet(shard_path(parts, kind, shard))
                found = found.join(known, on="row", how="left", maintain_order="left")
            batch = replaced(batch, "copies", found["copies"].fill_null(1).to_arrow())
            marked = judged(batch, found["kind"].to_arrow(), found["keeper_id"].to_arrow())
            split = parted(marked, "dedup", len(batch))
            exclude(left, split.excluded, "dedup", shard, rows[~split.mask])
            batch, rows = split.kept, rows[split.mask]
        yield batch, rows
