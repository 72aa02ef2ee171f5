"""Ask the runs: which there are, what one of them says, in what two differ. DuckDB reads the records where they lie."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from homespun.errors import DataError, RunError
from homespun.records import Run
from homespun.runs.run import read_run, root_folder

Row = dict[str, Any]

LISTING = """
select id, stage, name, status, strftime(record.started::timestamp, '%Y-%m-%d %H:%M:%S') as started,
       date_diff('millisecond', record.started::timestamp, ended::timestamp) / 1000.0 as seconds,
       cost.dollars as dollars, filename as place
from read_json($files, columns = {
       id: 'varchar', stage: 'varchar', name: 'varchar', status: 'varchar', started: 'varchar', ended: 'varchar',
       cost: 'struct(dollars double)'}, filename = true, maximum_object_size = 67108864) as record
order by record.started::timestamp desc, id
"""
NEEDED = ("id", "stage", "name", "status", "started", "dollars")


def records(root: Path | str | None = None) -> list[Path]:
    """The run.json of every run below the root, sorted."""
    return sorted(root_folder(root).glob("*/*/run.json"))


def ls(root: Path | str | None = None, *, stage: str | None = None) -> list[Row]:
    """One row per run, newest first: id, stage, name, status, started, seconds, dollars, folder.

    Raises:
        RunError: a record is damaged; the text names it.
    """
    files = [str(path) for path in records(root)]
    if not files:
        return []
    with duckdb.connect() as database:
        try:
            found = database.execute(LISTING, {"files": files})
            names = [column[0] for column in found.description or ()]
            rows = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
        except duckdb.Error:
            rows = []
    if len(rows) != len(files) or any(row[key] is None for row in rows for key in NEEDED):
        for path in files:
            read_run(Path(path).parent)  # raises for the one that is damaged
        raise RunError("the records cannot be read", str(root_folder(root)), "the same command again")
    wanted = [row for row in rows if stage in (None, row["stage"])]
    return [{"folder": str(Path(row.pop("place")).parent), **row} for row in wanted]


def find(key: str, root: Path | str | None = None) -> Path:
    """Folder of the one run whose id, name-hash, hash or path begins so.

    Raises:
        DataError: none does, or several do.
    """
    folders = [path.parent for path in records(root)]
    exact = [folder for folder in folders if key in (_id(folder), str(folder), folder.name)]
    found = exact or [folder for folder in folders if any(name.startswith(key) for name in _names(folder))]
    if len(found) == 1:
        return found[0]
    if not found:
        raise DataError(f"no run called {key!r}", str(root_folder(root)), "homespun runs ls")
    some = ", ".join(_id(folder) for folder in found[:4])
    raise DataError(f"{key!r} could be {len(found)} runs: {some}", str(root_folder(root)), "more letters")


def show(key: str, root: Path | str | None = None) -> Row:
    """The whole record of a run as JSON, with its folder.

    Raises:
        DataError: no such run, or several.
        RunError: the record is damaged.
    """
    folder = find(key, root)
    return read_run(folder).model_dump(mode="json") | {"folder": str(folder)}


def diff(left: str, right: str, root: Path | str | None = None) -> list[Row]:
    """In what two runs differ: one row per differing entry of configuration, inputs, code, packages, seed, metrics.

    Raises:
        DataError: no such run, or several.
        RunError: a record is damaged.
    """
    before, after = (dict(_flat(read_run(find(key, root)))) for key in (left, right))
    keys = sorted(before.keys() | after.keys())
    return [
        {"what": key, "left": before.get(key), "right": after.get(key)}
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _flat(run: Run) -> Iterator[tuple[str, str]]:
    compared = ("stage", "name", "config", "inputs", "code", "packages", "seed", "status", "metrics", "outputs")
    stack: list[tuple[str, Any]] = [(key, run.model_dump(mode="json")[key]) for key in reversed(compared)]
    while stack:
        key, value = stack.pop()
        if isinstance(value, dict) and value:
            stack.extend((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value if isinstance(value, str) else json.dumps(value)


def _id(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _names(folder: Path) -> tuple[str, ...]:
    return _id(folder), folder.name, folder.name.rsplit("-", 1)[-1]
