"""The loop: it learns, goes on bit for bit, stops when asked or when it must, and many processes are as one."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from homespun.errors import ConfigError, RunError
from homespun.pretrain.guard import Guard
from homespun.pretrain.parallel import Here
from homespun.pretrain.state import saved
from homespun.pretrain.train import Trained, Training, train

CPU = Here(torch.device("cpu"))


def weights(trained: Trained) -> list[Any]:
    """All parameters."""
    return [weight.detach().clone() for weight in trained.model.parameters()]


def test_it_learns_and_says_what_came_of_it(training: Training, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    found = train(training, tmp_path, CPU, watch=lambda row, steps: seen.append(row))
    assert found.done
    assert found.point.step == training.steps == 40
    assert found.point.tokens == 40 * 256
    assert found.rows[0]["loss"] == pytest.approx(3.87, abs=0.1)  # ln 48: nothing known
    assert found.rows[-1]["loss"] < 2.0
    assert found.rows[-1]["validation"] < 2.0
    assert [row["step"] for row in seen] == list(range(1, 41))
    assert seen[0]["lr"] == pytest.approx(1e-3)
    assert max(row["lr"] for row in seen) == pytest.approx(1e-2)
    assert [path.name for path in saved(tmp_path)] == ["checkpoint-00000030", "checkpoint-00000040"]


@pytest.mark.parametrize("stops", [(17,), (5, 20, 33)])
def test_stopped_and_gone_on_is_uninterrupted(training: Training, tmp_path: Path, stops: tuple[int, ...]) -> None:
    whole = train(training, tmp_path / "whole", CPU)
    rows: list[dict[str, float]] = []
    for stop in (*stops, None):

        def ask(row: dict[str, float], _: int, stop: int | None = stop) -> None:
            if row["step"] == stop:
                os.kill(os.getpid(), signal.SIGUSR2)

        part = train(training, tmp_path / "parts", CPU, watch=ask)
        assert part.done == (stop is None)
        assert part.point.step == (stop or 40)
        rows += part.rows
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(part), strict=True))
    assert [row["loss"] for row in rows] == [row["loss"] for row in whole.rows]


def test_it_stops_before_its_time_is_up(training: Training, tmp_path: Path) -> None:
    found = train(training, tmp_path, CPU, minutes=10 / 60)  # saving is taken to need five seconds, twice
    assert not found.done
    assert found.point.step == 1
    assert train(training, tmp_path, CPU).done


def test_small_pieces_make_the_same_step(training: Training, tmp_path: Path) -> None:
    one = replace(training, stages=(replace(training.stages[0], tokens=3 * 256),))
    whole = train(one, tmp_path / "a", CPU)
    pieces = train(replace(one, micro=3), tmp_path / "b", CPU)
    for row, other in zip(whole.rows, pieces.rows, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert row["norm"] == pytest.approx(other["norm"], rel=1e-4)


def test_a_run_that_has_gone_wrong_is_stopped(training: Training, tmp_path: Path) -> None:
    wild = replace(training, schedule=replace(training.schedule, peak=1e18), clip=1e30)
    with pytest.raises(RunError, match=r"step \d+: loss"):
        train(wild, tmp_path, CPU)


def test_guard_waits_before_it_stops() -> None:
    guard = Guard(spike=1.0, patience=3)
    for step in range(50):
        guard.check({"loss": 2.0 + 0.1 * (step % 2), "norm": 1.0}, step)
    guard.check({"loss": 9.0, "norm": 1.0}, 50)
    guard.check({"loss": 2.0, "norm": 1.0}, 51)
    for step in (52, 53):
        guard.check({"loss": 9.0, "norm": 1.0}, step)
    with pytest.raises(RunError, match=r"step 54: the loss has been 9\.00 and more for 3 steps, after 2\.0"):
        guard.check({"loss": 9.0, "norm": 1.0}, 54)
    with pytest.raises(RunError, match="loss nan"):
        guard.check({"loss": float("nan"), "norm": 1.0}, 55)


def test_what_cannot_work_is_said(training: Training, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tokens up to 44, a model of 40"):
        train(replace(training, model=replace(training.model, vocab=40)), tmp_path, CPU)
    train(replace(training, save=10), tmp_path / "a", CPU)
    for place in saved(tmp_path / "a"):
        for file in place.glob("*.distcp"):
            file.write_bytes(b"")
    with pytest.raises(RunError, match="cannot be read"):
        train(training, tmp_path / "a", CPU)


SCRIPT = """
import json, os, pickle, sys
from pathlib import Path
from homespun.pretrain.parallel import joined
from homespun.pretrain.train import train
config = pickle.loads(Path(sys.argv[1]).read_bytes())
stop = int(sys.argv[3])
def watch(row, steps):
    if row["step"] == stop and os.environ["RANK"] == "1":
        os.kill(os.getpid(), 9)
with joined("cpu") as here:
    found = train(config, Path(sys.argv[2]), here, watch=watch)
    if here.first:
        Path(sys.argv[4]).write_text(json.dumps(found.rows))
"""


def torchrun(training: Training, folder: Path, stop: int) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine's loopback."""
    import pickle

    folder.mkdir(exist_ok=True)
    (folder / "config").write_bytes(pickle.dumps(training))
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [folder / "script.py", folder / "config", folder / "points", stop, folder / "rows.json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=180, env=environment
    )


@pytest.mark.slow
def test_two_processes_are_as_one_and_one_may_die(training: Training, tmp_path: Path) -> None:
    alone = train(training, tmp_path / "alone", CPU)
    done = torchrun(training, tmp_path / "two", -1)
    assert done.returncode == 0, done.stderr[-2000:]
    together = json.loads((tmp_path / "two" / "rows.json").read_text())
    assert [row["loss"] for row in together] == pytest.approx([row["loss"] for row in alone.rows], abs=1e-5)

    killed = torchrun(training, tmp_path / "killed", 22)
    assert killed.returncode != 0
    assert [path.name for path in saved(tmp_path / "killed" / "points")] == ["checkpoint-00000015"]
    again = torchrun(training, tmp_path / "killed", -1)
    assert again.returncode == 0, again.stderr[-2000:]
    rest = json.loads((tmp_path / "killed" / "rows.json").read_text())
    assert len(rest) == 25
    assert [row["loss"] for row in rest] == pytest.approx([row["loss"] for row in together[15:]], abs=1e-5)
