"""`homespun grade`: completions in, accuracy per model, strategy and data set out."""

from pathlib import Path
from typing import Any, Literal

from homespun.cli.output import Dry, Json, Runs, progress, show_json, show_plan, show_rows

COLUMNS = {
    "dataset": "",
    "model": "",
    "strategy": "",
    "n": ",d",
    "accuracy": ".1%",
    "no_answer": ",d",
    "ungraded": ",d",
}


def grade(
    *,
    problems: Path,
    completions: Path,
    out: Path | None = None,
    grader: str | None = None,
    mode: Literal["strict", "paper"] = "strict",
    runs: Runs = None,
    dry: Dry = False,
    as_json: Json = False,
) -> None:
    """Grade completions against gold answers; programs run in the sandbox.

    The same command again returns at once, or goes on where it stopped.

    Args:
        problems: Table with columns dataset, id, question, gold, and optionally extra.
        completions: Table with columns dataset, id, model, strategy, completion, and optionally answer,
            variant, sample.
        out: Where to write one row per completion (answer, value, reason): .parquet, .csv or .jsonl.
        grader: numeric, boolean, date, choice, relation or plan, for data sets that homespun does not know.
        mode: strict reads what the answer says; paper reproduces the released code, faults included.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        dry: Only say what would be done.
        as_json: Print one JSON object.
    """
    from homespun.evals import grade as stage

    if dry:
        show_plan(
            {"mode": mode, "grader": grader, "out": out and str(out)},
            {"problems": problems, "completions": completions},
        )
        return
    with progress("grading") as advance:
        result = stage.grade(problems, completions, mode=mode, grader=grader, out=out, root=runs, progress=advance)
    show_grades(result.rows, str(result.folder), as_json=as_json)


def show_grades(rows: list[dict[str, Any]], run: str, *, as_json: bool) -> None:
    """Prints the summary of a grading run."""
    if as_json:
        show_json({"rows": rows, "run": run})
        return
    columns = (
        COLUMNS if any(row.get("ungraded") for row in rows) else {k: v for k, v in COLUMNS.items() if k != "ungraded"}
    )
    show_rows(rows, columns)
    print(f"\nrun: {run}")
