"""WARC files (ISO 28500): responses and resources, or the texts of WET files.

warcio parses headers; what is around them is done here, since its own iterator holds a line or a chunk however long it
is, takes a broken member for the end of the file, and says both on stderr only.
"""

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from homespun.corpus.read.charsets import decoded
from homespun.corpus.read.http import answered
from homespun.corpus.read.members import RECORD, Members
from homespun.corpus.read.rows import Record
from homespun.corpus.read.settings import Limits, Slice
from homespun.corpus.read.streams import BrokenError, compression

if TYPE_CHECKING:
    from warcio.statusandheaders import StatusAndHeaders, StatusAndHeadersParser

VERSIONS = ("WARC/1.1", "WARC/1.0", "WARC/0.17", "WARC/0.18")
DOCUMENTS = {"warc": ("response", "resource", "conversion"), "wet": ("conversion",)}
"""Types of records that are documents; others say something about them, and are passed over."""
HTML = ("text/html", "application/xhtml+xml")
NOTED = {"record": "WARC-Record-ID", "truncated": "WARC-Truncated", "languages": "WARC-Identified-Content-Language"}
"""Headers that go into ``meta``, by their names there."""


def warc_records(slice_: Slice, limits: Limits) -> Iterator[Record]:
    """The documents of a file; each broken record is one, too, under the number that it has in the file."""
    packed = compression(slice_.path)
    with slice_.path.open("rb", buffering=0) as file:
        if packed == "zstd":
            yield Record(None, reason="bad_compression", evidence="a WARC file packed with zstd")
            return
        stream = Members(file, packed == "gzip" or _named_packed(slice_.path, file), limits)
        reader = _Reader(stream, slice_, limits)
        more = True
        while more:
            yield from reader.member()
            try:
                more = stream.advance()
                gap = stream.gap
            except BrokenError as error:
                more, gap = False, error
            if gap:
                yield reader.broken(gap)


def _named_packed(path: Path, file: BinaryIO) -> bool:
    """Whether a file should be packed by its name although it does not begin so."""
    start = file.read(len(RECORD))
    file.seek(0)
    return path.name.endswith(".gz") and start != RECORD


class _Reader:
    """Reads the records of one member after another, and counts them."""

    def __init__(self, stream: Members, slice_: Slice, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._types = DOCUMENTS["wet" if slice_.kind == "wet" else "warc"]
        self._number = 0
        self._spaced = False  # whether an empty line came before the line that `_next` gave

    def broken(self, error: BrokenError, head: "StatusAndHeaders | None" = None) -> Record:
        """A record that is none."""
        number, self._number = self._number, self._number + 1
        return Record(number, values=_values(head), reason=error.reason, evidence=error.evidence)

    def member(self) -> Iterator[Record]:
        """The documents of a member, until it ends or breaks."""
        try:
            line = self._next()
        except BrokenError as error:
            yield self.broken(error)
            return
        while line:
            head = body = late = None
            try:
                head = self._head(line)
                body = self._body(head)
                line = b""
                line = self._next()
                doubtful = self._stream.packed or not self._spaced  # its length is wrong, or its bytes are
                if doubtful and line and not line.startswith(RECORD):
                    raise BrokenError("bad_warc", f"the record is followed by {line[:40]!r}")
            except BrokenError as error:
                late = error
            wanted = head is not None and head.get_header("WARC-Type") in self._types
            if late is None or (body is not None and late.reason in ("truncated", "bomb")):
                if wanted and head is not None and body is not None:
                    yield self._document(head, body)
                else:
                    self._number += 1
            if late is None:
                continue
            if wanted or body is None or late.reason in ("truncated", "bomb"):
                yield self.broken(late, head)
            if late.reason not in ("bad_warc", "too_long"):
                return
            try:
                line = self._search() if late.reason == "bad_warc" else self._next()
            except BrokenError as error:
                yield self.broken(error)
                return

    def _next(self) -> bytes:
        """The next line that is not empty; nothing at the member's end."""
        self._spaced = False
        while line := self._stream.line(self._limits.header_bytes):
            if not line.isspace():
                return line
            self._spaced = True
        return b""

    def _search(self) -> bytes:
        """The next line with which a record begins."""
        begins = True
        while line := self._stream.line(self._limits.header_bytes):
            if begins and line.startswith(RECORD):
                return line
            begins = line.endswith(b"\n")
        return b""

    def _head(self, line: bytes) -> "StatusAndHeaders":
        """A record's headers, of which the first line was read."""
        if not line.startswith(RECORD):
            raise BrokenError("bad_warc", f"no record begins with {line[:40]!r}")
        lines, size = [line], len(line)
        while (line := self._stream.line(self._limits.header_bytes)) and not line.isspace():
            lines.append(line)
            size += len(line)
            if size > self._limits.header_bytes:
                raise BrokenError("bad_warc", f"headers of more than {self._limits.header_bytes} bytes")
        if not line:
            raise BrokenError("truncated", "the record ends inside its headers")
        return parsed(b"".join(lines), VERSIONS)

    def _body(self, head: "StatusAndHeaders") -> bytes | None:
        """What a record holds; None if it is not a document, and was passed over."""
        said = head.get_header("Content-Length") or ""
        if not (said.isascii() and said.isdigit() and len(said) < 19):
            raise BrokenError("bad_warc", f"Content-Length is {said[:40]!r}")
        length = int(said)
        wanted = head.get_header("WARC-Type") in self._types
        if wanted and length <= self._limits.document_bytes:
            body = self._stream.read(length)
            found = len(body)
        else:
            body, found = None, self._stream.skip(length)
        if found < length:
            raise BrokenError("truncated", f"{found} of {length} bytes")
        if wanted and body is None:
            raise BrokenError("too_long", f"{length} bytes")
        return body

    def _document(self, head: "StatusAndHeaders", body: bytes) -> Record:
        """The document that a record is, or why it is none."""
        number, self._number = self._number, self._number + 1
        meta = {name: head.get_header(key) for name, key in NOTED.items() if head.get_header(key)}
        record = Record(number, values=_values(head), meta=meta)
        kind, content = head.get_header("Content-Type") or "", body
        url = str(record.values["url"] or "")
        try:
            if head.get_header("WARC-Type") == "response" and url.startswith(("http:", "https:")):
                answer = answered(body, self._limits)
                kind, content = answer.content_type, answer.content
                if answer.robots:
                    meta["x_robots_tag"] = answer.robots
            essence, _, rest = kind.partition(";")
            essence = essence.strip().lower() or _sniffed(content)
            meta["content_type"] = essence
            if essence not in HTML and essence != "text/plain":
                raise BrokenError("not_text", essence or "no Content-Type")
            record.text = decoded(content, rest, essence in HTML)
        except BrokenError as error:
            record.reason, record.evidence = error.reason, error.evidence
        return record


@cache
def _parser(versions: tuple[str, ...]) -> "StatusAndHeadersParser":
    from warcio.statusandheaders import StatusAndHeadersParser

    return StatusAndHeadersParser(list(versions))


def parsed(block: bytes, versions: tuple[str, ...]) -> "StatusAndHeaders":
    """Headers, by warcio.

    Args:
        block: Complete, of bounded length.
        versions: With which one of them it must begin.

    Raises:
        BrokenError: it does not.
    """
    from warcio.statusandheaders import StatusAndHeadersParserException

    try:
        return _parser(versions).parse(BytesIO(block + b"\r\n"))
    except (StatusAndHeadersParserException, EOFError) as error:
        raise BrokenError("bad_warc", f"headers begin with {block[:40]!r}") from error


def _values(head: "StatusAndHeaders | None") -> dict[str, str | None]:
    """Columns that a record's headers fill."""
    if head is None:
        return {}
    url = head.get_header("WARC-Target-URI")
    if url and url.startswith("<") and url.endswith(">"):  # as some writers understood the standard's grammar
        url = url[1:-1]
    return {"url": url, "fetched": head.get_header("WARC-Date")}


def _sniffed(content: bytes) -> str:
    """The type of an answer that says none: HTML if it begins as a page does."""
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "text/html" if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--")) else ""
