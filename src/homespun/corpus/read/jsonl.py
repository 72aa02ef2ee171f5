"""JSON lines: an object a line. An empty line is nothing, any other that is no object is a broken record."""

from collections.abc import Iterator
from typing import Any, cast

from pydantic_core import from_json

from homespun.corpus.read.lines import own_lines
from homespun.corpus.read.rows import Record, mapped
from homespun.corpus.read.settings import Limits, Slice, Source


def json_records(slice_: Slice, limits: Limits) -> Iterator[Record]:
    """The records that begin in a slice."""
    for line in own_lines(slice_, limits):
        if line.broken:
            yield Record(None, reason=line.broken.reason, evidence=f"after byte {line.place}: {line.broken.evidence}")
        elif not line.whole:
            yield Record(line.place, reason="too_long", evidence=f"more than {limits.document_bytes} bytes in a line")
        elif not line.data.isspace() and line.data:
            yield json_record(slice_.source, line.place, line.data)


def json_record(source: Source, place: int, data: bytes) -> Record:
    """The record that a line holds.

    Args:
        source: Says which key is which column.
        place: The line's.
        data: Its bytes.
    """
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return Record(place, reason="not_utf8", evidence=f"byte {place + error.start}")
    try:
        found: Any = from_json(data)
    except ValueError as error:
        return Record(place, reason="bad_json", evidence=str(error))
    if not isinstance(found, dict):
        return Record(place, reason="bad_json", evidence=f"no object but a {type(found).__name__}")
    return mapped(source, place, cast(dict[str, Any], found))
