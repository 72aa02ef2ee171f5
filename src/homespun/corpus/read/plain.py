"""Plain text: a document a file, a line, or what stands between empty lines."""

from collections.abc import Iterator

from homespun.corpus.read.lines import BLOCK, BOM, Line, bare, end, lines, own_lines
from homespun.corpus.read.rows import Record
from homespun.corpus.read.settings import Limits, Slice
from homespun.corpus.read.streams import BrokenError, opened


def text_records(slice_: Slice, limits: Limits) -> Iterator[Record]:
    """The documents that begin in a slice."""
    if slice_.source.split == "file":
        yield _whole(slice_, limits)
        return
    found = own_lines(slice_, limits) if slice_.source.split == "line" else _paragraphs(slice_, limits)
    for line in found:
        if line.broken:
            evidence = f"after byte {line.place}: {line.broken.evidence}"
            yield Record(None, reason=line.broken.reason, evidence=evidence)
        elif not line.whole:
            yield _too_long(line.place, limits)
        elif line.data and not line.data.isspace():
            yield _decoded(line.place, line.data)


def _whole(slice_: Slice, limits: Limits) -> Record:
    parts: list[bytes] = []
    size = 0
    with opened(slice_.path, limits) as stream:
        try:
            while size <= limits.document_bytes and (block := stream.read(BLOCK)):
                parts.append(block)
                size += len(block)
        except BrokenError as error:
            return Record(None, reason=error.reason, evidence=error.evidence)
    if size > limits.document_bytes:
        return _too_long(None, limits)
    return _decoded(None, b"".join(parts).removeprefix(BOM))


def _too_long(place: int | None, limits: Limits) -> Record:
    return Record(place, reason="too_long", evidence=f"more than {limits.document_bytes} bytes")


def _decoded(place: int | None, data: bytes) -> Record:
    try:
        return Record(place, text=data.decode().rstrip("\r\n"))
    except UnicodeDecodeError as error:
        return Record(place, reason="not_utf8", evidence=f"byte {(place or 0) + error.start}")


def _paragraphs(slice_: Slice, limits: Limits) -> Iterator[Line]:
    """Runs of lines that are not empty, of which the first begins in the slice, each as one long line."""
    stop, most = end(slice_), limits.document_bytes
    before = max(slice_.start - 3, 0)  # as many bytes tell whether a line begins here, and an empty one ends
    with opened(slice_.path, limits, before) as stream:
        lead = stream.read(slice_.start - before) if before < slice_.start else b""
        place, fresh = -1, slice_.start == 0 or _empty_before(lead, before)
        parts: list[bytes] = []
        size = 0
        for line in lines(stream, slice_.start, stop, most):
            if not parts and (line.place >= stop or line.broken):
                if line.broken:
                    yield line
                return
            if line.place == slice_.start and lead and not lead.endswith(b"\n"):  # the rest of a line
                fresh = line.whole and _empty_before(lead + line.data + b"\n", before)
                continue
            empty = line.whole and line.data in (b"", b"\r") and not line.broken
            if not empty and (parts or fresh):
                place = line.place if not parts else place
                parts.append(bare(line).data)
                size += len(line.data) + 1 if line.whole else most + 2
            if parts and (empty or line.broken or size > most + 1):
                yield _paragraph(place, parts, size, line, most)
                parts, size = [], 0
            fresh = empty
        if parts:
            yield Line(place, b"\n".join(parts))


def _paragraph(place: int, parts: list[bytes], size: int, line: Line, most: int) -> Line:
    if line.broken:
        return Line(place, b"", broken=line.broken)
    return Line(place, b"\n".join(parts)) if size <= most + 1 else Line(place, b"", False)


def _empty_before(lead: bytes, start: int) -> bool:
    """Whether these bytes, which begin at a place, end with an empty line."""
    return lead.endswith((b"\n\n", b"\n\r\n")) or (start == 0 and lead in (b"\n", b"\r\n"))
