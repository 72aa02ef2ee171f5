"""A run is a folder named by its content: it resumes, returns at once when done, and never trusts a damaged table."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.errors import DataError, RunError
from homespun.records import Cost
from homespun.runs.run import RunFolder, code_hash, open_run, package_versions, read_run, root_folder

FRAME = pl.DataFrame({"x": [1, 2, 3]})


def opened(root: Path, **changes: object) -> RunFolder:
    return open_run("stage", "name", **{"config": {"a": 1, "b": [2]}, "root": root} | changes)  # type: ignore[arg-type]


def finished(root: Path) -> Path:
    with opened(root) as run:
        run.write_part("0", FRAME)
        run.write("table", FRAME)
        run.finish(metrics={"score": 0.5}, cost=Cost(dollars=1.5))
    return run.path


def test_a_finished_run_returns_at_once(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    record = (folder / "run.json").read_bytes()
    with opened(tmp_path) as again:
        assert again.done
        assert again.record.metrics == {"score": 0.5}
        assert again.record.cost == Cost(dollars=1.5)
        assert again.read("table").equals(FRAME)
    assert (folder / "run.json").read_bytes() == record


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_table_makes_the_run_work_again(damage: str, tmp_path: Path) -> None:
    folder = finished(tmp_path)
    table = folder / "table.parquet"
    table.write_bytes(b"damaged") if damage == "changed" else table.unlink()
    with opened(tmp_path) as again:
        assert not again.done
        assert again.record.status == "running"
        assert again.has_part("0")  # finished parts are still there
        again.write("table", FRAME)
        again.finish()
    with opened(tmp_path) as third:
        assert third.done


def test_parts_outlive_an_error_which_marks_the_run_failed(tmp_path: Path) -> None:
    def fails_midway() -> None:
        with opened(tmp_path) as run:
            run.write_part("0", FRAME)
            raise DataError("a bad row")

    with pytest.raises(DataError, match="a bad row"):
        fails_midway()
    failed = read_run(opened(tmp_path).path)
    assert failed.status == "failed"
    assert failed.ended is not None
    with opened(tmp_path) as again:
        assert not again.done
        assert again.has_part("0")
        assert not again.has_part("1")
        assert again.read_part("0").equals(FRAME)


CHANGES = [
    {"config": {"a": 2, "b": [2]}},
    {"config": {"a": 1, "b": [2], "c": None}},
    {"seed": 1},
    {"inputs": "input"},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_whatever_can_change_the_result_changes_the_folder(change: dict[str, object], tmp_path: Path) -> None:
    if "inputs" in change:
        (tmp_path / "in.csv").write_text("x\n1\n")
        change = {"inputs": [tmp_path / "in.csv"]}
    assert opened(tmp_path, **change).path != opened(tmp_path).path


def test_code_and_packages_are_part_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(tmp_path).path
    monkeypatch.setattr("homespun.runs.run.code_hash", lambda: "other")
    code = opened(tmp_path).path
    monkeypatch.setattr("homespun.runs.run.package_versions", lambda: {"numpy": "0"})
    assert len({before, code, opened(tmp_path).path}) == 3
    assert len(code_hash()) == 16
    assert "polars" in package_versions()


def test_an_input_is_known_by_content_not_by_place(tmp_path: Path) -> None:
    here, there = tmp_path / "in.csv", tmp_path / "elsewhere" / "in.csv"
    there.parent.mkdir()
    here.write_text("x\n1\n")
    there.write_text("x\n1\n")
    assert opened(tmp_path, inputs=[here]).path == opened(tmp_path, inputs=[there]).path
    there.write_text("x\n2\n")
    assert opened(tmp_path, inputs=[here]).path != opened(tmp_path, inputs=[there]).path
    with pytest.raises(DataError, match=r"gone\.csv"):
        opened(tmp_path, inputs=[tmp_path / "gone.csv"])
    assert not (tmp_path / "stage").exists()


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(config=st.dictionaries(st.text(max_size=4), JSONS, max_size=4))
def test_the_order_of_a_configuration_changes_nothing(config: dict[str, object]) -> None:
    backwards = dict(reversed(config.items()))
    runs = [open_run("stage", "name", config=each, root="nowhere") for each in (config, backwards)]
    assert runs[0].path == runs[1].path
    assert runs[0].record.config == config


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": 1}', "\0", "{}"])
def test_a_damaged_record_is_one_line(content: str, tmp_path: Path) -> None:
    folder = finished(tmp_path)
    (folder / "run.json").write_text(content)
    with pytest.raises(RunError) as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    with opened(tmp_path) as again:  # and the same command mends it
        assert not again.done
    assert read_run(folder).status == "running"


def test_a_run_has_one_worker_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path) as run, pytest.raises(RunError, match="another process"), opened(tmp_path):
        pass
    with opened(tmp_path) as free:  # leaving gives the lock back
        assert free.path == run.path


WORKER = """
    import os, signal, sys, polars as pl
    from homespun.runs.run import open_run
    stop = int(sys.argv[1])
    with open_run("stage", "killed", config={}, root=sys.argv[2]) as run:
        for number in range(4):
            if not run.has_part(str(number)):
                print("part", number, flush=True)
                run.write_part(str(number), pl.DataFrame({"x": [number]}))
            if number == stop:
                os.kill(os.getpid(), signal.SIGKILL)
        run.write("table", pl.concat([run.read_part(str(number)) for number in range(4)]))
        run.finish()
    """


def work(root: Path, stop: int = -1) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(WORKER), str(stop), str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "80"})


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    killed = work(tmp_path / "killed", stop=1)
    assert killed.returncode == -signal.SIGKILL
    resumed, straight = work(tmp_path / "killed"), work(tmp_path / "straight")
    assert (resumed.returncode, straight.returncode) == (0, 0), resumed.stderr + straight.stderr
    assert killed.stdout.split("\n") == ["part 0", "part 1", ""]
    assert resumed.stdout.split("\n") == ["part 2", "part 3", ""]
    tables = [next(root.rglob("table.parquet")).read_bytes() for root in (tmp_path / "killed", tmp_path / "straight")]
    assert tables[0] == tables[1]
    assert work(tmp_path / "killed").stdout == ""  # done: nothing is worked on again


def test_half_a_record_of_a_killed_run_is_never_seen(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        (run.path / ".run-abc.json").write_text("{")  # what a kill in the middle of a write leaves
        run.write("table", FRAME)
        run.finish()
    assert read_run(run.path).status == "done"
    assert list(read_run(run.path).outputs) == ["table.parquet"]


def test_root_is_argument_then_environment_then_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMESPUN_RUNS", "from-environment")
    assert root_folder("given") == Path("given")
    assert root_folder() == Path("from-environment")
    monkeypatch.delenv("HOMESPUN_RUNS")
    assert root_folder() == Path("runs")
