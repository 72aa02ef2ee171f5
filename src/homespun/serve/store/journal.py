"""The write-ahead journal of one worker: files to which entries are appended before anybody is told of them.

An entry is one line, ``<kind><CRC-32 in hexadecimal> <JSON>``, copied to the end of a file whose space was set aside
before and which is mapped into memory: that costs no system call. What is in the map is the kernel's, and survives the
process's death at any instant; a line that was torn by it or by a power failure does not carry its sum and is passed
over. The file is also the queue to the database: a batch is read back
from it, so that nothing is kept in memory however long the database is away.

A worker's folder holds ``lock``, on which it keeps a lock while it lives: who gets that lock knows that it is dead.
"""

import fcntl
import mmap
import os
import re
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

BEGIN, SETTLE, NOTE = b"b", b"s", b"n"
SEGMENT_BYTES = 16 * 2**20
"""Room of a file; one that is full is followed by a new one, and goes once all of it is in the database."""
BATCH_BYTES = 2**20
_STALE_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class Segment:
    """One file."""

    path: Path
    fd: int
    map: mmap.mmap
    size: int = 0
    booked: int = 0
    """Bytes whose entries are in the database."""
    open: int = 0
    """Requests that were begun here and are not settled yet."""


class Journal:
    """The files of one worker, in a folder that only it writes to.

    Args:
        folder: Its folder, from `claim`.
        segment_bytes: Size at which a new file is begun.
    """

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder, self._segment_bytes = folder, segment_bytes
        self._number = 0
        self.segments: list[Segment] = []
        self.stranded: list[bytes] = []
        """Entries that a full disk did not take; they are tried again."""
        self._current = self._next()

    @property
    def behind(self) -> int:
        """Bytes that are not in the database yet."""
        return sum(segment.size - segment.booked for segment in self.segments)

    def append(self, kind: bytes, payload: bytes, *, keep: bool = False) -> Segment:
        """Writes an entry.

        Args:
            kind: `BEGIN`, `SETTLE` or `NOTE`.
            payload: JSON in one line.
            keep: Where it cannot be written, keep it in memory and go on.

        Raises:
            OSError: it cannot be written.
        """
        line = b"%b%08x %b\n" % (kind, crc32(payload), payload)
        try:
            self._write(line)
        except OSError:
            if not keep:
                raise
            self.stranded.append(line)
        return self._current

    def retry(self) -> None:
        """Writes what could not be written before, as far as it goes."""
        with suppress(OSError):
            while self.stranded:
                self._write(self.stranded[0])
                del self.stranded[0]

    def unbooked(self) -> tuple[Segment, int, int] | None:
        """The next stretch to be brought to the database: a file, from where, to where at most."""
        for segment in self.segments:
            if segment.booked < segment.size:
                return segment, segment.booked, segment.size
        return None

    def sync(self) -> None:
        """Takes what was written to the disk itself; worth its time where the database does not do so soon."""
        self._current.map.flush()

    def drop_booked(self) -> None:
        """Deletes the files that nobody needs any more."""
        for segment in [s for s in self.segments if s is not self._current and not s.open and s.booked == s.size]:
            self.segments.remove(segment)
            _close(segment)
            segment.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the files; they stay."""
        for segment in self.segments:
            _close(segment)
        self.segments.clear()

    def _write(self, line: bytes) -> None:
        segment, size = self._current, len(line)
        end = segment.size + size
        if end > len(segment.map):
            segment = self._current = self._next(size)
            end = size
        segment.map[segment.size : end] = line
        segment.size = end

    def _next(self, least: int = 0) -> Segment:
        """A new file, with room for ``least`` bytes; raises OSError where the disk has none."""
        path = self.folder / f"{self._number + 1:08d}.log"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            room = max(self._segment_bytes, least)
            os.posix_fallocate(fd, 0, room)  # a map without space behind it would kill the process
            segment = Segment(path, fd, mmap.mmap(fd, room))
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._number += 1
        self.segments.append(segment)
        return segment


def _close(segment: Segment) -> None:
    segment.map.close()
    os.close(segment.fd)


def written(fd: int) -> int:
    """Bytes of a file up to the end of its last line; behind it lies room that nobody used."""
    end, step = os.fstat(fd).st_size, BATCH_BYTES
    while end > 0:
        start = max(0, end - step)
        if text := os.pread(fd, end - start, start).rstrip(b"\0"):
            return start + len(text)
        end = start
    return 0


def read(fd: int, start: int, end: int, most: int = BATCH_BYTES) -> bytes:
    """Whole lines from ``start``: up to ``most`` bytes of them, at least one."""
    data = os.pread(fd, min(end - start, most), start)
    whole = data.rfind(b"\n") + 1
    if whole:
        return data[:whole]
    data = os.pread(fd, end - start, start)
    return data[: data.find(b"\n") + 1] or data


def entries(data: bytes) -> Iterator[tuple[bytes, bytes] | None]:
    """Kind and payload of each line; ``None`` for a line that is damaged."""
    for line in filter(None, data.split(b"\n")):
        kind, payload = line[:1], line[10:]
        try:
            whole = int(line[1:9], 16) == crc32(payload) and line[9:10] == b" "
        except ValueError:
            whole = False
        yield (kind, payload) if whole else None


def claim(root: Path, worker: str) -> tuple[Path, int]:
    """Makes a worker's folder, locked from the moment that others can see it.

    Returns:
        The folder, and the descriptor of its lock.

    Raises:
        OSError: the folder cannot be made, or a living worker has it.
    """
    if not re.fullmatch(r"\w[\w.-]{0,99}", worker):
        raise OSError(f"{worker!r} is no name of a folder")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    hidden = root / f".{worker}-{os.getpid()}"
    hidden.mkdir(mode=0o700)
    lock = _lock(hidden)
    assert lock is not None
    try:
        hidden.rename(root / worker)
    except OSError:
        os.close(lock)
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return root / worker, lock


def abandoned(root: Path) -> Generator[tuple[Path, int]]:
    """Folders of workers that are dead, each locked by us until its descriptor is closed."""
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name.startswith(".") and time.time() - _age(folder) < _STALE_SECONDS:
            continue  # just being made
        if (lock := _lock(folder)) is not None:
            yield folder, lock


def discard(folder: Path, lock: int) -> None:
    """Deletes a folder that we have locked; its lock goes last."""
    for path in folder.glob("*.log"):
        path.unlink(missing_ok=True)
    (folder / "lock").unlink(missing_ok=True)
    os.close(lock)
    with suppress(OSError):  # somebody has just locked it, finds it empty, and deletes it
        folder.rmdir()


def _age(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _lock(folder: Path) -> int | None:
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # the folder has gone
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.stat(folder / "lock")):
            return fd
    except OSError:
        pass
    os.close(fd)
    return None
