"""The bytes of a WARC file, packed record by record or not, and how to find on after a broken place.

A gzip member holds whole records, so that none is read beyond its member's end, and a broken member costs no other: the
next one is looked for by its first bytes, and must begin with a record.
"""

import zlib
from typing import BinaryIO

from homespun.corpus.read.settings import Limits
from homespun.corpus.read.streams import BLOCK, BrokenError, Growth, gzip_inflater, inflate

MAGIC = b"\x1f\x8b\x08"
RECORD = b"WARC/"
GAPS = 1000
"""Broken places after which the rest of a file is given up."""
BACK = 4 << 10
"""Bytes before the place where inflating failed in which the next member may have begun."""


class Members:
    """A file as bytes with stops: `read` and `line` end at a member's end, `advance` goes to the next one.

    Args:
        file: The raw file, at its beginning.
        packed: Whether it is gzip.
        limits: How much it may grow.
    """

    def __init__(self, file: BinaryIO, packed: bool, limits: Limits) -> None:
        self._file, self._growth = file, Growth(limits)
        self.packed = packed
        self._inflater = gzip_inflater() if packed else None
        self._begun = self._taken = self._gaps = 0
        self._input = b""
        self._held = bytearray()
        self._failed: BrokenError | None = None
        self.over = False
        """Whether nothing is left in this member."""
        self.gap: BrokenError | None = None
        """What `advance` found between two members where nothing should be."""

    def read(self, size: int) -> bytes:
        """So many bytes, fewer only at the member's end.

        Raises:
            BrokenError: it cannot be inflated on.
        """
        while len(self._held) < size and self._fill():
            pass
        out = bytes(self._held[:size])
        del self._held[:size]
        return out

    def skip(self, size: int) -> int:
        """Reads over bytes without keeping them; how many there were."""
        left = size
        while left and (block := self.read(min(left, BLOCK))):
            left -= len(block)
        return size - left

    def line(self, limit: int) -> bytes:
        """Bytes to the end of the line, or up to a limit; nothing at the member's end."""
        at = 0
        while (cut := self._held.find(b"\n", at)) < 0 and len(self._held) < limit:
            at = len(self._held)
            if not self._fill():
                break
        return self.read(min(cut + 1 if cut >= 0 else len(self._held), limit))

    def unread(self, data: bytes) -> None:
        """Puts bytes back in front."""
        self._held[:0] = data
        self.over = False

    def _fill(self) -> bool:
        """Another block into what is held; False at the member's end."""
        if self._failed:
            raise self._failed
        while not self.over:
            if not self._input:
                self._input = self._file.read(BLOCK)
                self._taken += len(self._input)
            if not self._input:
                self.over = True
                if self._inflater is not None and self._taken > self._begun:
                    self._failed = BrokenError("truncated", f"the file ends at byte {self._taken}, inside a member")
                    raise self._failed
                return False
            if self._inflater is None:
                self._held += self._input
                self._input = b""
                return True
            out, self._failed = inflate(self._inflater, self._input, 4 * BLOCK)
            self._input = self._inflater.unconsumed_tail
            if self._inflater.eof:
                self._input, self.over = self._inflater.unused_data, True
            self._held += out
            try:
                self._growth.watch(self._taken, len(out))
            except BrokenError as error:
                self._failed, self._gaps = error, GAPS
            if out:
                return True
            if self._failed:
                raise self._failed
        return False

    def advance(self) -> bool:
        """To the next member, over what is left of this one and any broken bytes; False at the end of the file.

        Raises:
            BrokenError: there are too many broken places.
        """
        self.gap = None
        if self._inflater is None:
            return False
        self._held.clear()
        try:
            while self._fill():
                self._held.clear()
        except BrokenError:
            return self._search()
        self._begun = self._taken - len(self._input)
        if not self._input:
            self._input = self._file.read(BLOCK)
            self._taken += len(self._input)
        if not self._input:
            return False
        if not self._input.startswith(MAGIC[: len(self._input)]):
            if self._input.strip(b"\0"):
                self.gap = BrokenError("bad_compression", f"no member begins at byte {self._begun}")
            return self._search()
        self._inflater, self.over = gzip_inflater(), False
        return True

    def _search(self) -> bool:
        """To the next place at which a member begins with a record."""
        reason = self._failed
        self._gaps += 1
        if self._gaps > GAPS:
            if reason is not None and reason.reason == "bomb":
                return False
            raise BrokenError("bad_compression", f"more than {GAPS} broken places")
        failed = self._taken - len(self._input)
        place = max(self._begun + 1, failed - BACK)
        while True:
            self._file.seek(place)
            window = self._file.read(2 * BLOCK)
            at = window.find(MAGIC)
            if at < 0 and len(window) < 2 * BLOCK:
                self._taken, self._begun, self._input, self._failed, self.over = place, place, b"", None, True
                return False
            if at < 0:
                place += len(window) - len(MAGIC) + 1
            elif at > BLOCK:
                place += at
            elif _begins(window[at:]):
                break
            else:
                place += at + 1
        self._begun = place + at
        self._input, self._taken = window[at:], place + len(window)
        self._inflater, self._failed, self.over = gzip_inflater(), None, False
        return True


def _begins(data: bytes) -> bool:
    """Whether a packed record begins with these bytes."""
    try:
        return gzip_inflater().decompress(data, len(RECORD)) == RECORD
    except zlib.error:
        return False
