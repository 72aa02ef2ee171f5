"""Deduplication across shards, the only step where documents meet: a task per key, then one that joins the answers.

What comes out says of every document that leaves which one stands for it, and is cut by shard, so that the second half
of a shard's way needs to see its own part alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from homespun.corpus.dedup import Dedup, keys, pairs, resolve
from homespun.corpus.executors import Step, Task, Work
from homespun.corpus.shards import shard_path
from homespun.runs.tables import atomic


def find_pairs(key: str, dedup: Dedup, shards: int, folder: Path) -> Mapping[str, Any]:
    """The task of one key: documents of all shards that share it."""
    path = folder / "pairs" / f"{key}.parquet"
    if not path.exists():
        table = pairs([shard_path(folder, "signed", shard) for shard in range(shards)], key, dedup)
        with atomic(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
    return {}


def shuffle(dedup: Dedup, shards: int, folder: Path, work: Work, step: Step) -> None:
    """Finds what repeats; writes ``copies/00012.parquet`` and ``keepers/00012.parquet`` for every shard.

    Args:
        dedup: Settings.
        shards: How many there are.
        folder: The run's ``parts``.
        work: Runs the tasks.
        step: Told about progress.
    """
    done = folder / "copies" / ".done"
    if done.exists():
        return
    names = keys(dedup)
    work([Task(find_pairs, (name, dedup, shards, folder)) for name in names], step)
    found = resolve({name: folder / "pairs" / f"{name}.parquet" for name in names}, dedup)
    copies = pl.from_arrow(found)
    assert isinstance(copies, pl.DataFrame)
    copies = copies.with_columns(shard=pl.col("document") // 2**32, row=(pl.col("document") % 2**32).cast(pl.Int64))
    keepers = copies.group_by("keeper").agg(pl.col("copies").first()).sort("keeper")
    keepers = keepers.with_columns(shard=pl.col("keeper") // 2**32, row=(pl.col("keeper") % 2**32).cast(pl.Int64))
    copies = copies.join(_ids(keepers, folder), on="keeper", how="left")
    for kind, table, columns in (
        ("copies", copies, ["row", "kind", "keeper_id"]),
        ("keepers", keepers, ["row", "copies"]),
    ):
        by_shard = table.sort("shard", "row").partition_by("shard", as_dict=True)
        for shard in range(shards):
            with atomic(shard_path(folder, kind, shard)) as temporary:
                by_shard.get((shard,), table.clear()).select(columns).write_parquet(temporary)
    done.touch()


def _ids(keepers: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Each keeper's id, a shard at a time."""
    found: list[pl.DataFrame] = []
    for (shard,), rows in keepers.group_by(["shard"], maintain_order=True):
        path = shard_path(folder, "gathered", int(str(shard)))
        names = pl.read_parquet(path, columns=["row", "id"]).rename({"id": "keeper_id"})
        found.append(rows.join(names, on="row", how="left").select("keeper", "keeper_id"))
    return pl.concat(found) if found else pl.DataFrame(schema={"keeper": pl.UInt64, "keeper_id": pl.String})
