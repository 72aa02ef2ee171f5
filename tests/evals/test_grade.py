"""The grade stage: counts, reasons, bad input, and a run that is killed and goes on."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.data import path
from homespun.errors import ConfigError, DataError, GradeError
from homespun.evals.grade import grade, summarise

PROBLEMS = [
    {"dataset": "gsm8k", "id": "1", "question": "2 + 3?", "gold": "#### 5"},
    {"dataset": "gsm8k", "id": "2", "question": "4 - 6?", "gold": "#### -2"},
    {"dataset": "sports", "id": "1", "question": "X", "gold": "1"},
    {"dataset": "saycan", "id": "1", "question": "Go.", "gold": '["1. find(table)\\n2. done().\\n"]'},
]


def row(dataset: str, number: str, strategy: str, completion: str | None, **more: str | None) -> dict[str, str | None]:
    return {"dataset": dataset, "id": number, "model": "m", "strategy": strategy, "completion": completion, **more}


COMPLETIONS = [
    row("gsm8k", "1", "cot", "So the answer is 5."),
    row("gsm8k", "2", "cot", "So the answer is 2."),
    row("gsm8k", "1", "pot", "answer = 2 + 3"),
    row("gsm8k", "2", "pot", "answer = 1 / 0"),
    row("gsm8k", "2", "fcot", None),
    row("gsm8k", "1", "ltm", "Q1. What?\nFour."),
    row("sports", "1", "cot", "So the answer is yes."),
    row("sports", "1", "pot", "Sorry."),
    row("saycan", "1", "pot", "(:goal (visited table))", answer="1. find(table)\n2. done().\n"),
    row("saycan", "1", "fcot", "(:goal (visited table))"),
]


def write(folder: Path, name: str, rows: list[dict[str, str | None]]) -> Path:
    target = folder / name
    target.write_text(
        "".join(json.dumps({"answer": None, **item} if "model" in item else item) + "\n" for item in rows)
    )
    return target


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write(tmp_path, "problems.jsonl", PROBLEMS)


def test_every_row_has_a_verdict_with_a_reason(tmp_path: Path, problems: Path) -> None:
    told: list[tuple[int, int]] = []
    result = grade(
        problems,
        write(tmp_path, "c.jsonl", COMPLETIONS),
        out=tmp_path / "v.csv",
        progress=lambda done, total: told.append((done, total)),
    )
    found = result.verdicts.select("strategy", "value", "answer", "executed").rows()
    assert found == [
        ("cot", 1.0, "5", False),
        ("cot", 0.0, "2", False),
        ("pot", 1.0, "5", True),
        ("pot", 0.0, None, True),
        ("fcot", None, None, False),
        ("ltm", 0.0, None, False),
        ("cot", 1.0, "true", False),
        ("pot", 0.0, None, False),
        ("pot", 1.0, "find(table); done()", False),
        ("fcot", None, None, False),
    ]
    reasons = result.verdicts["reason"].to_list()
    assert all(reasons)
    assert "ZeroDivisionError" in reasons[3]
    assert reasons[4] == "ungraded: no completion"
    assert reasons[8].startswith("graded from the recorded answer: pddl is not executed")
    assert reasons[9] == "ungraded: pddl is not executed, and no answer is recorded"
    assert result.rows[:4] == [
        {"dataset": "gsm8k", "model": "m", "strategy": "cot", "n": 2, "accuracy": 0.5, "no_answer": 0, "ungraded": 0},
        {"dataset": "gsm8k", "model": "m", "strategy": "fcot", "n": 0, "accuracy": None, "no_answer": 0, "ungraded": 1},
        {"dataset": "gsm8k", "model": "m", "strategy": "ltm", "n": 1, "accuracy": 0.0, "no_answer": 1, "ungraded": 0},
        {"dataset": "gsm8k", "model": "m", "strategy": "pot", "n": 2, "accuracy": 0.5, "no_answer": 1, "ungraded": 0},
    ]
    assert told[-1] == (10, 10)
    assert told == sorted(told)
    assert pl.read_csv(tmp_path / "v.csv").height == 10


def test_the_same_command_again_returns_the_finished_run(tmp_path: Path, problems: Path) -> None:
    completions = write(tmp_path, "c.jsonl", COMPLETIONS)
    first, again = grade(problems, completions), grade(problems, completions)
    assert first.run == again.run
    assert first.verdicts.equals(again.verdicts)
    assert grade(problems, completions, mode="paper").folder != first.folder


def test_a_named_grader_grades_what_was_never_heard_of(tmp_path: Path) -> None:
    problems = write(tmp_path, "p.jsonl", [{"dataset": "mine", "id": "1", "question": "?", "gold": "1,200"}])
    completions = write(tmp_path, "c.jsonl", [row("mine", "1", "standard", "The answer is $1200.00.")])
    assert grade(problems, completions, grader="numeric").rows[0]["accuracy"] == 1.0
    with pytest.raises(ConfigError, match="mine"):
        grade(problems, completions)
    with pytest.raises(GradeError, match="mine"):
        grade(problems, completions, grader="date")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("gsm8k", "9", "cot", "x")], "row 0 answers problem '9' of 'gsm8k'"),
        ([row("gsm8k", "1", "magic", "x")], "row 0 has strategy 'magic'"),
        ([row("gsm8k", "1", "cot", "x"), row("gsm8k", "1", "cot", "y")], r"row 1 \(gsm8k, 1, m, cot\) is there twice"),
        ([], "empty"),
        ([{"dataset": "gsm8k", "id": "1", "model": "m", "strategy": "cot"}], "missing column 'completion'"),
        ([{"dataset": "gsm8k", "id": "1", "completion": "x"}], "missing column 'model', 'strategy'"),
    ],
)
def test_bad_tables_are_one_line_and_leave_nothing(
    tmp_path: Path, problems: Path, runs_elsewhere: Path, rows: list[dict[str, str | None]], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        grade(problems, write(tmp_path, "c.jsonl", rows), out=tmp_path / "v.parquet")
    assert not (tmp_path / "v.parquet").exists()
    assert list(runs_elsewhere.rglob("*.parquet")) == []


def test_samples_are_told_apart_by_their_column(tmp_path: Path, problems: Path) -> None:
    rows = [row("gsm8k", "1", "cot", f"The answer is {n}.", sample=str(n)) for n in (4, 5, 5, 6)]
    with pytest.raises(DataError, match="twice"):
        grade(problems, write(tmp_path, "c.jsonl", rows))
    rows[2]["sample"] = "again"
    result = grade(problems, write(tmp_path, "c.jsonl", rows))
    assert result.verdicts["sample"].to_list() == ["4", "5", "again", "6"]
    assert result.rows[0]["accuracy"] == 0.5


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from([None, 0.0, 1.0]), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_law_counts_add_up_and_order_is_nothing(cells: list[tuple[str, str, float | None, bool]]) -> None:
    table = pl.DataFrame(
        {
            "dataset": [cell[0] for cell in cells],
            "model": [cell[1] for cell in cells],
            "strategy": ["cot"] * len(cells),
            "answer": [None if cell[3] else "1" for cell in cells],
            "value": [cell[2] for cell in cells],
        },
        schema_overrides={"value": pl.Float64, "answer": pl.String},
    )
    found = summarise(table)
    assert found.equals(summarise(table.reverse()))
    assert found["n"].sum() + found["ungraded"].sum() == len(cells)
    assert (found["no_answer"] <= found["n"]).all()
    right = sum((line["accuracy"] or 0) * line["n"] for line in found.to_dicts())
    assert right == pytest.approx(sum(cell[2] or 0 for cell in cells))


KILLED = """
import os, signal, sys
import homespun.evals.grade as module
module.SHARD = 25
def progress(done, total):
    if len(sys.argv) > 3 and done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
print(module.grade(sys.argv[1], sys.argv[2], progress=progress).folder)
"""


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    recorded = pl.read_parquet(path("recorded/greedy.parquet"))
    rows = recorded.filter(pl.col("strategy").is_in(["pot", "cot"]) & (pl.col("model") == "gpt-4")).gather_every(90)
    completions = tmp_path / "c.parquet"
    rows.write_parquet(completions)
    problems = path("recorded/problems.parquet")

    def run(root: str, *more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", KILLED, str(problems), str(completions), *more]
        return subprocess.run(
            line, env={**os.environ, "HOMESPUN_RUNS": str(tmp_path / root)}, capture_output=True, text=True
        )

    def digests(folder: Path) -> dict[str, str]:
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*.parquet"))}

    whole = run("whole")
    assert whole.returncode == 0, whole.stderr
    killed = run("killed", str(rows.height // 2))
    assert killed.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "killed" / "grade").iterdir()
    left = {file: file.stat().st_mtime_ns for file in (folder / "parts").glob("[0-9]*.parquet")}
    assert 0 < len(left) < rows.height // 25
    assert digests(folder) == {}
    assert run("killed").returncode == 0
    assert {file: file.stat().st_mtime_ns for file in left} == left
    assert digests(folder) == digests(Path(whole.stdout.strip()))
    assert set(digests(folder)) == {"summary.parquet", "verdicts.parquet"}
