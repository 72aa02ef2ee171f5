"""GSM8K (Cobbe et al. 2021, arXiv:2110.14168): grade-school word problems; MIT, © 2021 OpenAI.

Problem ids are rows of the official file, counted from 0; `recorded` is the part of the test split that the recorded
answers belong to.
"""

import json

from homespun.data import path
from homespun.records import Problem
from homespun.tasks.base import Task
from homespun.tasks.graders.numeric import NumericGrader
from homespun.tasks.table import recorded_problems, require_split

SPLITS = ("recorded", "test", "train")
LICENCE = "MIT"
SOURCE = "https://github.com/openai/grade-school-math"


def load(split: str) -> list[Problem]:
    """Problems of a split: ``train``, ``test`` or ``recorded``, else a ConfigError; `extra` holds the solution."""
    require_split("gsm8k", split, SPLITS)
    if split == "recorded":
        return recorded_problems("gsm8k", licence=LICENCE, source=SOURCE)
    lines = path(f"gsm8k/{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [_problem(row, json.loads(line), split) for row, line in enumerate(lines)]


def _problem(row: int, item: dict[str, str], split: str) -> Problem:
    solution, answer = item["answer"].rsplit("#### ", 1)
    return Problem(
        id=str(row) if split == "test" else f"{split}-{row}",
        task="gsm8k",
        question=item["question"],
        answer=answer,
        split=split,
        licence=LICENCE,
        source=SOURCE,
        extra={"solution": solution.rstrip()},
    )


TASK = Task(
    name="gsm8k",
    grader=NumericGrader,
    load=load,
    splits=SPLITS,
    licence=LICENCE,
    source=SOURCE,
)
