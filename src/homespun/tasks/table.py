"""Problems from tables: the recorded test problems that ship, and a user's own."""

import json
from functools import cache
from pathlib import Path

import polars as pl

from homespun.data import path
from homespun.errors import ConfigError, DataError
from homespun.records import JSON, Problem
from homespun.runs.tables import Kind, read_table

REQUIRED: dict[str, Kind] = {"dataset": "text", "id": "text", "question": "text", "gold": "text"}
OPTIONAL: dict[str, Kind] = {"extra": "text"}
RECORDED = "recorded/problems.parquet"


def problems_from_table(source: Path | str, split: str = "test") -> list[Problem]:
    """Reads problems from a table with the columns dataset, id, question, gold and, if there, extra (JSON).

    Args:
        source: A Parquet, CSV or JSONL file.
        split: What to call the split of these problems.

    Raises:
        DataError: the table is damaged, lacks a column, names a problem twice or has an ``extra`` that is no JSON.
    """
    frame = read_table(source, REQUIRED, OPTIONAL)
    twice = frame.select(pl.struct("dataset", "id").is_duplicated().alias("twice"))["twice"]
    if twice.any():
        row = int(twice.arg_max() or 0)
        what = f"row {row} repeats problem {frame['id'][row]!r} of {frame['dataset'][row]!r}"
        raise DataError(what, f"{source}, columns 'dataset' and 'id'", "one row per problem")
    if "extra" not in frame.columns:
        frame = frame.with_columns(extra=pl.lit(None, pl.String))
    return [
        Problem(
            id=row["id"],
            task=row["dataset"],
            question=row["question"],
            answer=row["gold"],
            split=split,
            extra=_extra(row["extra"], number, source),
        )
        for number, row in enumerate(frame.iter_rows(named=True))
    ]


def require_split(dataset: str, split: str, splits: tuple[str, ...]) -> None:
    """Refuses a split that a data set doesn't have.

    Raises:
        ConfigError: the split is none of ``splits``.
    """
    if split not in splits:
        raise ConfigError(f"data set {dataset!r} has no split {split!r}", "split", " or ".join(splits))


@cache
def _recorded() -> dict[str, list[Problem]]:
    found: dict[str, list[Problem]] = {}
    for problem in problems_from_table(path(RECORDED), split="recorded"):
        found.setdefault(problem.task, []).append(problem)
    return found


def recorded_problems(dataset: str, *, licence: str, source: str) -> list[Problem]:
    """The problems of a data set that the recorded answers belong to, under the ids of the recording.

    Args:
        dataset: One of the six recorded data sets.
        licence: Licence of the problems, written into each.
        source: Where they come from, written into each.
    """
    return [
        problem.model_copy(update={"licence": licence, "source": source}) for problem in _recorded().get(dataset, [])
    ]


def _extra(text: str | None, row: int, source: Path | str) -> JSON:
    if text is None or not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DataError(f"row {row} is not a JSON object", f"{source}, column 'extra'", "{} or no such column")
    return found
