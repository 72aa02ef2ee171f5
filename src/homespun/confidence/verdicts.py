"""Who voted what, and was it right: samples joined with the verdicts on them, or graded here by their answers.

A sample that was judged wrong because nothing could be read from it is an abstention (answer null, value 0). A sample
that could not be judged at all (answer and value null) says nothing and is left out of the votes; it is counted.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import polars as pl

from homespun.confidence.consistency import INVALID, Mode
from homespun.errors import ConfigError, DataError, GradeError
from homespun.runs.tables import Kind, read_table

KEYS = ("dataset", "id", "model")
APART = ("strategy", "variant", "sample")
"""Columns that tell the samples of one problem and model apart."""


def read_votes(
    samples: Path,
    *,
    verdicts: Path | None = None,
    problems: Path | None = None,
    by: Sequence[str] = (),
    mode: Mode = "strict",
    grader: str | None = None,
) -> pl.DataFrame:
    """One row per sample: dataset, id, model, the by-columns, answer (null: unreadable), value (null: unknown).

    Args:
        samples: Table with dataset, id, model and, to tell samples apart, strategy, variant or sample.
        verdicts: Table of verdicts on these samples, with value and, unless the samples have it, answer.
        problems: Without verdicts: gold answers, by which the samples' ``answer`` column is graded.
        by: Further columns to keep, from the samples or from the verdicts.
        mode: How answers are graded, without verdicts.
        grader: Grader for data sets without one, without verdicts.

    Raises:
        ConfigError: neither verdicts nor problems.
        DataError: a table is wrong, or the two don't belong together.
    """
    needed: dict[str, Kind] = {"dataset": "text", "id": "text", "model": "text"}
    extra: dict[str, Kind] = {"strategy": "text", "variant": "text", "sample": "text", "answer": "text"}
    for name in by:
        if name not in needed:
            extra.setdefault(name, "any")
    table = read_table(samples, needed, extra)
    if verdicts is not None:
        judged = read_table(verdicts, needed, {**extra, "value": "fraction"})
        if "value" not in judged.columns:
            raise DataError("missing column 'value'", str(verdicts), f"columns there: {', '.join(judged.columns)}")
        table = _joined(table, judged, samples, verdicts)
    elif problems is not None:
        table = _graded(table, samples, problems, mode, grader)
    else:
        raise ConfigError("no verdicts and no problems", "calibrate", "the table that grading wrote")
    if missing := [name for name in ("answer", *by) if name not in table.columns]:
        there = ", ".join(table.columns)
        raise DataError(f"missing column {', '.join(map(repr, missing))}", str(samples), f"columns there: {there}")
    text = pl.col("answer")
    readable = text.is_not_null() & ~text.str.strip_chars().is_in(["", INVALID])
    keep = dict.fromkeys((*KEYS, *by))
    return table.select(*keep, answer=pl.when(readable).then(text), value=pl.col("value").cast(pl.Float64))


def _joined(table: pl.DataFrame, judged: pl.DataFrame, samples: Path, verdicts: Path) -> pl.DataFrame:
    shared = [name for name in (*KEYS, *APART) if name in table.columns and name in judged.columns]
    if "answer" in judged.columns:
        table = table.drop("answer", strict=False)
    new = judged.select(name for name in judged.columns if name not in table.columns)
    if all(frame.select(pl.struct(shared).is_unique().all()).item() for frame in (table, judged)):
        if table.join(judged, on=shared, how="semi", nulls_equal=True).height == 0:
            raise DataError("no verdict belongs to a sample", str(verdicts), f"the verdicts on {samples}")
        return table.join(judged.select(*shared, *new.columns), on=shared, how="left", nulls_equal=True)
    if table.select(shared).equals(judged.select(shared)):
        return table.hstack(new)
    names = ", ".join(shared)
    raise DataError(f"several rows are alike in {names}", str(verdicts), "a column variant or sample in both tables")


def _graded(table: pl.DataFrame, samples: Path, problems: Path, mode: Mode, grader: str | None) -> pl.DataFrame:
    from homespun.tasks import grader as grader_named
    from homespun.tasks import grader_for, problems_from_table

    if "answer" not in table.columns:
        raise DataError("missing column 'answer'", str(samples), "verdicts: completions are graded before")
    golds = {(item.task, item.id): item for item in problems_from_table(problems)}

    @cache
    def judge(dataset: str, identity: str, answer: str | None) -> tuple[str | None, float | None]:
        if (dataset, identity) not in golds:
            raise DataError(f"problem {identity!r} of {dataset!r} is not there", str(problems), f"those of {samples}")
        desk = grader_named(grader, mode) if grader else grader_for(dataset, mode)
        try:
            gold = desk.gold(golds[dataset, identity])
        except GradeError:
            return answer, None
        if answer is None:
            return None, 0.0
        value, read, _ = desk.check(answer, gold)
        return read, value

    judged = [judge(*row) for row in table.select("dataset", "id", "answer").iter_rows()]
    schema = {"answer": pl.String, "value": pl.Float64}
    return table.drop("answer").hstack(pl.DataFrame(judged, schema=schema, orient="row"))
