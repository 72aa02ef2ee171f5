"""Lines of a stream, the end of which may never come."""

from collections.abc import Iterator
from typing import NamedTuple

from homespun.corpus.read.settings import Limits, Slice
from homespun.corpus.read.streams import BrokenError, Stream, compression, opened

BLOCK = 1 << 18
ENDLESS = 1 << 62
"""Where the only slice of a packed file ends, whose places are those of the inflated bytes."""
BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end."""

    place: int
    """Its first byte in the (inflated) file."""
    data: bytes
    whole: bool = True
    """False: it was longer than allowed, and ``data`` is empty."""
    broken: BrokenError | None = None
    """The stream broke inside this line; the last one."""


def lines(stream: Stream, start: int, stop: int, limit: int) -> Iterator[Line]:
    """All lines from a place on, the first of which may have begun before it.

    Reading goes on after ``stop``, so that the last line that began before it can be finished; the caller leaves.
    Only a line that is too long is not followed beyond it. No more than ``limit`` bytes and a block are held.

    Args:
        stream: At ``start``.
        start: Place of the stream's next byte.
        stop: Where the next slice begins.
        limit: Bytes of a line.
    """
    place, tail, skipping, broken = start, b"", False, None
    while True:
        try:
            block = stream.read(BLOCK)
        except BrokenError as error:
            block, broken = b"", error
        if not block:
            break
        if skipping:
            cut = block.find(b"\n")
            if cut < 0:
                place += len(block)
                if place >= stop:
                    return
                continue
            place, block, skipping = place + cut + 1, block[cut + 1 :], False
        *found, tail = (tail + block).split(b"\n")
        for data in found:
            yield Line(place, data) if len(data) <= limit else Line(place, b"", False)
            place += len(data) + 1
        if len(tail) > limit:
            yield Line(place, b"", False)
            place, tail, skipping = place + len(tail), b"", True
            if place >= stop:
                return
    if broken or tail:
        yield Line(place, tail, broken=broken)


def own_lines(slice_: Slice, limits: Limits) -> Iterator[Line]:
    """The lines that begin in a slice, those that are broken or too long included; a byte order mark is left out.

    Args:
        slice_: Part of a file.
        limits: A line may be as long as a document.
    """
    stop = end(slice_)
    before = max(slice_.start - 1, 0)  # the byte before a slice says whether a line begins with it
    with opened(slice_.path, limits, before) as stream:
        for line in lines(stream, before, stop, limits.document_bytes):
            if line.place >= stop and not line.broken:
                return
            if line.place >= slice_.start:
                yield bare(line)


def bare(line: Line) -> Line:
    """The line without the file's byte order mark."""
    return line._replace(data=line.data.removeprefix(BOM)) if line.place == 0 else line


def end(slice_: Slice) -> int:
    """Where the next slice begins."""
    return ENDLESS if compression(slice_.path) else slice_.stop
