"""Snapshots of Node with the heavy packages loaded (``node --build-snapshot``), kept beside the warm packages.

They are made of our own scripts and the warm packages alone, never where a program runs, and bound read-only. A
template that cannot be written keeps them for as long as this process lives.
"""

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

from homespun.sandbox.jail.system import node_folder

_lock = threading.Lock()


def snapshot(packages: Path, name: str, make: Callable[[], bytes]) -> Path:
    """The snapshot of this name for these packages; made and kept if it is not there yet.

    Args:
        packages: The warm ``node_modules``.
        name: Which packages it holds.
        make: Makes it.
    """
    file = f"{name}-{_version()}.blob"
    for folder in (packages.parent / "snapshots", _own(packages)):
        if (folder / file).exists():
            return folder / file
    with _lock:
        for folder in (packages.parent / "snapshots", _own(packages)):
            if (folder / file).exists():
                return folder / file
        return _keep(packages, file, make())


def _keep(packages: Path, file: str, content: bytes) -> Path:
    for folder in (packages.parent / "snapshots", _own(packages)):
        part = folder / f"{file}.{os.getpid()}"
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
            part.write_bytes(content)
            part.chmod(0o644)
            return part.replace(folder / file)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
    raise OSError(f"no place for {file}")


@cache
def _own(packages: Path) -> Path:
    """A folder of this process for the snapshots of one template."""
    folder = Path(tempfile.mkdtemp(prefix="homespun-snapshots-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _version() -> str:
    """A digest of what a snapshot depends on besides the packages: Node itself, and our script that makes it."""
    digest = hashlib.sha256(Path(__file__).with_name("warm.mjs").read_bytes())
    status = (node_folder() / "bin" / "node").stat()
    digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
