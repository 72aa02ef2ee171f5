"""The job's workspace, reached from outside through a descriptor that outlives the jail."""

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
MOST_BYTES = 32 << 20


def open_work(info: int, marker: str) -> int | None:
    """A descriptor of /work in the jail whose pid bwrap tells through ``info``; None if the jail did not start.

    The marker is a folder of the new root: until it is there, the jail's root is still the host's.
    """
    deadline = time.monotonic() + START_SECONDS
    told = b""
    try:
        while b"}" not in told:
            if not select.select([info], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            block = os.read(info, 4096)
            if not block:
                return None
            told += block
    finally:
        os.close(info)
    root = f"/proc/{json.loads(told)['child-pid']}/root"
    while time.monotonic() < deadline:
        try:
            os.stat(f"{root}/{marker}")
            return os.open(f"{root}{WORK}", os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if not os.path.exists(os.path.dirname(root)):
                return None
            time.sleep(0.0003)
        except OSError as error:
            if error.errno in (errno.ESRCH, errno.EACCES):
                return None
            raise
    return None


def write_all(folder: int, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        *above, name = path.split("/")
        if not name or any(part in ("", ".", "..") for part in (*above, name)):
            raise SandboxError("a path that leaves the workspace", path)
        at = os.dup(folder)
        for part in above:
            try:
                os.mkdir(part, 0o777, dir_fd=at)
                os.chmod(part, 0o777, dir_fd=at)
            except FileExistsError:
                pass
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=at)
        os.fchmod(number, 0o666)
        with os.fdopen(number, "wb") as file:
            file.write(content)
        os.close(at)


def collect(folder: int, patterns: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = MOST_BYTES
    if not patterns:
        return found
    for path, at, name in _walk(folder, ""):
        if len(found) >= MOST_FILES or not any(fnmatchcase(path, pattern) for pattern in patterns):
            continue
        number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        with os.fdopen(number, "rb") as file:
            size = os.fstat(number).st_size
            if stat.S_ISREG(os.fstat(number).st_mode) and size <= left:
                found[path] = file.read(size)
                left -= size
    return found


def _walk(folder: int, above: str, depth: int = 0) -> Iterator[tuple[str, int, str]]:
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)[:1000]
    for entry in listed:
        if entry.is_file(follow_symlinks=False):
            yield above + entry.name, folder, entry.name
        elif entry.is_dir(follow_symlinks=False) and depth < 4 and entry.name != "node_modules":
            try:
                below = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            except OSError:
                continue
            try:
                yield from _walk(below, f"{above}{entry.name}/", depth + 1)
            finally:
                os.close(below)
