"""Where the documents that are taken out of a corpus were, token by token, and what was made with them in it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from homespun.corpus.ledger import ends
from homespun.corpus.ledger_rules import OPT_OUT
from homespun.corpus.lineage import Lineage, Made
from homespun.errors import RunError
from homespun.records import Run
from homespun.runs.run import root_folder

AFFECTED = {
    "id": pl.String,
    "url": pl.String,
    "shard": pl.Int32,
    "row": pl.Int64,
    "start": pl.Int64,
    "stop": pl.Int64,
    "runs": pl.List(pl.String),
}
"""A document that was taken out: its place and its tokens in the old run, and what was made from it."""


def places(folder: Path, refused: Mapping[int, pl.DataFrame]) -> pl.DataFrame:
    """Rows of `AFFECTED`, as yet without runs.

    Args:
        folder: The old run's.
        refused: For each shard ``row`` (its place among what was kept), ``id`` and ``url`` of what leaves.
    """
    found: list[pl.DataFrame] = []
    for shard, table in refused.items():
        rows = table["row"].to_numpy()
        known = ends(folder, shard)
        stops = None if known is None else np.asarray(known[rows])
        starts = None if known is None else np.where(rows > 0, known[rows - 1], 0)
        columns = {
            "shard": pl.lit(shard),
            "start": pl.Series(starts, dtype=pl.Int64) if starts is not None else pl.lit(None),
            "stop": pl.Series(stops, dtype=pl.Int64) if stops is not None else pl.lit(None),
            "runs": pl.lit([], dtype=pl.List(pl.String)),
        }
        found.append(table.with_columns(**columns).select(pl.col(name).cast(kind) for name, kind in AFFECTED.items()))
    return pl.concat([pl.DataFrame(schema=AFFECTED), *found])


def made_from(
    affected: pl.DataFrame, old: Run, new: str, lineage: Lineage, root: Path | str | None
) -> tuple[pl.DataFrame, list[Made]]:
    """For each document the runs made from it, and all of these; not those from which it had been taken out before.

    Args:
        affected: Rows of `AFFECTED`.
        old: The run that held the documents.
        new: Id of the run without them.
        lineage: All runs.
        root: Folder of runs.

    Raises:
        RunError: an earlier opt-out's table is damaged.
    """
    cut = _taken_out(old, new, lineage, root)
    made: dict[tuple[int, frozenset[str]], list[Made]] = {}
    runs: list[list[str]] = []
    for document, shard in zip(affected["id"], affected["shard"], strict=True):
        key = shard, frozenset(run for run, ids in cut.items() if document in ids) | {new}
        if key not in made:
            files = [f"documents/{shard:05d}.parquet", f"tokens/{shard:05d}.bin", f"tokens/{shard:05d}.ends.npy"]
            made[key] = lineage.downstream(old.id, files, key[1])
        runs.append([item.run for item in made[key]])
    merged: dict[str, Made] = {}
    for found in made.values():
        for item in found:
            known = merged.get(item.run, item)
            through = tuple(sorted({*known.through, *item.through}))
            merged[item.run] = dataclasses.replace(item, through=through)
    by_start = sorted(merged.values(), key=lambda item: (lineage.runs[item.run].started, item.run))
    return affected.with_columns(runs=pl.Series(runs, dtype=pl.List(pl.String))), by_start


def _taken_out(old: Run, new: str, lineage: Lineage, root: Path | str | None) -> dict[str, set[str]]:
    """Documents that were taken out earlier, by the run without them: of the old run, or of what was left of it."""
    found: dict[str, set[str]] = {}
    origins = [old.id]
    for origin in origins:
        for run in lineage.runs.values():
            said = run.config.get(OPT_OUT) or {}
            if said.get("run") != origin or run.status != "done" or run.id in (new, *found):
                continue
            path = root_folder(root) / run.id / "affected.parquet"
            try:
                found[run.id] = set(pl.read_parquet(path, columns=["id"])["id"].to_list())
            except (OSError, pl.exceptions.PolarsError):
                raise RunError("cannot be read", str(path), "the opt-out that made it again") from None
            origins.append(run.id)
    return found
