"""Where do the two grading modes differ from the reference table of the recorded answers, and why?

Hypothesis, before running: `paper` equals the table on every cell of StrategyQA, Date, Sports and SayCan; on GSM8K and
SVAMP the table can't come from the released rule (`int()`, `abs()`), because a program's 7.5 would count as 7. `strict`
lies within one point of the table everywhere; what differs is an answer that states no number, or one whose sign or
separator the table's rule misreads.

    python experiments/0001_grading_differences.py            writes docs/papers/grading.md
    python experiments/0001_grading_differences.py --check    fails when that page is not what this script writes
"""

import re
import sys
from pathlib import Path

import polars as pl

from homespun.data import path
from homespun.records import Problem
from homespun.tasks import grader_for, task
from homespun.tasks.base import Mode

PAGE = Path(__file__).resolve().parents[1] / "docs" / "papers" / "grading.md"
DATASETS = ("gsm8k", "svamp", "strategyqa", "date", "sports", "saycan")
NUMERIC = ("gsm8k", "svamp")
CELL = ("dataset", "model", "strategy")
ROW = ("dataset", "id", "answer")
LAST_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
RELEASED = re.compile(r"-?[0-9.,]+")
Golds = dict[tuple[str, str], Problem]


def reference_table() -> pl.DataFrame:
    """The accuracy table of SOURCE.md: dataset, model, strategy, reference (%)."""
    rows: list[tuple[str, str, str, float]] = []
    for line in path("recorded/SOURCE.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == 8 and cells[0] not in ("model", "---"):
            rows += [(d, cells[0], cells[1], float(v)) for d, v in zip(DATASETS, cells[2:], strict=True) if v != "–"]
    return pl.DataFrame(rows, schema=[*CELL, "reference"], orient="row")


def table_rule(answer: str, gold: str) -> float:
    """The rule that gives the table's numeric cells: last number, commas dropped, within 1e-4 of the gold answer."""
    found = LAST_NUMBER.findall(answer) if "[invalid]" not in answer else []
    return float(bool(found) and abs(float(found[-1].replace(",", "")) - float(gold)) < 1e-4)


def graded() -> pl.DataFrame:
    """Every recorded row with value and reading of each mode, and the value by the rule of the table."""
    rows = pl.read_parquet(path("recorded/greedy.parquet"), columns=[*CELL, "id", "answer"])
    distinct = rows.select(ROW).unique(maintain_order=True)
    golds = {(d, problem.id): problem for d in DATASETS for problem in task(d).load("recorded")}
    distinct = pl.concat(
        [distinct, *(_graded(distinct, golds, mode) for mode in ("paper", "strict"))], how="horizontal"
    )
    exact = {key: grader_for(key[0]).gold(problem) for key, problem in golds.items() if key[0] in NUMERIC}
    rule = [table_rule(a, exact[d, i]) if d in NUMERIC else None for d, i, a in distinct.select(ROW).rows()]
    distinct = distinct.with_columns(rule=pl.coalesce(pl.Series(rule, dtype=pl.Float64), "paper"))
    return rows.join(distinct, on=ROW, how="left", maintain_order="left")


def _graded(distinct: pl.DataFrame, golds: Golds, mode: Mode) -> pl.DataFrame:
    graders = {dataset: grader_for(dataset, mode) for dataset in DATASETS}
    gold = {key: graders[key[0]].gold(problem) for key, problem in golds.items()}
    found = [graders[d].check(answer, gold[d, i]) for d, i, answer in distinct.rows()]
    return pl.DataFrame(
        found, schema={mode: pl.Float64, f"{mode}_answer": pl.String, f"{mode}_why": pl.String}, orient="row"
    )


def cells(rows: pl.DataFrame) -> pl.DataFrame:
    """Accuracy (%) of each cell by table, rule and mode, and how many rows each mode wins and loses."""
    counts = [
        ((pl.col(mode) > pl.col("rule")) if sign == "won" else (pl.col(mode) < pl.col("rule")))
        .sum()
        .alias(f"{mode}_{sign}")
        for mode in ("paper", "strict")
        for sign in ("won", "lost")
    ]
    means = [pl.col("rule", "paper", "strict").mean() * 100]
    table = rows.group_by(CELL, maintain_order=True).agg(pl.len().alias("rows"), *means, *counts)
    return table.join(reference_table(), on=CELL, how="left", maintain_order="left")


def paper_cause(answer: str) -> str:
    """Why the released rule reads another number than the table's rule."""
    run = (RELEASED.findall(answer.split("\n")[-1]) or [""])[-1].replace(",", "")
    try:
        value = float(run)
    except ValueError:
        return "no number in the last run of digits, dots and commas"
    return "sign dropped" if value < 0 and value.is_integer() else "fraction cut off"


def _shown(text: str, size: int = 70) -> str:
    line = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return f"…{line[-size:]}" if len(line) > size else line


def _examples(ids: list[str]) -> str:
    return ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")


def page(rows: pl.DataFrame) -> str:
    """The whole page, as Markdown."""
    table = cells(rows)
    lines = [HEAD.strip(), ""]
    known = table.filter(pl.col("reference").is_not_null())
    for mode in ("rule", "paper", "strict"):
        gap = (known[mode] - known["reference"]).abs()
        same = known.filter((pl.col(mode) - pl.col("reference")).abs() < 0.0501).height
        lines.append(
            f"- `{mode}`: {same} of {known.height} cells equal the table (to its rounding); the widest gap is "
            f"{gap.max():.2f} points, {known.filter((pl.col(mode) - pl.col('reference')).abs() > 1).height} cells lie "
            "more than one point away."
        )
    lines += ["", *_cell_table(known), "", *_strict_rows(rows), "", *_paper_rows(rows), "", *_plans(table)]
    return "\n".join(lines) + "\n"


def _cell_table(known: pl.DataFrame) -> list[str]:
    lines = [
        "## Cells that differ",
        "",
        "Accuracy in %; `+` rows that a mode counts as right and the table's rule doesn't, `−` the reverse.",
        "",
        "| data set | model | strategy | rows | table | paper | + | − | strict | + | − |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    counted = ("paper_won", "paper_lost", "strict_won", "strict_lost")
    for row in known.filter(pl.any_horizontal(pl.col(counted) > 0)).iter_rows(named=True):
        lines.append(
            f"| {row['dataset']} | {row['model']} | {row['strategy']} | {row['rows']} | {row['reference']:.1f} "
            f"| {row['paper']:.2f} | {row['paper_won']} | {row['paper_lost']} "
            f"| {row['strict']:.2f} | {row['strict_won']} | {row['strict_lost']} |"
        )
    return lines


def _strict_rows(rows: pl.DataFrame) -> list[str]:
    differing = rows.filter((pl.col("strict") != pl.col("rule")) & (pl.col("dataset") != "saycan"))
    lines = [
        "## Strict, row by row",
        "",
        f"All {differing.height} rows on which `strict` and the table's rule disagree.",
        "",
        "| data set | id | model | strategy | recorded answer | table | strict | what strict says |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in differing.sort("dataset", "id", "model", "strategy").iter_rows(named=True):
        says = f"reads {row['strict_answer']}" if row["strict_answer"] is not None else row["strict_why"].split(": ")[0]
        lines.append(
            f"| {row['dataset']} | {row['id']} | {row['model']} | {row['strategy']} | {_shown(row['answer'])} "
            f"| {row['rule']:.0f} | {row['strict']:.0f} | {_shown(says)} |"
        )
    return lines


def _paper_rows(rows: pl.DataFrame) -> list[str]:
    differing = rows.filter((pl.col("paper") != pl.col("rule")) & pl.col("dataset").is_in(NUMERIC))
    differing = differing.with_columns(cause=pl.col("answer").map_elements(paper_cause, pl.String))
    lines = [
        "## Paper, by cause",
        "",
        f"All {differing.height} rows of GSM8K and SVAMP on which `paper` and the table's rule disagree.",
        "",
        "| data set | model | strategy | cause | counted right by | rows | ids |",
        "|---|---|---|---|---|---|---|",
    ]
    groups = differing.group_by(*CELL, "cause", "paper", maintain_order=True).agg("id")
    for row in groups.iter_rows(named=True):
        who = "paper" if row["paper"] else "the table"
        lines.append(
            f"| {row['dataset']} | {row['model']} | {row['strategy']} | {row['cause']} | {who} | {len(row['id'])} "
            f"| {', '.join(row['id'])} |"
        )
    return lines


def _plans(table: pl.DataFrame) -> list[str]:
    lines = [
        "## SayCan under text strategies",
        "",
        "The table leaves these cells open. `strict` compares the actions in order with every accepted plan.",
        "",
        "| model | strategy | plans | paper | strict | right only by paper | right only by strict |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.filter((pl.col("dataset") == "saycan") & pl.col("reference").is_null()).iter_rows(named=True):
        lines.append(
            f"| {row['model']} | {row['strategy']} | {row['rows']} | {row['paper']:.1f} | {row['strict']:.1f} "
            f"| {row['strict_lost']} | {row['strict_won']} |"
        )
    return lines


HEAD = """
# Grading: two modes, one table, and every difference

This page is written by `python experiments/0001_grading_differences.py`; no number on it was typed. It grades the
column `answer` of `recorded/greedy.parquet` (what the source's own extractor or solver read; 135,485 rows) and
compares the accuracies with the reference table of `recorded/SOURCE.md`.

## What the modes read

`strict`, the default, grades what the answer says, in the form that was asked for:

- numeric: the last number stated, with sign, fraction, percent, currency, separators and powers of ten; right within
  1e-4, whole numbers exactly. Expressions, ranges, tuples and clock times state none.
- boolean: the first word, one of yes, no, true, false, 1 and 0.
- date: the first valid MM/DD/YYYY, or YYYY-MM-DD as a program's date prints.
- choice: the one option named. Relation: the one kinship word named.
- plan: the actions in order, `find(initial)` dropped, ending in `done()`, equal to any accepted plan.

`paper` reproduces the released code, Calibrating-LLMs-with-Consistency at 94d9229e (`extract_pred_answer`,
`is_correct`) and Faithful-COT at 30178431 (`_execute`), both MIT, with its faults:

- numeric: last run of digits, dots and commas, then `int()` and `abs()`. So 7.5 counts as 7 and −5 as 5, the expression
  `x - 6` as 6, and a text that ends in a lone dot or comma is unreadable.
- boolean: the first word exactly, for Sports in lower case only. So "yes," with its comma is unreadable.
- date: the text without white space, dots and `#`. So a word behind the date makes it another date, and 02/31/2021 is
  an answer.
- choice and relation: the text, stripped. So a word behind the letter makes it another option.
- plan: steps split at ", " and line ends, renumbered. A step without "N. " makes `is_correct` return a non-empty
  string,
  which counts as right: a refusal in plain words is a right plan.

`paper` differs from the release in one point: the gold answer goes through the numeric rule too. The release compares
an absolute value with a signed gold answer, so that the two negative ones of GSM8K's test split (−10 and −3) can never
be right there.

A fault of the source data: SayCan's lists of accepted plans hold some that break off in the middle ("12. put",
"pick("); strict accepts none of those.

## The table is not the released rule

The table's GSM8K and SVAMP cells follow neither release: "last number, commas dropped, within 1e-4 of the gold answer"
gives all of them to their rounding (the column `rule` of the script), while `int()` and `abs()` count more rows as
right. So `paper`, which keeps the release's faults, lies above the table there; elsewhere the two are equal.
"""


def main() -> int:
    """Writes or checks the page."""
    text = page(graded())
    if "--check" in sys.argv[1:]:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        print("the page is what this script writes" if same else f"{PAGE.name} is out of date: run this script")
        return 0 if same else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
