"""Grades recorded completions: parse each, run the programs in the sandbox, compare with gold, count.

A completion without a readable answer is wrong and counts in `no_answer`. A row that could not be judged at all (the
sandbox broke, the program is in a language that isn't run here and nobody recorded its answer, there is no completion)
has ``value = None``; it is left out of accuracy and counts in `ungraded`. Rows are graded in shards; each finished
shard is a part of the run, so that a run that was killed goes on, and ends with the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from homespun.errors import DataError, GradeError
from homespun.records import Execution, Problem, Run
from homespun.runs.run import RunFolder, open_run
from homespun.runs.tables import Kind, read_table, write_table
from homespun.sandbox import Pool, Program
from homespun.strategies import Parsed, names, strategy
from homespun.tasks import Mode, TextGrader, grader_for, problems_from_table
from homespun.tasks import grader as grader_named

SHARD = 4000
"""Rows per part."""
KEYS = ("dataset", "id", "model", "strategy")
APART = ("variant", "sample")
"""Optional columns that tell several completions of one problem apart."""
SCHEMA = {"answer": pl.String, "value": pl.Float64, "reason": pl.String, "executed": pl.Boolean}

Progress = Callable[[int, int], None]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class GradeResult:
    """What `grade` found."""

    rows: list[dict[str, Any]]
    """One row per data set, model and strategy, sorted: n, accuracy (a fraction), no_answer, ungraded."""
    verdicts: pl.DataFrame
    """One row per completion, in input order: its keys, answer, value, reason, executed."""
    run: Run
    folder: Path


class _Judged(NamedTuple):
    answer: str | None
    value: float | None
    reason: str
    executed: bool


def grade(
    problems: Path | str,
    completions: Path | str,
    *,
    mode: Mode = "strict",
    grader: str | None = None,
    out: Path | str | None = None,
    root: Path | str | None = None,
    progress: Progress | None = None,
    pool: Pool | None = None,
) -> GradeResult:
    """Grades a table of completions against a table of problems.

    Args:
        problems: Table with dataset, id, question, gold and, if there, extra.
        completions: Table with dataset, id, model, strategy, completion and, if there, answer (recorded by somebody
            else; used only for programs that are not run here), variant, sample.
        mode: ``strict``, or ``paper`` for the released extraction and comparison, faults included.
        grader: Grader to use for all data sets instead of their own; needed for data sets that are unknown here.
        out: Where to write the verdicts as well (.parquet, .csv or .jsonl).
        root: Folder of runs.
        progress: Called with (rows done, rows in all).
        pool: Sandbox for the programs; default: one worker per core, started only if there are programs.

    Raises:
        DataError: a table is damaged, a completion's problem or strategy is unknown, or a row is there twice.
        ConfigError: a data set has no grader of its own and none was named.
        GradeError: no gold answer of a data set can be read by its grader.
        SandboxError: there are programs, and no sandbox can be had.
    """
    table = _read_completions(Path(completions))
    desk = _Desk.open(problems, table, mode, grader, Path(completions))
    run = open_run(
        "grade",
        Path(completions).stem,
        config={"mode": mode, "grader": grader, "shard": SHARD},
        inputs={"problems": Path(problems), "completions": Path(completions)},
        root=root,
    )
    with run:
        if not run.done:
            _grade_all(run, table, desk, pool, progress)
        verdicts, summary = run.read("verdicts"), run.read("summary")
    if progress is not None:
        progress(table.height, table.height)
    if out is not None:
        write_table(Path(out), verdicts)
    return GradeResult(rows=summary.to_dicts(), verdicts=verdicts, run=run.record, folder=run.path)


def summarise(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Counts verdicts per data set, model and strategy.

    Args:
        verdicts: Columns dataset, model, strategy, answer, value.

    Returns:
        Sorted rows: n (graded), accuracy (fraction of n), no_answer (of n), ungraded (left out of n).
    """
    graded = pl.col("value").is_not_null()
    return (
        verdicts.group_by("dataset", "model", "strategy")
        .agg(
            n=graded.sum().cast(pl.Int64),
            accuracy=pl.col("value").mean(),
            no_answer=(graded & pl.col("answer").is_null()).sum().cast(pl.Int64),
            ungraded=(~graded).sum().cast(pl.Int64),
        )
        .sort("dataset", "model", "strategy")
    )


def _grade_all(
    run: RunFolder, table: pl.DataFrame, desk: "_Desk", pool: Pool | None, progress: Progress | None
) -> None:
    own = pool is None
    pool = Pool() if pool is None else pool
    try:
        for start, name in _shards(table.height):
            if not run.has_part(name):
                run.write_part(name, _grade_shard(table.slice(start, SHARD), start, table.height, desk, pool, progress))
            if progress is not None:
                progress(min(start + SHARD, table.height), table.height)
    finally:
        if own:
            pool.close()
    verdicts = pl.concat([run.read_part(name) for _, name in _shards(table.height)]).rechunk()
    summary = summarise(verdicts)
    run.write("verdicts", verdicts)
    run.write("summary", summary)
    graded = verdicts["value"].drop_nulls()
    accuracy = graded.mean() if graded.len() else None
    run.finish(metrics={"rows": verdicts.height, "graded": graded.len(), "accuracy": accuracy})


def _shards(height: int) -> Iterator[tuple[int, str]]:
    for start in range(0, height, SHARD):
        yield start, f"{start:09d}"


def _grade_shard(
    shard: pl.DataFrame, start: int, total: int, desk: "_Desk", pool: Pool, progress: Progress | None
) -> pl.DataFrame:
    rows = list(shard.iter_rows(named=True))
    parsed = [desk.parse(row) for row in rows]
    programs = {
        number: Program(id=str(number), source=item.program, prelude=item.prelude)
        for number, item in enumerate(parsed)
        if item is not None and item.program is not None and item.language == "python"
    }

    def tell(done: int, of: int) -> None:
        if progress is not None:
            progress(start + len(rows) * done // of, total)

    executions = desk.execute(programs, pool, tell)
    judged = [
        desk.judge(row, item, executions.get(number))
        for number, (row, item) in enumerate(zip(rows, parsed, strict=True))
    ]
    keys = [name for name in (*KEYS, *APART) if name in shard.columns]
    found = pl.DataFrame([item._asdict() for item in judged], schema=SCHEMA)
    return shard.select(keys).hstack(found)


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """All that is needed to judge a row, read once: graders, canonical gold answers, programs that have been run."""

    mode: Mode
    graders: Mapping[str, TextGrader]
    golds: Mapping[tuple[str, str], tuple[str | None, str]]
    seen: dict[tuple[str, str], Execution] = field(default_factory=dict)

    @classmethod
    def open(
        cls, problems: Path | str, table: pl.DataFrame, mode: Mode, grader: str | None, completions: Path
    ) -> "_Desk":
        known = {(item.task, item.id): item for item in problems_from_table(problems)}
        _check_rows(table, known, completions)
        datasets = table["dataset"].unique().sort().to_list()
        graders = {name: grader_named(grader, mode) if grader else grader_for(name, mode) for name in datasets}
        wanted = set(table.select("dataset", "id").unique().iter_rows())
        golds = {key: _gold(graders[key[0]], known[key]) for key in wanted}
        for name in datasets:
            own = [golds[key] for key in sorted(golds) if key[0] == name]
            if all(answer is None for answer, _ in own):
                what = f"no gold answer of data set {name!r} can be read: {own[0][1]}"
                raise GradeError(what, str(problems), "--grader with another grader")
        return cls(mode=mode, graders=graders, golds=golds)

    def parse(self, row: Row) -> Parsed | None:
        """What the row's strategy reads from its completion; None where there is none."""
        if row["completion"] is None:
            return None
        return strategy(row["strategy"]).parse(row["completion"], row["dataset"], self.mode, row["model"])

    def execute(self, programs: dict[int, Program], pool: Pool, progress: Progress) -> dict[int, Execution]:
        """Runs the programs that were not run before, by text."""
        fresh = {(item.prelude, item.source): item for item in programs.values()}
        fresh = {key: item for key, item in fresh.items() if key not in self.seen}
        if fresh:
            self.seen.update(zip(fresh, pool.run_many(list(fresh.values()), progress), strict=True))
        return {number: self.seen[item.prelude, item.source] for number, item in programs.items()}

    def judge(self, row: Row, parsed: Parsed | None, execution: Execution | None) -> _Judged:
        """The verdict on one row."""
        gold, why = self.golds[row["dataset"], row["id"]]
        if gold is None:
            return _Judged(None, None, f"ungraded: {why}", False)
        if parsed is None:
            return _Judged(None, None, "ungraded: no completion", False)
        check = self.graders[row["dataset"]].check
        if execution is not None:
            return _judge_execution(execution, lambda text: check(text, gold))
        if parsed.program is not None:
            return _judge_recorded(row.get("answer"), str(parsed.language), lambda text: check(text, gold))
        if parsed.text is None:
            return _Judged(None, 0.0, parsed.reason, False)
        value, answer, reason = check(parsed.text, gold)
        return _Judged(answer, value, f"{parsed.reason}: {reason}", False)


def _judge_execution(execution: Execution, check: Callable[[str], tuple[float, str | None, str]]) -> _Judged:
    if execution.status == "unavailable":
        return _Judged(None, None, f"ungraded: {execution.stderr}", False)
    if execution.status != "ok":
        lines = execution.stderr.splitlines()
        return _Judged(None, 0.0, f"the program {execution.status}: {lines[-1] if lines else ''}", True)
    if execution.value is None:
        return _Judged(None, 0.0, "the program left no answer", True)
    value, answer, reason = check(execution.value)
    return _Judged(answer, value, f"the program ran: {reason}", True)


def _judge_recorded(
    recorded: str | None, language: str, check: Callable[[str], tuple[float, str | None, str]]
) -> _Judged:
    if recorded is None:
        return _Judged(None, None, f"ungraded: {language} is not executed, and no answer is recorded", False)
    value, answer, reason = check(recorded)
    return _Judged(answer, value, f"graded from the recorded answer: {language} is not executed: {reason}", False)


def _gold(grader: TextGrader, problem: Problem) -> tuple[str | None, str]:
    try:
        return grader.gold(problem), ""
    except GradeError as error:
        return None, str(error)


def _read_completions(path: Path) -> pl.DataFrame:
    optional: dict[str, Kind] = {"completion": "text", "answer": "text", "variant": "text", "sample": "text"}
    required: dict[str, Kind] = {"dataset": "text", "id": "text", "model": "text", "strategy": "text"}
    table = read_table(path, required, optional)
    if "completion" not in table.columns:
        raise DataError("missing column 'completion'", str(path), f"columns there: {', '.join(table.columns)}")
    return table


def _check_rows(table: pl.DataFrame, known: Mapping[tuple[str, str], Problem], path: Path) -> None:
    for number, key in enumerate(table.select("dataset", "id").iter_rows()):
        if key not in known:
            what = f"row {number} answers problem {key[1]!r} of {key[0]!r}, which is not among the problems"
            raise DataError(what, str(path), "the problems that these completions belong to")
    for number, name in enumerate(table["strategy"]):
        if name not in names():
            raise DataError(f"row {number} has strategy {name!r}", str(path), f"one of {', '.join(names())}")
    keys = [name for name in (*KEYS, *APART) if name in table.columns]
    twice = table.select(again=pl.struct(keys).is_duplicated() & ~pl.struct(keys).is_first_distinct())["again"]
    if twice.any():
        number = int(twice.arg_max() or 0)
        row = ", ".join(str(value) for value in table.row(number)[: len(KEYS)])
        raise DataError(
            f"row {number} ({row}) is there twice", str(path), "a column variant or sample to tell them apart"
        )
