"""What stayed and what left is what was read, and whatever breaks that is found and named by its shard."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.ledger_check import check
from homespun.errors import HomespunError

FATES = st.sampled_from([None, ("robots", "agent", None), ("dedup", "near", "x"), ("quality", "sampled_out", None)])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fates=st.lists(st.lists(FATES, max_size=12), min_size=1, max_size=4), packed=st.booleans())
def test_totals_are_those_of_the_documents(
    fates: list[list[Any]], packed: bool, make: Any, doc: Any, tmp_path: Path
) -> None:
    shards = [[doc(f"{s}#{n}", "text " * n, left=fate) for n, fate in enumerate(docs)] for s, docs in enumerate(fates)]
    counts = check(make(shards, packed=packed, root=tmp_path))
    flat = [item for docs in shards for item in docs]
    stayed = Counter(item.left is None for item in flat)
    assert (counts["read"], counts["kept"], counts["excluded"]) == (len(flat), stayed[True], stayed[False])
    assert counts["read_bytes"] == counts["kept_bytes"] + counts["excluded_bytes"] == sum(len(d.text) for d in flat)
    assert counts.get("tokens") == (sum(len(d.text) + 2 for d in flat if d.left is None) if packed else None)


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def replaced(name: str, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(name)
        return table.set_column(at, table.schema.field(at), pa.array([value] * len(table), table.schema.field(at).type))

    return change


BREAKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a document is lost": (
        lambda run: rewrite(run / "documents/00000.parquet", lambda t: t.slice(1)),
        "shard 0: 2 doc",
    ),
    "a ledger row is lost": (
        lambda run: rewrite(run / "excluded/00001.parquet", lambda t: t.slice(1)),
        "shard 1: 3 doc",
    ),
    "a row is there twice": (
        lambda run: rewrite(run / "excluded/00001.parquet", replaced("row", 3)),
        "shard 1: places",
    ),
    "a row is beyond": (lambda run: rewrite(run / "excluded/00001.parquet", replaced("row", 99)), "shard 1: places"),
    "another shard's": (lambda run: rewrite(run / "excluded/00000.parquet", replaced("shard", 1)), "shard 0: it holds"),
    "no reason": (lambda run: rewrite(run / "excluded/00000.parquet", replaced("reason", None)), "without a reason"),
    "other bytes": (lambda run: rewrite(run / "excluded/00000.parquet", replaced("bytes", 1)), "shard 0: what left"),
    "another column": (lambda run: rewrite(run / "excluded/00000.parquet", lambda t: t.drop_columns("url")), "columns"),
    "an id is there twice": (
        lambda run: rewrite(run / "documents/00001.parquet", replaced("id", "web/0.jsonl#2")),
        r"web/0\.jsonl#2 is there 2 times",
    ),
    "a shard is missing": (lambda run: (run / "documents/00001.parquet").unlink(), "other shards"),
    "a ledger is missing": (lambda run: (run / "excluded/00001.parquet").unlink(), r"excluded/00001\.parquet"),
    "no table": (lambda run: (run / "shards.parquet").unlink(), "shards.parquet"),
    "another table": (lambda run: pl.DataFrame({"x": [1]}).write_parquet(run / "shards.parquet"), "no column 'shard'"),
    "tokens are cut": (lambda run: (run / "tokens/00000.bin").write_bytes(b"12"), "shard 0: its tokens"),
    "tokens are missing": (lambda run: (run / "tokens/00001.bin").unlink(), "shard 1: its tokens"),
    "ends of others": (lambda run: np.save(run / "tokens/00001.ends.npy", np.array([1, 2])), "shard 1: tokens of 2"),
    "ends of another kind": (lambda run: np.save(run / "tokens/00001.ends.npy", np.array([1.5])), "float64"),
    "ends that are code": (
        lambda run: np.save(run / "tokens/00001.ends.npy", np.array([{}], dtype=object), allow_pickle=True),
        r"00001\.ends\.npy",
    ),
    "an unknown type of tokens": (
        lambda run: (run / "tokens/index.json").write_text(json.dumps({"dtype": "object"})) and None,
        "no type of tokens",
    ),
}


@pytest.mark.parametrize("how", BREAKS)
def test_whatever_is_broken_is_named(corpus: Path, how: str, tmp_path: Path) -> None:
    check(corpus)
    broken = Path(shutil.copytree(corpus, tmp_path / corpus.name))
    change, words = BREAKS[how]
    change(broken)
    with pytest.raises(HomespunError, match=words) as error:
        check(broken)
    assert len(str(error.value).splitlines()) == 1
