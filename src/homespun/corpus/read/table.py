"""Parquet files, a few rows at a time.

A page of a few bytes may repeat one long text a million times, so that the headers of all pages are looked at first
(`pages`), and fewer rows make a batch where one value can be many. What a file says about itself is checked before use.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from homespun.corpus.read.pages import check
from homespun.corpus.read.rows import Record, mapped
from homespun.corpus.read.settings import Limits, Slice, Source
from homespun.corpus.read.streams import BrokenError, Growth

REFUSED = (pa.ArrowException, ValueError, TypeError, IndexError, KeyError, OverflowError)
"""What Arrow raises about a broken file."""


class Column(NamedTuple):
    """A column that is read."""

    name: str
    kind: Literal["text", "list", "value"]
    """Text may hold bytes that are none."""


def row_groups(path: Path, limits: Limits) -> list[tuple[int, int]]:
    """Runs of row groups of about a slice's size each; a file that cannot be read is one run of none."""
    try:
        with pq.ParquetFile(path) as file:
            sizes = [file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups)]
    except REFUSED:
        return [(0, 0)]
    cuts, held = [0], 0
    for at, size in enumerate(sizes):
        if held and held + size > limits.slice_bytes:
            cuts.append(at)
            held = 0
        held += max(size, 1)
    cuts.append(len(sizes))
    return list(itertools.pairwise(cuts))


def table_records(slice_: Slice, limits: Limits) -> Iterator[Record]:
    """The rows of a slice's row groups; a broken group ends the slice, with what was read before it."""
    place = 0
    try:
        with pq.ParquetFile(slice_.path) as file:
            names = file.schema_arrow
            columns = _columns(names, slice_.source, limits)
            count = file.metadata.num_row_groups
            place = sum(file.metadata.row_group(at).num_rows for at in range(min(slice_.start, count)))
            lists = [f"{column.name}.list.element" for column in columns if column.kind == "list"]
        with pq.ParquetFile(slice_.path, read_dictionary=lists, buffer_size=1 << 20) as file:
            growth, packed = Growth(limits), 0
            for group in range(slice_.start, slice_.stop):
                packed += _packed(file.metadata, group)
                for batch in _group(file, slice_.path, group, columns, limits):
                    yield from _records(batch, columns, place, slice_.source, limits)
                    place += len(batch)
                    growth.watch(packed, batch.nbytes)
    except BrokenError as error:
        yield Record(None, reason=error.reason, evidence=f"after row {place}: {error.evidence}")
    except (*REFUSED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's; Arrow's own say nothing of it
            raise
        lines = str(error).splitlines() or [type(error).__name__]
        yield Record(None, reason="bad_parquet", evidence=f"after row {place}: {lines[0]}")


def _columns(schema: pa.Schema, source: Source, limits: Limits) -> list[Column]:
    """The columns that are read, by what the source maps and what can stand in ``meta``.

    Raises:
        BrokenError: the text is missing or of another type, or there are too many columns.
    """
    if len(schema) > limits.columns:
        raise BrokenError("bad_parquet", f"{len(schema)} columns, more than {limits.columns}")
    wanted = dict(source.columns)
    taken = {name: column for column, name in source.columns}
    found: list[Column] = []
    for field in schema:
        if len(schema.get_all_field_indices(field.name)) > 1:
            raise BrokenError("bad_parquet", f"two columns are called {field.name!r}")
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if text or (pa.types.is_binary(kind) and field.name in taken):
            found.append(Column(field.name, "text"))
        elif pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
            found.append(Column(field.name, "value"))
        elif taken.get(field.name) == "upstream" and pa.types.is_list(kind):
            found.append(Column(field.name, "list"))
    if Column(wanted["text"], "text") not in found:
        there = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise BrokenError("no_column", f"no text in {wanted['text']!r}, but: {there}")
    return found


def _group(
    file: pq.ParquetFile, path: Path, group: int, columns: list[Column], limits: Limits
) -> Iterator[pa.RecordBatch]:
    """A row group in batches: fewer rows where they are large by the mean, or where one value can be repeated."""
    names = [column.name for column in columns]
    repeated = check(path, file.metadata, group, frozenset(names), limits)
    about = file.metadata.row_group(group)
    mean = max(about.total_byte_size // max(about.num_rows, 1), 1)
    rows = min(limits.batch_documents, limits.batch_bytes // mean, 4 * limits.batch_bytes // max(repeated, 1))
    yield from file.iter_batches(batch_size=max(rows, 1), row_groups=[group], columns=names, use_threads=False)


def _packed(metadata: pq.FileMetaData, group: int) -> int:
    """Bytes of a row group as it lies in the file."""
    about = metadata.row_group(group)
    return sum(about.column(at).total_compressed_size for at in range(about.num_columns))


def _records(
    batch: pa.RecordBatch, columns: list[Column], place: int, source: Source, limits: Limits
) -> Iterator[Record]:
    wanted = dict(source.columns)["text"]
    cells = {
        column.name: _texts(batch.column(at), limits) if column.kind == "text" else _values(batch.column(at))
        for at, column in enumerate(columns)
    }
    for row in range(len(batch)):
        record = mapped(source, place + row, {name: _plain(found[row]) for name, found in cells.items()})
        text = cells[wanted][row]
        if isinstance(text, BrokenError):
            record.reason, record.evidence = text.reason, text.evidence
        yield record


def _plain(value: Any) -> Any:
    return None if isinstance(value, BrokenError) else value


def _texts(column: Any, limits: Limits) -> list[str | BrokenError | None]:
    """Each row's text; what is too long is never made, what is no UTF-8 says where."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    binary = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
    column = column.cast(binary)
    lengths = [length or 0 for length in pc.binary_length(column).to_pylist()]
    return [
        _decoded(value.as_py()) if length <= limits.document_bytes else BrokenError("too_long", f"{length} bytes")
        for value, length in zip(column, lengths, strict=True)
    ]


def _decoded(data: bytes | None) -> str | BrokenError | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError as error:
        return BrokenError("not_utf8", f"byte {error.start} of the text")


def _values(column: Any) -> list[Any]:
    """Each row's value; null where Python has none for it."""
    try:
        return column.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        found: list[Any] = []
        for value in column:
            try:
                found.append(value.as_py())
            except (ValueError, OverflowError, pa.ArrowException):
                found.append(None)
        return found
