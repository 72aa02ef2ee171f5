"""What is read and within which bounds: sources, slices of their files, limits.

Everything here is small, frozen and picklable: a slice travels to the process that reads it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from homespun.errors import ConfigError

Kind = Literal["warc", "wet", "parquet", "jsonl", "text"]
"""How a file is read. ``wet`` is a WARC file of ``conversion`` records: texts that somebody else extracted."""
Split = Literal["file", "paragraph", "line"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAPPED = ("id", "text", "url", "lang", "licence", "upstream", "fetched")
"""Columns of a document that an input's column may fill."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Every bound of reading. What is above one of them leaves with its reason; memory follows from their sum."""

    document_bytes: int = 8 << 20
    """Of a document, a line of JSON or a record's body as it lies in the file; above: ``too_long``."""
    batch_documents: int = 1024
    """Rows of a batch."""
    batch_bytes: int = 16 << 20
    """Text of a batch; one document may go beyond it."""
    slice_bytes: int = 64 << 20
    """Of a file that can be cut: a slice is the work of one process."""
    header_bytes: int = 64 << 10
    """Of a WARC record's headers, and again of those of HTTP inside; above: ``bad_warc``."""
    field_bytes: int = 4 << 10
    """Of an identifier, URL, date, language, licence or evidence; a longer one is cut."""
    meta_bytes: int = 16 << 10
    """Of what else the input says about a document; fields that do not fit are left out and counted."""
    columns: int = 1000
    """Of a table, and entries of ``upstream``."""
    page_bytes: int = 256 << 20
    """Of a page of a table, inflated; above: ``bomb``."""
    list_values: int = 1 << 24
    """Entries of all lists in a row group."""
    inflate_ratio: int = 250
    """Bytes that one compressed byte may become, over all that was read; text seldom exceeds 20. Above: ``bomb``."""
    inflate_free: int = 64 << 20
    """Bytes of output before the ratio counts."""
    identifiers: int = 1 << 20
    """Own identifiers that a slice remembers to tell repeats apart; later ones all get their place."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"{name}={value}", "Limits", "a number above 0")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Files of one origin, and what is known of all their documents."""

    name: str
    """A word; documents' identifiers begin with it."""
    paths: tuple[Path, ...]
    """Files, or folders that are searched for files with a known suffix."""
    kind: Kind | None = None
    """How they are read; None: by suffix."""
    columns: tuple[tuple[str, str], ...] = (("id", "id"), ("text", "text"), ("url", "url"))
    """(column of a document, column or key of the input), for tables and JSON; ``text`` must be there. See `MAPPED`."""
    licence: str | None = None
    """SPDX expression, for documents that say none themselves."""
    upstream: tuple[str, ...] = ()
    """What they were all made from, as ``name=licence``; a document's own come first."""
    lang: str | None = None
    """Language of documents that say none themselves."""
    fetched: str | None = None
    """When they were taken, ISO 8601, where a document does not say."""
    split: Split = "file"
    """What a document is in plain text: the file, what stands between empty lines, or a line."""

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or not self.name.isprintable():
            raise ConfigError(f"{self.name!r} as a name", "Source.name", "a word without a slash")
        wanted = [column for column, _ in self.columns]
        unknown = [column for column in wanted if column not in MAPPED]
        if unknown or len(set(wanted)) < len(wanted) or "text" not in wanted:
            what = f"{unknown[0]!r} cannot be filled" if unknown else "each column once, and text among them"
            raise ConfigError(what, f"Source.columns of {self.name}", ", ".join(MAPPED))
        if self.kind is not None and self.kind not in KINDS:
            raise ConfigError(f"{self.kind!r} is no kind of file", f"Source.kind of {self.name}", ", ".join(KINDS))
        if self.split not in get_args(Split):
            raise ConfigError(f"{self.split!r}", f"Source.split of {self.name}", ", ".join(get_args(Split)))


class Slice(NamedTuple):
    """A part of a file that is read by itself."""

    source: Source
    path: Path
    kind: Kind
    start: int
    """First byte, or first row group of a table."""
    stop: int
    """The one after the last; a line belongs to the slice in which it starts."""
    name: str = ""
    """The file within its source, as identifiers say it."""
