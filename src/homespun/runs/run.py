"""Open and close a run: one folder per (config, inputs, code), so resume, cache, diff and audit are one thing.

The folder is ``<root>/<stage>/<name>-<hash>``. While work goes on it holds finished *parts*, each written
whole or not at all; the same command again picks up the parts that are there. ``run.json`` is written when
the run opens (status ``running``) and again when it closes (``done``): a finished run returns at once.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import polars as pl

from homespun.errors import DataError, RunError
from homespun.records import Cost, Run
from homespun.runs.tables import atomic, sha256, write_table

WATCHED = ("numpy", "polars", "pyarrow", "scikit-learn", "scipy", "pydantic")


def root_folder(root: Path | str | None = None) -> Path:
    """Where runs live: the argument, else ``$HOMESPUN_RUNS``, else ``./runs``."""
    return Path(root or os.environ.get("HOMESPUN_RUNS") or "runs")


@cache
def code_hash() -> str:
    """Hash of the package's own source: a changed line of code is a different run."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def package_versions() -> dict[str, str]:
    """Versions of the libraries whose arithmetic can change a result."""
    versions: dict[str, str] = {}
    for name in WATCHED:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


class RunFolder:
    """An open run. Use it as a context manager: leaving by an exception marks the run failed, parts stay."""

    def __init__(self, path: Path, record: Run) -> None:
        self.path, self.record = path, record
        self._lock: IO[str] | None = None

    @property
    def done(self) -> bool:
        """Whether this very run has finished before; its tables can be read at once."""
        return self.record.status == "done"

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        lock = (self.path / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise RunError("another process is working on this run", str(self.path), "wait for it") from None
        self._lock = lock
        found = self._found()
        if found is not None and found.status == "done" and self._intact(found):
            self.record = found
        else:
            self._write(self.record)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None and not self.done:
            self._write(self.record.model_copy(update={"status": "failed", "ended": datetime.now(UTC)}))
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def part(self, name: str) -> Path:
        """Path of a part of the run's work (``parts/<name>.parquet``); it exists only when it is whole."""
        return self.path / "parts" / f"{name}.parquet"

    def has_part(self, name: str) -> bool:
        """Whether a part was finished, by this process or by one that was killed since."""
        return self.part(name).exists()

    def write_part(self, name: str, frame: pl.DataFrame) -> None:
        """Writes a part whole or not at all."""
        write_table(self.part(name), frame)

    def read_part(self, name: str) -> pl.DataFrame:
        """Reads a finished part."""
        return pl.read_parquet(self.part(name))

    def write(self, name: str, frame: pl.DataFrame) -> Path:
        """Writes an output table ``<name>.parquet`` of the run."""
        return write_table(self.path / f"{name}.parquet", frame)

    def read(self, name: str) -> pl.DataFrame:
        """Reads an output table of the run."""
        return pl.read_parquet(self.path / f"{name}.parquet")

    def finish(self, *, metrics: Mapping[str, Any] | None = None, cost: Cost | None = None) -> Run:
        """Closes the run as done: records metrics, cost and a checksum of every output."""
        # Hidden files are locks, and what a write that was killed has left.
        outputs = {
            file.relative_to(self.path).as_posix(): sha256(file)
            for file in sorted(self.path.rglob("*"))
            if file.is_file()
            and file.name != "run.json"
            and not file.name.startswith(".")
            and "parts" not in file.relative_to(self.path).parts
        }
        self._write(
            self.record.model_copy(
                update={
                    "status": "done",
                    "ended": datetime.now(UTC),
                    "metrics": dict(metrics or {}),
                    "cost": cost or Cost(),
                    "outputs": outputs,
                }
            )
        )
        return self.record

    def _found(self) -> Run | None:
        """The record of an earlier run; a damaged one counts as none, so that the work is done again."""
        with suppress(RunError):
            return read_run(self.path)
        return None

    def _intact(self, record: Run) -> bool:
        return all(
            (self.path / name).is_file() and sha256(self.path / name) == digest
            for name, digest in record.outputs.items()
        )

    def _write(self, record: Run) -> None:
        self.record = record
        with atomic(self.path / "run.json") as temporary:
            temporary.write_text(record.model_dump_json(indent=2) + "\n")


def open_run(
    stage: str,
    name: str,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, Path] | Sequence[Path] = (),
    seed: int = 0,
    root: Path | str | None = None,
) -> RunFolder:
    """Names the run's folder by its content and returns it unopened; ``with`` opens it.

    Args:
        stage: The stage, which is also the folder above.
        name: A word for people; the hash makes it unique.
        config: Everything that can change the result, JSON-serialisable.
        inputs: Files that the run reads, hashed by content. Give a mapping to name them in the record;
            the path itself never enters the hash, so the same file elsewhere is the same run.
        seed: Random seed.
        root: Folder of runs, see `root_folder`.

    Raises:
        DataError: an input cannot be read.
    """
    named = dict(inputs) if isinstance(inputs, Mapping) else {path.name: path for path in inputs}
    digests = {key: sha256(path) for key, path in named.items()}
    code, packages = code_hash(), package_versions()
    content = json.dumps(
        {"config": config, "inputs": digests, "code": code, "packages": packages, "seed": seed, "stage": stage},
        sort_keys=True,
    )
    key = hashlib.sha256(content.encode()).hexdigest()[:12]
    run = Run(
        id=f"{stage}/{name}-{key}",
        stage=stage,
        name=name,
        config=json.loads(json.dumps(config)),
        inputs=digests,
        code=code,
        packages=packages,
        seed=seed,
        started=datetime.now(UTC),
    )
    return RunFolder(root_folder(root) / stage / f"{name}-{key}", run)


def read_run(folder: Path) -> Run:
    """Reads a run's record.

    Raises:
        RunError: the folder holds no readable record.
    """
    try:
        return Run.model_validate_json((folder / "run.json").read_text())
    except (OSError, ValueError, DataError) as error:
        first = str(error).splitlines()[0]
        raise RunError(f"no readable run.json: {first}", str(folder), "homespun runs ls") from None
