"""The ledger tells what was run, and in what two runs differ; a damaged record is named, never skipped."""

from pathlib import Path

import polars as pl
import pytest

from homespun.errors import DataError, RunError
from homespun.records import Cost
from homespun.runs import ledger
from homespun.runs.run import open_run


def made(root: Path, stage: str, config: dict[str, object], score: float, **inputs: Path) -> str:
    with open_run(stage, "name", config=config, inputs=inputs, root=root) as run:
        run.write("table", pl.DataFrame({"score": [score]}))
        run.finish(metrics={"score": score, "deep": {"n": 3}}, cost=Cost(dollars=score))
    return run.record.id


def test_ls_is_empty_before_the_first_run(tmp_path: Path) -> None:
    assert ledger.ls(tmp_path / "nothing") == []


def test_ls_gives_newest_first_and_by_stage(tmp_path: Path) -> None:
    ids = [made(tmp_path, stage, {"a": 1}, 0.5) for stage in ("grade", "route", "demo")]
    rows = ledger.ls(tmp_path)
    assert [row["id"] for row in rows] == ids[::-1]
    assert {row["status"] for row in rows} == {"done"}
    assert set(rows[0]) == {"id", "stage", "name", "status", "started", "seconds", "dollars", "folder"}
    assert all(row["dollars"] == 0.5 and row["seconds"] >= 0 for row in rows)
    assert [Path(row["folder"]) for row in rows] == [tmp_path / key for key in ids[::-1]]
    assert [row["stage"] for row in ledger.ls(tmp_path, stage="route")] == ["route"]


def test_an_open_run_has_no_end_yet(tmp_path: Path) -> None:
    with open_run("stage", "name", config={}, root=tmp_path):
        [row] = ledger.ls(tmp_path)
    assert (row["status"], row["seconds"]) == ("running", None)


@pytest.mark.parametrize("key", ["id", "folder", "hash", "start"])
def test_a_run_is_found_by_its_id_or_the_beginning(key: str, tmp_path: Path) -> None:
    run = made(tmp_path, "grade", {"a": 1}, 0.5)
    made(tmp_path, "route", {"a": 1}, 0.5)
    names = {"id": run, "folder": str(tmp_path / run), "hash": run.split("-")[-1], "start": run[:-6]}
    assert ledger.show(names[key], tmp_path)["id"] == run


@pytest.mark.parametrize(("key", "words"), [("grade/n", "could be 2 runs"), ("nothing", "no run called 'nothing'")])
def test_none_or_several_is_one_line(key: str, words: str, tmp_path: Path) -> None:
    made(tmp_path, "grade", {"a": 1}, 0.5)
    made(tmp_path, "grade", {"a": 2}, 0.5)
    with pytest.raises(DataError, match=words) as caught:
        ledger.show(key, tmp_path)
    assert "\n" not in str(caught.value)


def test_diff_names_every_difference_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("x\n1\n")
    (tmp_path / "two.csv").write_text("x\n2\n")
    left = made(tmp_path, "grade", {"a": 1, "deep": {"b": 1, "c": 2}, "old": True}, 0.5, t=tmp_path / "one.csv")
    right = made(tmp_path, "grade", {"a": 1, "deep": {"b": 1, "c": 3}}, 0.25, t=tmp_path / "two.csv")
    rows = {row["what"]: (row["left"], row["right"]) for row in ledger.diff(left, right, tmp_path)}
    assert rows["config.deep.c"] == ("2", "3")
    assert rows["config.old"] == ("true", None)
    assert rows["metrics.score"] == ("0.5", "0.25")
    assert rows.keys() == {"config.deep.c", "config.old", "metrics.score", "inputs.t", "outputs.table.parquet"}
    assert ledger.diff(left, left, tmp_path) == []
    assert {row["what"]: (row["right"], row["left"]) for row in ledger.diff(right, left, tmp_path)} == rows


@pytest.mark.parametrize("content", ["", "{", "not json", '{"id": 1}'])
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    made(tmp_path, "grade", {"a": 1}, 0.5)
    bad = tmp_path / made(tmp_path, "route", {"a": 1}, 0.5)
    (bad / "run.json").write_text(content)
    with pytest.raises(RunError) as caught:
        ledger.ls(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(bad) in str(caught.value)
