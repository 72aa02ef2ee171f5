"""Executors: results in order, errors as they were raised, a dead worker named; Ray gives what a pool gives."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homespun.corpus.executors import Executor, Local, OnRay, Task, run
from homespun.errors import DataError, RunError

TASKS = """
import os, signal
from homespun.errors import DataError

def square(number, folder):
    (folder / str(number)).write_text(str(number**2))
    return {"square": number**2}

def refuse(number):
    raise DataError(f"number {number} is no table", "numbers", "tables")

def die():
    os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does to a worker that takes too much memory
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A module that workers can import too: they get this process's path."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "tasks_of_a_test.py").write_text(TASKS)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("tasks_of_a_test")
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def ray_executor(tasks: Any) -> Iterator[OnRay]:
    """Ray on this machine, stopped afterwards."""
    import ray

    yield OnRay()
    ray.shutdown()


EXECUTORS = [
    Local(workers=1),
    Local(workers=2),
    pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.xdist_group("ray")]),
]


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_results_come_in_order(
    executor: Executor | str, tmp_path: Path, tasks: Any, request: pytest.FixtureRequest
) -> None:
    made: Executor = request.getfixturevalue("ray_executor") if isinstance(executor, str) else executor
    steps: list[tuple[int, int]] = []
    said = run(
        made, [Task(tasks.square, (n, tmp_path)) for n in range(7)], lambda done, total: steps.append((done, total))
    )
    assert [row["square"] for row in said] == [n**2 for n in range(7)]
    assert steps == [(n + 1, 7) for n in range(7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == list("0123456")


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_an_error_arrives_as_it_was_raised(
    executor: Executor | str, tasks: Any, request: pytest.FixtureRequest
) -> None:
    made: Executor = request.getfixturevalue("ray_executor") if isinstance(executor, str) else executor
    with pytest.raises(DataError, match="numbers: number 1 is no table; try: tables"):
        run(made, [Task(tasks.refuse, (1,)), Task(tasks.refuse, (1,))], lambda *_: None)


def test_a_dead_worker_is_named(tasks: Any) -> None:
    with pytest.raises(RunError, match="a worker died"):
        run(Local(workers=2), [Task(tasks.die, ()), Task(tasks.die, ())], lambda *_: None)


def test_nothing_to_do() -> None:
    assert run(Local(workers=2), [], lambda *_: None) == []


def test_the_environment_is_given_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tasks: Any) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    run(Local(workers=2), [Task(tasks.square, (n, tmp_path)) for n in range(2)], lambda *_: None)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "RAYON_NUM_THREADS" not in os.environ
