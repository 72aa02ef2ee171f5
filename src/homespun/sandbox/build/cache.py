"""What has been fetched: files by their hash, for ever; pages by package, for ten minutes."""

import hashlib
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from homespun.sandbox.build.index import Index, Remote
from homespun.sandbox.build.routes import Asked

PAGE_SECONDS = 600.0


class Cache:
    """A folder of what the registries sent. Several processes may share it.

    Args:
        folder: Made if it is not there.
        scope: Names the registries, so that the pages of one are never taken for another's.
        most_bytes: Beyond this the files not used for longest are removed.
    """

    def __init__(self, folder: Path, scope: str, *, most_bytes: int = 4 << 30) -> None:
        self._files, self._pages = folder / "files", folder / "pages" / hashlib.sha256(scope.encode()).hexdigest()[:16]
        self._fetching, self._most = folder / "fetching", most_bytes
        for made in (self._files, self._pages, self._fetching):
            made.mkdir(parents=True, exist_ok=True)
        sweep(self._fetching)

    def page(self, asked: Asked, *, stale: bool = False) -> Index | None:
        """The page of a package if it is there and fresh, or there at all when ``stale`` will do."""
        place = self._page(asked)
        try:
            if stale or time.time() - place.stat().st_mtime < PAGE_SECONDS:
                return Index.loads(place.read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None

    def keep_page(self, asked: Asked, index: Index) -> None:
        """Keeps a page."""
        place = self.scratch()
        place.write_bytes(index.dumps())
        place.replace(self._page(asked))
        trim(self._pages, self._most // 8)

    def file(self, remote: Remote) -> Path | None:
        """Where a file is, if it is."""
        place = self._files / remote.key
        if not place.exists():
            return None
        os.utime(place)
        return place

    def keep_file(self, remote: Remote, fetched: Path) -> Path:
        """Keeps a file whose hash has been checked; removes the oldest if that is too much."""
        fetched.replace(self._files / remote.key)
        trim(self._files, self._most)
        return self._files / remote.key

    def scratch(self) -> Path:
        """A place for what is still being fetched."""
        return self._fetching / secrets.token_hex(8)

    def _page(self, asked: Asked) -> Path:
        return self._pages / hashlib.sha256(f"{asked.kind} {asked.name}".encode()).hexdigest()[:32]


def sweep(folder: Path, seconds: float = 3_600.0) -> None:
    """Removes what processes that were killed have left in ``folder``: all that nobody has touched for ``seconds``."""
    for path, told in _entries(folder):
        if time.time() - told.st_mtime > seconds:
            path.unlink(missing_ok=True) if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def trim(folder: Path, most_bytes: int) -> None:
    """Removes the files of ``folder`` that were used longest ago, until it holds at most ``most_bytes``."""
    known = _entries(folder)
    total = sum(told.st_size for _, told in known)
    for path, told in sorted(known, key=lambda row: row[1].st_mtime):
        if total <= most_bytes:
            return
        path.unlink(missing_ok=True)
        total -= told.st_size


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found: list[tuple[Path, os.stat_result]] = []
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):  # another process was quicker
            found.append((Path(entry.path), entry.stat(follow_symlinks=False)))
    return found
