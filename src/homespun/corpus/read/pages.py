"""What the pages of a Parquet column would become, from their headers alone.

A file's footer says sizes that nobody checks; Arrow allocates what a page's header asks for, and one long entry of a
dictionary can be every row. So the headers are read first, with as much of Thrift's compact protocol as they need
(apache/parquet-format, ``parquet.thrift``: PageHeader, DataPageHeader, DictionaryPageHeader, DataPageHeaderV2).
"""

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import pyarrow.parquet as pq

from homespun.corpus.read.settings import Limits
from homespun.corpus.read.streams import BrokenError

HEADER_BYTES = 1 << 20
PAGES = 1 << 18
"""Pages of a column chunk that are looked at; more make a file that nobody wrote for reading."""
DELTA_BYTE_ARRAY = 7
"""The encoding in which a value repeats the beginning of the one before it."""
_FIXED = {1: 0, 2: 0, 3: 1, 7: 8}
"""Thrift's types that have a fixed size: true, false, byte, double."""


class Pages(NamedTuple):
    """A column chunk."""

    largest: int
    """Bytes of its largest page, inflated."""
    repeated: int
    """Bytes that one value may have although they are stored once; 0: every value takes its place."""
    values: int


def check(path: Path, metadata: pq.FileMetaData, group: int, columns: frozenset[str], limits: Limits) -> int:
    """Looks at all pages of a row group before they are inflated.

    Args:
        path: The file.
        metadata: Its footer.
        group: Number of the row group.
        columns: Top-level names of the columns that will be read.
        limits: Bounds.

    Returns:
        The most bytes that one repeated value may have.

    Raises:
        BrokenError: a page is too large, a list too long, or there is no header where one should be.
    """
    about = metadata.row_group(group)
    packed = repeated = 0
    with path.open("rb") as file:
        for at in range(about.num_columns):
            chunk = about.column(at)
            if chunk.path_in_schema.split(".", 1)[0] not in columns:
                continue
            found = chunk_pages(file, chunk, limits)
            nested = "." in chunk.path_in_schema
            if nested and found.values > limits.list_values:
                raise BrokenError("bomb", f"{found.values} values in lists")
            packed += max(chunk.total_compressed_size, 0)
            repeated = max(repeated, 0 if nested else found.repeated)
    if about.num_rows > max(limits.inflate_free // 64, packed * limits.inflate_ratio):
        raise BrokenError("bomb", f"{about.num_rows} rows of {packed} bytes")
    return repeated


def chunk_pages(file: BinaryIO, chunk: Any, limits: Limits) -> Pages:
    """Walks through the pages of a column chunk, from header to header.

    Args:
        file: The Parquet file.
        chunk: Arrow's ``ColumnChunkMetaData``.
        limits: Bounds.

    Raises:
        BrokenError: as for `check`.
    """
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < place:
        place = chunk.dictionary_page_offset
    stop = place + chunk.total_compressed_size
    largest = repeated = values = 0
    for _ in range(PAGES):
        if place >= stop:
            return Pages(largest, repeated, values)
        file.seek(place)
        try:
            header, length = _struct(file.read(HEADER_BYTES if stop - place > HEADER_BYTES else stop - place), 0, 0)
            kind, inflated, packed = (int(header[key]) for key in (1, 2, 3))
        except (IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise BrokenError("bad_parquet", f"no page at byte {place}") from error
        if inflated < 0 or packed < 0:
            raise BrokenError("bad_parquet", f"a page of {inflated} bytes at byte {place}")
        if inflated > limits.page_bytes:
            raise BrokenError("bomb", f"a page of {inflated} bytes at byte {place}")
        largest = max(largest, inflated)
        data = header.get(5) or header.get(8)
        encoding = data.get(2 if 5 in header else 4) if isinstance(data, dict) else None
        if kind == 2 or encoding == DELTA_BYTE_ARRAY:
            repeated = max(repeated, inflated)
        if kind != 2 and isinstance(data, dict):
            values += max(int(cast(int, data.get(1, 0))), 0)
        place += length + packed
    raise BrokenError("bad_parquet", f"more than {PAGES} pages in a column")


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Fields of a Thrift struct by number, and the place after it; only numbers and structs are kept."""
    if depth > 8:
        raise ValueError("too deep")
    found: dict[int, Any] = {}
    field = 0
    while data[at]:
        kind, delta = data[at] & 15, data[at] >> 4
        at += 1
        if delta:
            field += delta
        else:
            field, at = _number(data, at)
        found[field], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (4, 5, 6):
        return _number(data, at)
    if kind in _FIXED:
        return kind == 1, at + _FIXED[kind]
    if kind == 8:
        size, at = _varint(data, at)
        return None, at + size
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise ValueError(f"type {kind} in a page header")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of at most 64 bits."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number without end")


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A signed number, in zigzag."""
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at
