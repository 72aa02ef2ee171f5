"""The job's workspace, reached from outside through a descriptor that outlives the jail.

Files go in before the command starts, so nobody is there to interfere. They are collected after everything in the
jail has died, so nothing changes under our eyes; but what lies there is hostile: whatever its names, kinds, depth and
number, reading it takes bounded time and memory and leaves the folder at no point.
"""

import errno
import json
import os
import select
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from homespun.errors import SandboxError
from homespun.sandbox.jail.types import WORK

START_SECONDS = 20.0
MOST_FILES = 64
"""Files that are brought back."""
MOST_BYTES = 32 << 20
"""What they may have together."""
MOST_ENTRIES = 20_000
"""Entries that are looked at."""
MOST_DEPTH = 8
SKIPPED = "node_modules"
"""A folder that holds packages, never what a program made."""
POLL_SECONDS = 0.0003


def told_pid(info: int) -> int | None:
    """The process that bwrap tells of through ``info``, the first of the jail; None if none was started."""
    deadline = time.monotonic() + START_SECONDS
    told = b""
    while b"}" not in told:
        left = max(0.0, deadline - time.monotonic())
        block = os.read(info, 4096) if select.select([info], [], [], left)[0] else b""
        if not block:
            return None
        told += block
    return int(json.loads(told)["child-pid"])


def open_work(pid: int, marker: str, work: str = WORK) -> int | None:
    """A descriptor of the folder ``work`` in the jail whose first process is ``pid``; None if there is no jail.

    The marker is a folder of the new root: until it is there, the jail's root is still the host's.
    """
    deadline = time.monotonic() + START_SECONDS
    root = f"/proc/{pid}/root"
    while time.monotonic() < deadline:
        try:
            os.stat(f"{root}/{marker}")
            return os.open(f"{root}{work}", os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if not os.path.exists(os.path.dirname(root)):
                return None
            time.sleep(POLL_SECONDS)
        except OSError as error:
            if error.errno in (errno.ESRCH, errno.EACCES):
                return None
            raise
    return None


def write_all(folder: int, files: Mapping[str, bytes], user: int | None = None) -> None:
    """Writes files below ``folder``, and gives them and their folders to ``user``.

    Raises:
        SandboxError: a path leads out of the folder, is written twice, or there is no room for its content.
    """
    for path, content in files.items():
        parts = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise SandboxError("a path that leaves the workspace", repr(path))
        try:
            _write(folder, parts, content, user)
        except OSError as error:
            raise SandboxError(
                f"cannot be written: {error.strerror}", repr(path), "a smaller file, another name"
            ) from None


def _write(folder: int, parts: Sequence[str], content: bytes, user: int | None) -> None:
    at = os.dup(folder)
    try:
        for part in parts[:-1]:
            try:
                os.mkdir(part, 0o755, dir_fd=at)
                made = True
            except FileExistsError:
                made = False
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
            if made and user is not None:
                os.fchown(at, user, user)
        number = os.open(parts[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=at)
        with os.fdopen(number, "wb") as file:
            file.write(content)
            if user is not None:
                os.fchown(number, user, user)
    finally:
        os.close(at)


def collect(folder: int, patterns: Sequence[str]) -> dict[str, bytes]:
    """Regular files whose path matches one of ``patterns``; nothing is followed, and what is too large is left out."""
    found: dict[str, bytes] = {}
    left = MOST_BYTES
    if not patterns:
        return found
    for path, at, name in _walk(folder, "", [MOST_ENTRIES]):
        if len(found) >= MOST_FILES:
            break
        if not path.isprintable() or not any(fnmatchcase(path, pattern) for pattern in patterns):
            continue
        content = _content(at, name, left)
        if content is not None:
            found[path] = content
            left -= len(content)
    return found


def _content(folder: int, name: str, most: int) -> bytes | None:
    try:
        number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
    except OSError:  # a file that its owner may not read, where we are no root
        return None
    with os.fdopen(number, "rb") as file:
        state = os.fstat(number)
        if not stat.S_ISREG(state.st_mode) or state.st_size > most:
            return None
        return file.read(state.st_size)


def _walk(folder: int, above: str, left: list[int], depth: int = 0) -> Iterator[tuple[str, int, str]]:
    """(path, descriptor of its folder, name) of regular files, sorted by name; ``left`` counts entries down."""
    listed: list[os.DirEntry[str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if left[0] <= 0:
                break
            left[0] -= 1
            listed.append(entry)
    for entry in sorted(listed, key=lambda entry: entry.name):
        if entry.is_file(follow_symlinks=False):
            yield above + entry.name, folder, entry.name
        elif entry.is_dir(follow_symlinks=False) and depth < MOST_DEPTH and entry.name != SKIPPED:
            try:
                below = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            except OSError:
                continue
            try:
                yield from _walk(below, f"{above}{entry.name}/", left, depth + 1)
            finally:
                os.close(below)
