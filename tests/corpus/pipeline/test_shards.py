"""Shards: the same rows give the same bytes however they arrive, and a failed write leaves nothing."""

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus import shards
from homespun.corpus.documents import SCHEMA, documents
from homespun.corpus.shards import ShardWriter, batches, read_json, write_json
from homespun.errors import DataError


def rows(count: int) -> pa.Table:
    """Documents of very different lengths."""
    return documents({"id": [str(at) for at in range(count)], "text": ["word " * (at % 97) for at in range(count)]})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 500), max_size=8))
def test_bytes_do_not_depend_on_the_pieces(cuts: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "GROUP_ROWS", 64)
    monkeypatch.setattr(shards, "GROUP_BYTES", 9000)
    table, places = rows(500), sorted({0, *cuts, 500})
    for name, pieces in (("whole", [0, 500]), ("cut", places)):
        with ShardWriter(tmp_path / name, SCHEMA) as writer:
            for start, stop in itertools.pairwise(pieces):
                writer.append(table.slice(start, stop - start))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "cut").read_bytes()
    groups = [len(group) for group in batches(tmp_path / "cut")]
    assert sum(groups) == 500
    assert max(groups) <= 64
    assert pq.read_table(tmp_path / "cut").equals(table)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with ShardWriter(tmp_path / "a.parquet", SCHEMA) as writer:
            writer.append(rows(3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "a.parquet", SCHEMA) as writer:
        writer.append(rows(300))
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[len(content) // 3] ^= 0xFF
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read as parquet"):
        list(batches(tmp_path / "a.parquet"))


def test_a_half_written_record_counts_as_none(tmp_path: Path) -> None:
    write_json(tmp_path / "x" / "a.json", {"kept": 3})
    assert read_json(tmp_path / "x" / "a.json") == {"kept": 3}
    (tmp_path / "b.json").write_text('{"kept": ')
    assert read_json(tmp_path / "b.json") is None
    assert read_json(tmp_path / "c.json") is None
