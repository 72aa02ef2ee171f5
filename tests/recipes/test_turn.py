"""One whole turn, small: it ends, it repeats at once, and a kill -9 in the middle changes no byte of any table."""

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from homespun import data
from homespun.recipes import loop, page

SCRIPT = """
import contextlib, sys
from dataclasses import replace
from pathlib import Path
from homespun.recipes import battles, corpora, loop, page
folder, root = Path(sys.argv[1]), Path(sys.argv[2])
tables = {name: folder / f"{name[0]}.parquet" for name in ("problems", "greedy", "variations")}
fights = battles.Battles(num_battles=80, shown=())
tiny = corpora.tiny()
corpus = replace(tiny, sources=tiny.sources[-2:])
config = replace(loop.recorded(), **tables, battles=fights, corpus=corpus)
watch = lambda name: contextlib.nullcontext(lambda done, total: print(name, done, flush=True))
if __name__ == "__main__":
    print("made", loop.make(config, watch=watch, write=page.write, root=root)[1])
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every eighth problem, three models, all strategies."""
    folder = tmp_path_factory.mktemp("small")
    problems = pl.read_parquet(data.path("recorded/problems.parquet"))
    problems = problems.gather_every(8)
    models = ["gpt-3.5-turbo", "gpt-4", "code-davinci-002"]
    for name, target in (("greedy", "g"), ("variations", "v")):
        frame = pl.read_parquet(data.path(f"recorded/{name}.parquet")).filter(pl.col("model").is_in(models))
        frame.join(problems.select("dataset", "id"), on=["dataset", "id"]).write_parquet(folder / f"{target}.parquet")
    problems.write_parquet(folder / "p.parquet")
    return folder


def start(small: Path, root: Path) -> subprocess.Popen[str]:
    (small / "turn.py").write_text(SCRIPT)
    command = [sys.executable, "-W", "ignore", str(small / "turn.py"), str(small), str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def tables(root: Path) -> dict[str, str]:
    files = sorted(file for file in root.rglob("*.parquet") if "parts" not in file.parts)
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.slow
def test_killed_turn_goes_on_and_ends_with_the_same_bytes(small: Path, tmp_path: Path) -> None:
    whole = start(small, tmp_path / "whole")
    assert "made" in whole.communicate(timeout=600)[0]
    for stage in ("grading recorded", "fitting"):
        killed = start(small, tmp_path / "killed")
        assert killed.stdout is not None
        for line in killed.stdout:
            if line.startswith(stage):
                break
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        killed.stdout.close()
    again = start(small, tmp_path / "killed")
    assert "made" in again.communicate(timeout=600)[0]
    assert tables(tmp_path / "whole") == tables(tmp_path / "killed")
    assert len(tables(tmp_path / "whole")) > 8

    repeated = start(small, tmp_path / "whole")
    lines = repeated.communicate(timeout=600)[0].splitlines()
    assert {line.split()[0] for line in lines} <= {"grading", "made"}, "a finished stage worked again"


@pytest.mark.slow
def test_report_shows_what_the_tables_say(small: Path, tmp_path: Path) -> None:
    made = start(small, tmp_path)
    folder = Path(made.communicate(timeout=600)[0].splitlines()[-1].split(" ", 1)[1])
    routes = pl.read_parquet(folder / "routes.parquet").to_dicts()
    text = (folder / "report.html").read_text()
    head = page.headline(routes)
    assert {"best single", "quality", "balanced", "economy", "random", "oracle"} == set(head)
    assert f"{head['balanced']['score']:.1%}" in text
    assert f"{1000 * head['best single']['cost']:.2f}" in text
    assert head["oracle"]["score"] >= head["balanced"]["score"]
    assert len([row for row in routes if row["kind"] == "fusion"]) >= 23
    assert {row["name"].split("-")[0] for row in routes if row["kind"] == "part"} == {"taxonomy", "learned", "cascade"}
    for name in ("frontier.png", "reliability.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_samples_that_hold_only_answers_become_gradeable(tmp_path: Path) -> None:
    rows = [{"dataset": "d", "id": "1", "model": "m", "answer": text} for text in ("7", "7.", None)]
    pl.DataFrame(rows).write_parquet(tmp_path / "s.parquet")
    frame = pl.read_parquet(loop.gradeable(tmp_path / "s.parquet"))
    assert frame["completion"].to_list() == ["The answer is 7.", "The answer is 7.", ""]
    assert frame["sample"].to_list() == ["0", "1", "2"]
    assert set(frame["strategy"]) == {"cot"}


def test_recorded_turn_can_be_varied() -> None:
    config = replace(loop.recorded(), datasets=("date",), seed=3)
    assert config.plan()["config"]["datasets"] == ("date",)
    assert config.plan()["forecast"] == {"completions": 146645, "dollars": 0.0}
