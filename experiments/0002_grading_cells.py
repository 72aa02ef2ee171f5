"""Question: does our own parsing and execution reproduce the recorded answers, cell by cell?

Hypothesis: in every (model, strategy, data set) cell of the reference table in the notice of the recorded data,
accuracy from our parsing and execution is within 1.0 point, but where strict reading differs by design.

    python experiments/0002_grading_cells.py [strict|paper] [--rows]

prints the table of differences; with --rows also, as Markdown, which rows make the difference where it is larger.
"""

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path

import polars as pl

from homespun.data import path
from homespun.evals.grade import grade
from homespun.tasks import grader_for, problems_from_table

BAR = 1.0
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")


def reference() -> dict[tuple[str, str, str], float]:
    """(dataset, model, strategy) to accuracy in per cent, from the table in SOURCE.md."""
    cells: dict[tuple[str, str, str], float] = {}
    header: list[str] = []
    for line in path("recorded/SOURCE.md").read_text().splitlines():
        fields = [part.strip() for part in line.strip().strip("|").split("|")]
        if fields[:2] == ["model", "strategy"]:
            header = fields
        elif header and len(fields) == len(header) and fields[2].replace(".", "").isdigit():
            for name, value in zip(header[2:], fields[2:], strict=True):
                if value.replace(".", "").isdigit():
                    cells[name, fields[0], fields[1]] = float(value)
    return cells


def recorded_right(row: dict[str, str], gold: str) -> bool:
    """Whether the recorded answer is right as the reference table counts it: last number, exact; else equality."""
    answer = row["recorded"]
    if row["dataset"] in ("gsm8k", "svamp"):
        found = NUMBER.findall(answer)
        return bool(found) and "[invalid]" not in answer and float(found[-1].replace(",", "")) == float(gold)
    if row["dataset"] == "date":
        return answer == gold
    value, _, _ = grader_for(row["dataset"]).check(answer, gold)
    return value == 1.0


def main() -> None:
    """Grades, compares, prints."""
    options = argparse.ArgumentParser()
    options.add_argument("mode", nargs="?", default="strict", choices=["strict", "paper"])
    options.add_argument("--rows", action="store_true")
    options.add_argument("--root", type=Path, default=None)
    chosen = options.parse_args()
    files = path("recorded/problems.parquet"), path("recorded/greedy.parquet")
    result = grade(
        *files, mode=chosen.mode, root=chosen.root, progress=lambda d, n: print(f"\r{d}/{n}", end="", file=sys.stderr)
    )
    found = {(row["dataset"], row["model"], row["strategy"]): row for row in result.rows}
    outside = []
    for cell, percent in sorted(reference().items()):
        row = found[cell]
        ours = None if row["accuracy"] is None else 100 * row["accuracy"]
        gap = None if ours is None else ours - percent
        flag = "" if gap is not None and abs(gap) <= BAR + 1e-9 else "  <-- outside"
        if flag:
            outside.append(cell)
        shown = "ungraded" if ours is None else f"{ours:6.1f} {gap:+5.1f}"
        print(f"{cell[0]:<11}{cell[1]:<17}{cell[2]:<9}{percent:6.1f} {shown} no answer {row['no_answer']:4d}{flag}")
    print(f"{len(outside)} of {len(reference())} cells outside {BAR} point, mode {chosen.mode}")
    if chosen.rows:
        list_rows(result.verdicts, outside)


def list_rows(verdicts: pl.DataFrame, cells: list[tuple[str, str, str]]) -> None:
    """Prints the rows whose verdict differs from the recorded answer's, by cell and reason."""
    recorded = pl.read_parquet(path("recorded/greedy.parquet"))["answer"].alias("recorded")
    golds = {}
    for problem in problems_from_table(path("recorded/problems.parquet")):
        golds[problem.task, problem.id] = grader_for(problem.task).gold(problem)
    groups: dict[tuple[str, str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in verdicts.hstack([recorded]).iter_rows(named=True):
        cell = (row["dataset"], row["model"], row["strategy"])
        if cell in cells:
            theirs = recorded_right(row, golds[row["dataset"], row["id"]])
            if theirs != bool(row["value"]):
                way = "right here, wrong in the record" if row["value"] else "wrong here, right in the record"
                why = "recorded [invalid]" if row["recorded"] == "[invalid]" else row["reason"].split(":")[0]
                groups[cell][f"{way} ({why})"].append(row["id"])
    for cell, reasons in groups.items():
        print(f"\n{' · '.join(cell)}")
        for why, ids in sorted(reasons.items()):
            print(f"- {why}: {', '.join(ids)}")


if __name__ == "__main__":
    main()
