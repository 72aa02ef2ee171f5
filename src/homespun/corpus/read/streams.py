"""Bytes of a file, inflated where they are packed, never more of them at a time than were asked for.

What is wrong with a packed file is raised as `BrokenError` after everything that could be inflated was handed out, up
to the byte before the broken one.
"""

import zlib
from collections.abc import Generator
from contextlib import contextmanager
from io import IOBase
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, cast

from homespun.corpus.read.settings import Limits

BLOCK = 1 << 16
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class BrokenError(Exception):
    """A file or record cannot be read on; becomes a row, and never leaves the reader.

    Args:
        reason: A word that is counted.
        evidence: Where, or what was found.
    """

    def __init__(self, reason: str, evidence: str) -> None:
        super().__init__(reason, evidence)
        self.reason, self.evidence = reason, evidence


class Inflater(Protocol):
    """What zlib's objects can."""

    @property
    def unused_data(self) -> bytes:
        """Input behind the end."""
        ...

    @property
    def unconsumed_tail(self) -> bytes:
        """Input that is still to be inflated."""
        ...

    @property
    def eof(self) -> bool:
        """Whether the end was reached."""
        ...

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        """So many bytes at most of what the input becomes."""
        ...

    def copy(self) -> "Inflater":
        """One that goes on from here by itself."""
        ...


class Stream(Protocol):
    """Bytes, in order."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes, at least one but at the end.

        Raises:
            BrokenError: the file cannot be inflated on.
        """
        ...


def compression(path: Path) -> Literal["gzip", "zstd"] | None:
    """How a file is packed, by its first bytes: its name may lie.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(4)
    return "gzip" if start[:2] == GZIP else "zstd" if start == ZSTD else None


@contextmanager
def opened(path: Path, limits: Limits, start: int = 0) -> Generator[Stream]:
    """A file as a stream.

    Args:
        path: A file.
        limits: How much a packed one may grow.
        start: First byte, for a file that is not packed.

    Raises:
        OSError: it cannot be opened.
    """
    packed = compression(path)
    with path.open("rb", buffering=0) as file:
        if packed == "gzip":
            yield Gunzipped(file, limits)
        elif packed == "zstd":
            yield Unzstd(file, limits)
        else:
            file.seek(start)
            yield file


class Growth:
    """Watches what comes out of how much that went in."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._out = 0

    def watch(self, taken: int, given: int) -> None:
        """Counts.

        Args:
            taken: Packed bytes so far.
            given: Bytes that came out now.

        Raises:
            BrokenError: too much of too little.
        """
        self._out += given
        if self._out > self._limits.inflate_free and self._out > taken * self._limits.inflate_ratio:
            raise BrokenError("bomb", f"{taken} bytes became {self._out}")


class Gunzipped:
    """A gzip file of any number of members, read one after another."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        self._growth = Growth(limits)
        self._inflater = gzip_inflater()
        self._input = b""
        self._taken = 0
        self._failed: BrokenError | None = None
        self._between = True

    def read(self, size: int, /) -> bytes:
        """See `Stream`."""
        if self._failed:
            raise self._failed
        while True:
            if not self._input and not self._more():
                if self._between:
                    return b""
                raise BrokenError("truncated", f"the file ends at byte {self._taken}, inside a packed part")
            if self._between and (self._input.count(0) == len(self._input)):  # padding, as tar and tapes leave it
                self._input = b""
                continue
            self._between = False
            out, self._failed = inflate(self._inflater, self._input, min(size, 4 * BLOCK))
            self._input = self._inflater.unconsumed_tail
            if self._inflater.eof:
                self._input, self._inflater, self._between = self._inflater.unused_data, gzip_inflater(), True
            self._growth.watch(self._taken, len(out))
            if out:
                return out
            if self._failed:
                raise self._failed

    def _more(self) -> bool:
        self._input = self._file.read(BLOCK)
        self._taken += len(self._input)
        return bool(self._input)


class Unzstd:
    """A zstd file, through Arrow's codec."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        import pyarrow as pa

        self._file = file
        self._growth = Growth(limits)
        self._stream = pa.CompressedInputStream(pa.PythonFile(cast("IOBase", file), "r"), "zstd")

    def read(self, size: int, /) -> bytes:
        """See `Stream`."""
        try:
            out = self._stream.read(min(size, 4 * BLOCK))
        except OSError as error:
            reason = "truncated" if "runcated" in str(error) else "bad_compression"
            raise BrokenError(reason, str(error)) from error
        self._growth.watch(self._file.tell(), len(out))
        return out


def inflate(inflater: Inflater, data: bytes, size: int) -> tuple[bytes, BrokenError | None]:
    """Inflates; where the input is broken everything before the broken byte comes out, with what is wrong.

    Args:
        inflater: Changed.
        data: Input; what isn't needed yet is left as the inflater's ``unconsumed_tail``.
        size: Bytes of output at most.
    """
    before = inflater.copy()
    try:
        return inflater.decompress(data, size), None
    except zlib.error:
        pass
    out = bytearray()
    for byte in range(len(data)):
        try:
            out += before.decompress(data[byte : byte + 1])
        except zlib.error as error:
            return bytes(out), BrokenError("bad_compression", str(error))
    return bytes(out), BrokenError("bad_compression", "broken data")


def gzip_inflater() -> Inflater:
    """For one member of a gzip file."""
    return zlib.decompressobj(16 + zlib.MAX_WBITS)
