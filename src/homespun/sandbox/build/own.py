"""Layers of packages that programs asked for beyond the warm ones: checked, named by what was asked, kept."""

import os
import shutil
import stat
from pathlib import Path

STAMP = ".complete"


class Unfit(Exception):
    """What the installer left is not a folder of packages."""


def clean(folder: Path, *, most_bytes: int, most_files: int = 100_000) -> None:
    """Makes a folder that a jail wrote safe to keep: plain files and folders that everyone can read and we alone write.

    Links are removed; the installers' commands are not needed, and a link could point out of the layer.

    Raises:
        Unfit: it holds a device, a pipe or a socket, or is too large.
    """
    files = size = 0
    ours = os.geteuid() == 0
    for above, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(above, name)
            told = os.lstat(path)
            kind, mode = stat.S_IFMT(told.st_mode), 0o755
            if kind == stat.S_IFLNK:
                os.unlink(path)
                continue
            if kind == stat.S_IFREG:
                files, size = files + 1, size + told.st_size
                mode = 0o755 if told.st_mode & 0o100 else 0o644
            elif kind != stat.S_IFDIR:
                raise Unfit("a package holds something that is neither a file nor a folder")
            if ours:
                os.chown(path, 0, 0)
            os.chmod(path, mode)
            if size > most_bytes or files > most_files:
                raise Unfit(f"the packages are larger than {most_bytes >> 20} MiB, or more than {most_files} files")


def size_of(folder: Path) -> int:
    """Bytes of the files below, while others may be writing there."""
    total, left = 0, [os.fspath(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


class Shelf:
    """A folder of finished layers. Several processes may share it.

    Args:
        folder: Made if it is not there.
        most_bytes: Beyond this the layers not used for longest are removed.
        keep_seconds: Layers used within this time are never removed: a program may be running on them.
    """

    def __init__(self, folder: Path, *, most_bytes: int = 4 << 30, keep_seconds: float = 3_600.0) -> None:
        self._folder, self._most, self._keep = folder, most_bytes, keep_seconds
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, key: str) -> Path | None:
        """The layer named ``key``, if it is there."""
        stamp = self._folder / key / STAMP
        try:
            os.utime(stamp)
        except FileNotFoundError:
            return None
        return self._folder / key / "packages"

    def keep(self, key: str, packages: Path) -> Path:
        """Moves a finished layer in under its name; if another did so first, theirs stays."""
        beside = packages.parent / f"{key}.layer"
        beside.mkdir()
        packages.rename(beside / "packages")
        (beside / STAMP).write_text(str(size_of(beside)))
        try:
            beside.rename(self._folder / key)
        except OSError:
            if self.find(key) is None:
                raise
            shutil.rmtree(beside)
        self._trim()
        return self._folder / key / "packages"

    def _trim(self) -> None:
        known: list[tuple[float, int, Path]] = []
        for stamp in self._folder.glob(f"*/{STAMP}"):
            try:
                known.append((stamp.stat().st_mtime, int(stamp.read_text() or 0), stamp.parent))
            except (OSError, ValueError):
                continue
        total = sum(size for _, size, _ in known)
        newest = max((used for used, _, _ in known), default=0.0)
        for used, size, layer in sorted(known):
            if total <= self._most or newest - used < self._keep:
                return
            (layer / STAMP).unlink(missing_ok=True)
            shutil.rmtree(layer, ignore_errors=True)
            total -= size
