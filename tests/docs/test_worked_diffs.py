"""The worked diffs of ARCHITECTURE.md are true: they apply to the package, and what they add works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIFFS = re.findall(r"^```diff\n(.*?)^```", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE | re.DOTALL)
USE = """
import asyncio
import numpy as np
from homespun.models import model
from homespun.records import Message, Prompt
from homespun.router.learned import LearnedConfig, Predictor
from homespun.sandbox import Pool, Program
from homespun.strategies import strategy
from homespun.tasks import task

[problem] = task("coins").load("test")
assert task("coins").grader("strict").grade(problem, "32").value == 1.0
assert strategy("bare").parse("The answer is 32.", "coins").text == "32"
prompt = Prompt(id="p", problem_id="1", strategy="bare", messages=(Message(role="user", content="hi"),))
assert [row.text for row in asyncio.run(model("shout:loud").sample(prompt, 2))] == ["HI", "HI"]
with Pool(workers=1) as pool:
    found = pool.run(Program(id="s", source="from sortedcontainers import SortedList\\nanswer = SortedList([3, 1])[0]"))
assert found.value == "1", found
prompts = [f"what is {number} and {number % 3}" for number in range(40)]
predictor = Predictor(LearnedConfig(kinds=("constant",), calibrate=False))
mean = predictor.fit(prompts, np.tile([[0.25, 1.0]], (40, 1))).predict(["what is it"]).mean
assert np.allclose(mean, [[0.25, 1.0]])
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's code, beside links to its data."""
    top = tmp_path_factory.mktemp("diffs")
    source, copy = ROOT / "src" / "homespun", top / "src" / "homespun"
    for path in source.rglob("*"):
        place = copy / path.relative_to(source)
        if path.is_file() and path.suffix in (".py", ".toml", ".css"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    for folder in (source / "data").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            (copy / "data" / folder.name).symlink_to(folder)
    return top


def test_there_is_one_for_each_kind_of_thing() -> None:
    assert len(DIFFS) == 5


@pytest.mark.slow
def test_they_apply_and_what_they_add_works(package: Path) -> None:
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(package.parent), "PYTHONPATH": str(package / "src")}
    for diff in DIFFS:
        command = ["git", "apply", "--verbose", "-"]
        done = subprocess.run(
            command, input=diff, cwd=package, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    used = subprocess.run(
        [sys.executable, "-P", "-c", USE], env=environment, capture_output=True, text=True, check=False
    )
    assert used.returncode == 0, used.stderr[-2000:]
