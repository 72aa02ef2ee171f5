"""Files into slices, slices into documents.

A broken record is a row with a reason; a file that ends early or cannot be read gives what was there, and one row that
says where it ended. Nothing raises but a source in which nothing is found: one bad file must not end a run.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from homespun.corpus.documents import Batch
from homespun.corpus.read.jsonl import json_records
from homespun.corpus.read.plain import text_records
from homespun.corpus.read.rows import Record, batches
from homespun.corpus.read.settings import Kind, Limits, Slice, Source
from homespun.corpus.read.streams import compression
from homespun.corpus.read.table import row_groups, table_records
from homespun.corpus.read.warc import warc_records
from homespun.errors import DataError

__all__ = ["Kind", "Limits", "Slice", "Source", "read", "slices"]

SUFFIXES: dict[str, Kind] = {
    ".wet": "wet",
    ".wet.gz": "wet",
    ".warc": "warc",
    ".warc.gz": "warc",
    ".parquet": "parquet",
    **{f".{name}{packed}": "jsonl" for name in ("jsonl", "ndjson") for packed in ("", ".gz", ".zst")},
    **{f".txt{packed}": "text" for packed in ("", ".gz", ".zst")},
}
"""What a file's name says about how it is read."""


def slices(source: Source, limits: Limits) -> list[Slice]:
    """The parts in which a source is read, always in the same order.

    Args:
        source: Files or folders.
        limits: How long a part should be.

    Raises:
        DataError: a file is missing or of no known kind, nothing is there, or two files have one name.
    """
    found: dict[Path, tuple[str, Kind]] = {}
    for root in source.paths:
        for path, name in _files(root, source):
            found.setdefault(path, (name, source.kind or _kind(path, source)))
    if not found:
        raise DataError("nothing to read", f"source {source.name}", f"files that end in {', '.join(SUFFIXES)}")
    name, count = Counter(name for name, _ in found.values()).most_common(1)[0]
    if count > 1:
        raise DataError(
            f"two files are called {name!r}", f"source {source.name}", "the folder above them, or a source each"
        )
    return [
        Slice(source, path, kind, start, stop, name)
        for path, (name, kind) in found.items()
        for start, stop in _cuts(path, kind, source, limits)
    ]


def read(slice_: Slice, limits: Limits) -> Iterator[Batch]:
    """The documents of a slice, with the columns of `VERDICT`: those that cannot be used have a reason.

    Args:
        slice_: One of `slices`.
        limits: Bounds of memory and of documents.
    """
    yield from batches(_records(slice_, limits), slice_, limits)


def _records(slice_: Slice, limits: Limits) -> Iterator[Record]:
    """The records of a slice; what the system refuses is said in the last one."""
    readers = {"parquet": table_records, "jsonl": json_records, "text": text_records}
    try:
        yield from readers.get(slice_.kind, warc_records)(slice_, limits)
    except OSError as error:
        yield Record(None, reason="unreadable", evidence=error.strerror or type(error).__name__)
    except MemoryError:
        yield Record(None, reason="bomb", evidence="more memory than there is")


def _files(root: Path, source: Source) -> Iterator[tuple[Path, str]]:
    """Files of a path with their names in the source; only regular ones, since a pipe would never end."""
    if root.is_file():
        yield root, _said(root.name)
    elif root.is_dir():
        for path in sorted(root.rglob("*")):
            kind = SUFFIXES.get(_suffix(path))
            if kind is not None and kind == (source.kind or kind) and path.is_file():
                yield path, _said(path.relative_to(root).as_posix())
    else:
        what = "no regular file or folder" if root.exists() else "not there"
        raise DataError(what, f"{root} of source {source.name}", "another path")


def _said(name: str) -> str:
    """A file's name as text, whatever its bytes are."""
    return os.fsencode(name).decode("utf-8", "replace")


def _suffix(path: Path) -> str:
    return max((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), key=len, default="")


def _kind(path: Path, source: Source) -> Kind:
    kind = SUFFIXES.get(_suffix(path))
    if kind is None:
        raise DataError("its name does not say what it is", f"{path} of source {source.name}", "Source(kind=...)")
    return kind


def _cuts(path: Path, kind: Kind, source: Source, limits: Limits) -> list[tuple[int, int]]:
    """Where a file may be cut: a table between row groups, lines anywhere unless they are compressed."""
    try:
        if kind == "parquet":
            return row_groups(path, limits)
        size = path.stat().st_size
        lines = kind == "jsonl" or (kind == "text" and source.split != "file")
        if not lines or size <= limits.slice_bytes or compression(path) is not None:
            return [(0, size)]
    except OSError:  # said when it is read
        return [(0, 0)]
    return [(start, min(start + limits.slice_bytes, size)) for start in range(0, size, limits.slice_bytes)]
