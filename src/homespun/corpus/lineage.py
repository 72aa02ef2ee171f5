"""What was made from a run: every later run that read one of its files, and every run that read one of theirs.

A run's record says what it read, by content, and what it wrote, by content. So a file is known again wherever it was
copied to, and a folder too. A run that names another in its configuration counts as made from all of it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from homespun.records import Run
from homespun.runs.ledger import records
from homespun.runs.run import read_run

FOLDERS = ("documents", "excluded", "tokens")
"""Folders of a corpus that another run may read as a whole."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A run that was made from another."""

    run: str
    stage: str
    name: str
    status: str
    through: tuple[str, ...]
    """What it read: ``<run>/<file>``, of the run that was asked about or of one made from it."""
    outputs: tuple[str, ...]
    """What it wrote: checkpoints, models, tables."""


class Lineage:
    """All runs below a root, by what they read.

    Args:
        root: Folder of runs.

    Raises:
        RunError: a record is damaged.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.runs = {run.id: run for run in (read_run(path.parent) for path in records(root))}
        self._readers: dict[str, set[str]] = defaultdict(set)
        self._namers: dict[str, set[str]] = defaultdict(set)
        for run in self.runs.values():
            for name, digest in run.inputs.items():
                self._readers[digest].add(run.id)
                self._namers["/".join(name.split("/")[:2])].add(run.id)
            for word in _words(run.config):
                self._namers[word].add(run.id)

    def downstream(self, run_id: str, files: Iterable[str] | None = None, without: Iterable[str] = ()) -> list[Made]:
        """Runs made from a run, in the order of their beginning.

        Args:
            run_id: The run.
            files: Only from these of its outputs, or from folders that hold them; None: from any, or from the run.
            without: Runs that don't count, nor what was made from them alone.
        """
        if run_id not in self.runs:
            return []
        skipped = {run_id, *without}
        through: dict[str, set[str]] = defaultdict(set)
        waiting = [(self.runs[run_id], None if files is None else frozenset(files))]
        while waiting:
            for reader, file in self._made_from(*waiting.pop()):
                if reader in skipped:
                    continue
                if reader not in through:
                    waiting.append((self.runs[reader], None))
                through[reader].add(file)
        made = [_made(self.runs[name], found) for name, found in through.items()]
        return sorted(made, key=lambda item: (self.runs[item.run].started, item.run))

    def _made_from(self, run: Run, only: frozenset[str] | None) -> Iterable[tuple[str, str]]:
        """Runs that read a run's outputs, with what they read."""
        own = self._contents(run.id)
        folders = () if only is None else {name.split("/")[0] for name in only}
        for file in own if only is None else own.keys() & {*only, *folders}:
            yield from ((reader, f"{run.id}/{file}") for reader in self._readers.get(own[file], ()))
        for reader in self._namers.get(run.id, ()):
            # Who read files of the run is known better by these.
            if only is None or not self._read(reader, run.id):
                yield reader, run.id

    @cache  # noqa: B019 - lives as long as the question
    def _contents(self, run_id: str) -> Mapping[str, str]:
        return contents(self.runs[run_id])

    @cache  # noqa: B019
    def _read(self, reader: str, run_id: str) -> bool:
        return not set(self.runs[reader].inputs.values()).isdisjoint(self._contents(run_id).values())


def downstream(run_id: str, root: Path | str | None = None) -> list[Made]:
    """Runs made from a run; see `Lineage.downstream`."""
    return Lineage(root).downstream(run_id)


def contents(run: Run) -> Mapping[str, str]:
    """Checksums of a run's outputs, and of its folders as `runs.tables.sha256` makes them."""
    folders = {name: folder_sha256(run.outputs, name) for name in FOLDERS}
    return run.outputs | {name: digest for name, digest in folders.items() if digest}


def folder_sha256(outputs: Mapping[str, str], folder: str) -> str | None:
    """Checksum of a folder from those of its files; None if it has none."""
    inside = sorted(
        (PurePosixPath(name).relative_to(folder), digest)
        for name, digest in outputs.items()
        if name.startswith(f"{folder}/")
    )
    if not inside:
        return None
    digest = hashlib.sha256()
    for name, content in inside:
        digest.update(name.as_posix().encode() + b"\0" + content.encode())
    return digest.hexdigest()


def _made(run: Run, through: set[str]) -> Made:
    return Made(
        run=run.id,
        stage=run.stage,
        name=run.name,
        status=run.status,
        through=tuple(sorted(through)),
        outputs=tuple(sorted(run.outputs)),
    )


def _words(config: Any) -> Iterable[str]:
    """All texts of a configuration that could be a run's id."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if value.count("/") == 1:
                yield value
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
