"""Records into batches: unique identifiers, bounded fields, and a reason for each that is no document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from homespun.corpus.documents import SCHEMA, Batch, documents
from homespun.corpus.read.settings import Limits, Slice, Source

COLUMNS = ("id", "text", "url", "source", "lang", "licence", "licence_source", "upstream", "fetched")
Columns = dict[str, list[Any]]


@dataclass(slots=True)
class Record:
    """What a file holds at one place."""

    place: int | None
    """Where it begins: a byte or a number; None: this is about the file as a whole."""
    text: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Columns of a document that it fills itself, as they came."""
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    reason: str | None = None
    evidence: str | None = None


def mapped(source: Source, place: int, data: Mapping[str, Any]) -> Record:
    """A record from named values: those that the source maps, and the others as ``meta``."""
    values = {column: data.get(name) for column, name in source.columns}
    taken = {name for _, name in source.columns}
    text = values.pop("text")
    record = Record(place, values=values, meta={name: data[name] for name in data if name not in taken})
    if isinstance(text, str):
        record.text = text
    elif text is not None:
        record.reason, record.evidence = "no_text", f"{dict(source.columns)['text']} is {type(text).__name__}"
    return record


def batches(records: Iterator[Record], slice_: Slice, limits: Limits) -> Iterator[Batch]:
    """Batches of bounded size, with verdicts.

    Args:
        records: In the order of the file.
        slice_: Where they are from.
        limits: Bounds.
    """
    rows = _Rows(slice_, limits)
    for record in records:
        rows.add(record)
        if rows.full:
            yield rows.taken()
    if rows.count:
        yield rows.taken()


class _Rows:
    """A batch that grows."""

    def __init__(self, slice_: Slice, limits: Limits) -> None:
        self._slice, self._source, self._limits = slice_, slice_.source, limits
        self._seen: set[str] = set()
        self._clear()

    def _clear(self) -> None:
        self.count = self._bytes = 0
        self._columns: Columns = {name: [] for name in (*COLUMNS, "meta", "reason", "evidence")}

    @property
    def full(self) -> bool:
        return self.count >= self._limits.batch_documents or self._bytes >= self._limits.batch_bytes

    def add(self, record: Record) -> None:
        source, limits, values = self._source, self._limits, record.values
        text, reason, evidence = record.text, record.reason, record.evidence
        size = 0 if text is None else len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        if reason is None and size > limits.document_bytes:
            reason, evidence = "too_long", f"more than {limits.document_bytes} bytes"
        elif reason is None and (not text or text.isspace()):
            reason = "no_text"
        if reason is not None:
            text, size = None, 0
        own = self._said(values.get("licence"))
        licence = own or source.licence
        upstream = [name for value in _listed(values.get("upstream"), limits) if (name := self._said(value))]
        row = {
            "id": self._identifier(record),
            "text": text,
            "url": self._said(values.get("url")),
            "source": source.name,
            "lang": self._said(values.get("lang")) or source.lang,
            "licence": licence,
            "licence_source": None if licence is None else "document" if own else "source",
            "upstream": [*upstream, *source.upstream] or None,
            "fetched": self._said(values.get("fetched")) or source.fetched,
            "meta": _json(record.meta, limits),
            "reason": reason,
            "evidence": self._said(evidence),
        }
        for name, value in row.items():
            self._columns[name].append(value)
        self.count, self._bytes = self.count + 1, self._bytes + size

    def taken(self) -> Batch:
        """The batch; a new one begins."""
        columns: dict[str, Any] = dict(self._columns)
        columns["meta"] = pa.array(columns["meta"], SCHEMA.field("meta").type)
        self._clear()
        return documents(columns)

    def _identifier(self, record: Record) -> str:
        """``source/own identifier`` where there is one, else ``source/file#place``; a repeat gets its place, too."""
        file = f"{self._source.name}/{self._slice.name or self._slice.path.name}"
        if record.place is None:
            return f"{file}@{self._slice.start}" if self._slice.start else file
        own = self._said(record.values.get("id"))
        if not own:
            return f"{file}#{record.place}"
        name = f"{self._source.name}/{own}"
        if name in self._seen or len(self._seen) >= self._limits.identifiers:
            return f"{name}#{self._slice.name}#{record.place}"
        self._seen.add(name)
        return name

    def _said(self, value: Any) -> str | None:
        """A short text of a value; null stays null, what is neither text nor number counts as null."""
        if isinstance(value, date):  # and datetime
            return value.isoformat()
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        most = self._limits.field_bytes
        if isinstance(value, int) and value.bit_length() > most:  # Python refuses to write some of these down
            return None
        text = str(value)
        if len(text) > most // 4:
            text = text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
        return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _listed(value: Any, limits: Limits) -> Sequence[Any]:
    """A list of bounded length, whether one or a single value was given."""
    found = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return found[: limits.columns]


def _json(meta: Mapping[str, Any], limits: Limits) -> str | None:
    """Fields in their order as one JSON object, as far as they fit; the number of others is said in it."""
    if not meta:
        return None
    parts: list[bytes] = []
    room, left = limits.meta_bytes, 0
    for name, value in meta.items():
        if value is None:
            continue
        if isinstance(value, str) and len(value) > room:  # not worth writing down
            left += 1
            continue
        part = _pair(name, value)
        if part is None or len(part) > room:
            left += 1
            continue
        parts.append(part)
        room -= len(part)
    if left:
        parts.append(b'"left_out":%d' % left)
    return (b"{" + b",".join(parts) + b"}").decode() if parts else None


def _pair(name: str, value: Any) -> bytes | None:
    """``"name":value`` as JSON; None where JSON has no such thing."""
    try:
        return to_json(name) + b":" + to_json(value, inf_nan_mode="null", bytes_mode="base64")
    except ValueError:
        return None
