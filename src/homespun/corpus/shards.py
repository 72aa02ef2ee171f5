"""Shards on disk: one Parquet file each, written as a stream, whole or not at all, and always with the same bytes.

Rows are gathered into row groups of fixed size, so a file depends on its rows alone and not on how they arrived.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from homespun.errors import DataError
from homespun.runs.tables import atomic

GROUP_ROWS = 4096
"""Rows of a row group; together with the reader's bound on a document this bounds a reader's memory."""
GROUP_BYTES = 32 << 20
"""A group is closed before it grows beyond this, unless a single document does."""


def shard_path(folder: Path, kind: str, shard: int, suffix: str = ".parquet") -> Path:
    """``<folder>/<kind>/00012.parquet``."""
    return folder / kind / f"{shard:05d}{suffix}"


class ShardWriter:
    """Writes one shard. Leaving the block by an exception leaves nothing behind.

    Args:
        path: The file.
        schema: Of its rows.
        level: Of zstd.
    """

    def __init__(self, path: Path, schema: pa.Schema, level: int = 3) -> None:
        self.path, self.schema, self.level, self.rows = path, schema, level, 0
        self._waiting: list[pa.Table] = []
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(
            self._temporary, self.schema, compression="zstd", compression_level=self.level, write_page_checksum=True
        )
        return self

    def append(self, rows: pa.Table) -> None:
        """Adds rows of the schema, in order."""
        if len(rows):
            self.rows += len(rows)
            self._waiting.append(rows.select(self.schema.names).cast(self.schema))
            if sum(map(len, self._waiting)) >= GROUP_ROWS or sum(t.nbytes for t in self._waiting) >= GROUP_BYTES:
                self._flush(whole=False)

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        assert self._writer is not None
        try:
            if kind is None:
                self._flush(whole=True)
            self._writer.close()
            if kind is None:
                self._temporary.replace(self.path)
        finally:
            with suppress(FileNotFoundError):
                self._temporary.unlink()

    def _flush(self, *, whole: bool) -> None:
        assert self._writer is not None
        table = pa.concat_tables([self.schema.empty_table(), *self._waiting]).combine_chunks()
        at = 0
        for size in group_sizes(table, whole=whole):
            self._writer.write_table(table.slice(at, size), row_group_size=size)
            at += size
        self._waiting = [table.slice(at)] if at < len(table) else []


def group_sizes(table: pa.Table, *, whole: bool) -> Iterator[int]:
    """How many rows each group takes from the front of a table, whatever pieces it arrived in.

    Args:
        table: Rows, in one chunk.
        whole: Whether nothing follows; else the last, unfilled group waits.
    """
    sizes = _row_bytes(table)
    count, filled = 0, 0
    for size in sizes:
        if count and (count == GROUP_ROWS or filled + size > GROUP_BYTES):
            yield count
            count, filled = 0, 0
        count, filled = count + 1, filled + size
    if count and (whole or count == GROUP_ROWS):
        yield count


def _row_bytes(table: pa.Table) -> list[int]:
    """Bytes of each row's longest column, its text."""
    if "text" not in table.column_names:
        return [0] * len(table)
    import pyarrow.compute as pc

    lengths: Any = pc.binary_length(table["text"])
    return pc.fill_null(lengths, pa.scalar(0, lengths.type)).to_pylist()


def batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """A shard's row groups, one after another.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=columns)
    except (OSError, pa.ArrowInvalid) as error:
        first = str(error).splitlines()[0][:200]
        raise DataError(
            f"cannot be read as parquet: {first}", str(path), "delete the run's folder and start again"
        ) from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a small record whole or not at all: what makes a shard's work count as done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """A record that `write_json` wrote, or None."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
