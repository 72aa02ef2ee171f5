"""The law of the ledger: what stayed and what left is what was read, shard by shard, and no document counts twice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from homespun.corpus.documents import EXCLUDED, SCHEMA
from homespun.corpus.ledger import ask, database, ends, numbers
from homespun.corpus.ledger_rules import shown
from homespun.corpus.shards import read_json, shard_path
from homespun.errors import DataError, RunError

COUNTED = ("read", "read_bytes", "kept", "kept_bytes", "excluded", "excluded_bytes")
NEEDED = ("shard", "source", "path", *COUNTED)
TOKENS = ("uint16", "uint32")
"""Types of tokens."""

TWICE = """
select id, count(*) as times from (
    select id from read_parquet($documents) union all select id from read_parquet($excluded))
group by id having count(*) > 1 order by id limit 1
"""


def check(folder: Path) -> Mapping[str, int]:
    """Counts a corpus again, from its files.

    Args:
        folder: The run's.

    Returns:
        Documents and bytes read, kept and excluded, and tokens where it was packed.

    Raises:
        RunError: the files and the shards' table don't agree, or an id is there twice; the text names the shard.
    """
    table = shards_table(folder)
    if table["shard"].to_list() != numbers(folder):
        raise RunError("its files of documents are other shards", f"{folder.name}, shards.parquet", "build it again")
    tokens = 0
    packed = (folder / "tokens" / "index.json").exists()
    for row in table.iter_rows(named=True):
        _shard(folder, row)
        if packed:
            tokens += _tokens(folder, row)
    with database() as opened:
        for row in ask(folder, TWICE, {}, opened):
            text = f"document {shown(row['id'])} is there {row['times']} times"
            raise RunError(text, folder.name, "sources whose records have ids of their own must not repeat them")
    totals = {name: int(table[name].sum()) for name in COUNTED}
    return totals | ({"tokens": tokens} if packed else {})


def shards_table(folder: Path) -> pl.DataFrame:
    """A corpus's shards, in order.

    Raises:
        RunError: the table is missing, damaged, or of another kind.
    """
    path = folder / "shards.parquet"
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        first = (str(error).splitlines() or ["?"])[0][:200]
        raise RunError(f"cannot be read: {first}", str(path), "build the corpus again") from None
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise RunError(f"has no column {missing[0]!r}", str(path), "build the corpus again")
    return table.sort("shard")


def _shard(folder: Path, said: Mapping[str, Any]) -> None:
    shard = said["shard"]
    kept = _rows(folder, "documents", shard, SCHEMA.names)
    excluded = _rows(folder, "excluded", shard, EXCLUDED.names)
    if kept != said["kept"]:
        _wrong(folder, shard, f"{kept} documents stayed, not {said['kept']}")
    if excluded != said["excluded"]:
        _wrong(folder, shard, f"{excluded} documents left, not {said['excluded']}")
    if kept + excluded != said["read"]:
        _wrong(folder, shard, f"{said['read']} documents were read, {kept} stayed and {excluded} left")
    left = pq.read_table(shard_path(folder, "excluded", shard), columns=["shard", "row", "bytes", "filter", "reason"])
    rows = left["row"].to_numpy()
    if len(np.unique(rows)) != len(rows) or (len(rows) and not (rows.min() >= 0 and rows.max() < said["read"])):
        _wrong(folder, shard, "places of documents that left are there twice, or beyond what was read")
    if len(rows) and set(left["shard"].unique().to_pylist()) != {shard}:
        _wrong(folder, shard, "it holds documents of other shards")
    if left["filter"].null_count or left["reason"].null_count:
        _wrong(folder, shard, "a document left without a reason")
    if int(left["bytes"].to_numpy().sum()) != said["excluded_bytes"]:
        _wrong(folder, shard, f"what left isn't {said['excluded_bytes']} bytes")


def _rows(folder: Path, kind: str, shard: int, columns: list[str]) -> int:
    path = shard_path(folder, kind, shard)
    try:
        metadata = pq.read_metadata(path)
    except (OSError, ValueError) as error:
        raise RunError(f"cannot be read: {str(error).splitlines()[0][:200]}", str(path), "build it again") from None
    if metadata.schema.to_arrow_schema().names != columns:
        raise DataError("has other columns than a run's", str(path), "a folder that `corpus build` made")
    return metadata.num_rows


def _tokens(folder: Path, said: Mapping[str, Any]) -> int:
    shard, known = said["shard"], ends(folder, said["shard"])
    path = shard_path(folder, "tokens", shard, ".bin")
    if known is None or not path.exists():
        _wrong(folder, shard, "its tokens are missing")
    if len(known) != said["kept"]:
        _wrong(folder, shard, f"tokens of {len(known)} documents, and {said['kept']} stayed")
    count = int(known[-1]) if len(known) else 0
    if np.any(np.diff(known, prepend=0) < 0) or path.stat().st_size != count * item_bytes(folder):
        _wrong(folder, shard, "its tokens are not where the index says")
    if said.get("tokens") not in (None, count):
        _wrong(folder, shard, f"{count} tokens, not {said['tokens']}")
    return count


def item_bytes(folder: Path) -> int:
    """Bytes of one token in a run's files.

    Raises:
        RunError: the index doesn't say.
    """
    path = folder / "tokens" / "index.json"
    name = str((read_json(path) or {}).get("dtype"))
    if name not in TOKENS:
        raise RunError("names no type of tokens", str(path), "build the corpus again")
    return np.dtype(name).itemsize


def _wrong(folder: Path, shard: int, what: str) -> NoReturn:
    raise RunError(what, f"{folder.name}, shard {shard}", "delete the run's folder and build it again")
