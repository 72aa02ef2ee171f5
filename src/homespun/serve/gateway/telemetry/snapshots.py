"""One file of counts per worker, so that any worker of a machine can tell the numbers of all of them.

A worker holds a lock on ``NAME.lock`` while it lives (the kernel lets go when it dies, however it dies) and replaces
``NAME.json`` about once a second and before it tells its numbers. A worker that starts takes over the counts of those
that are dead, so counters only ever grow. Compared with prometheus_client's multiprocess mode, whose memory-mapped
files cost a lookup per metric and request, a request here costs nothing but its own dictionaries.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from homespun.serve.gateway.telemetry.metrics import Tally


class Snapshots:
    """The folder ``metrics`` of the state, as one worker sees it.

    Args:
        folder: Where the files are; made if need be.
        worker: This worker's name, unique on the machine.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._file = folder, folder / f"{worker}.json"
        self._lock = os.open(folder / f"{worker}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @contextmanager
    def _gate(self, kind: int) -> Generator[None]:
        """Keeps taking over and summing apart, so that no count is seen twice or not at all."""
        gate = os.open(self._folder / "gate", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(gate, kind)
            yield
        finally:
            os.close(gate)

    def inherit(self, tally: Tally) -> int:
        """Adds the counts of dead workers to ``tally`` and removes their files; how many there were."""
        with self._gate(fcntl.LOCK_EX):
            dead = [lock for lock in self._others() if _is_dead(lock)]
            for lock in dead:
                if content := _read(lock.with_suffix(".json")):
                    with suppress(KeyError, TypeError, ValueError):
                        tally.add(content)
            if dead:
                self.write({**tally.dump(), "gauges": {}})
            for lock in dead:
                lock.with_suffix(".json").unlink(missing_ok=True)
                lock.unlink(missing_ok=True)
        return len(dead)

    def write(self, content: dict[str, Any]) -> None:
        """Replaces this worker's file whole."""
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(content))
        fresh.replace(self._file)

    def others(self) -> list[dict[str, Any]]:
        """What the other workers, and dead ones that nobody took over yet, wrote last."""
        with self._gate(fcntl.LOCK_SH):
            contents = [(_read(lock.with_suffix(".json")), _is_dead(lock)) for lock in self._others()]
        return [content | {"gauges": {}} if dead else content for content, dead in contents if content]

    def _others(self) -> list[Path]:
        return [lock for lock in sorted(self._folder.glob("*.lock")) if lock.stem != self._file.stem]

    def close(self) -> None:
        """Lets go; the counts stay for the next worker."""
        os.close(self._lock)


def _is_dead(lock: Path) -> bool:
    try:
        file = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None
