"""SVAMP (Patel et al. 2021, arXiv:2103.07191): one-step word problems with a twist; MIT, © 2021 Arkil Patel.

Problem ids are rows of the official file, counted from 0; body and question are joined as the recorded prompts join
them (a body that ends no sentence goes on after a comma).
"""

import json
from typing import Any

from homespun.data import path
from homespun.records import Problem
from homespun.tasks.base import Task
from homespun.tasks.graders.numeric import NumericGrader
from homespun.tasks.table import recorded_problems, require_split

SPLITS = ("recorded", "test")
LICENCE = "MIT"
SOURCE = "https://github.com/arkilpatel/SVAMP"


def load(split: str) -> list[Problem]:
    """Problems of a split: ``test`` or ``recorded``, else a ConfigError; `extra` holds id, equation and type."""
    require_split("svamp", split, SPLITS)
    if split == "recorded":
        return recorded_problems("svamp", licence=LICENCE, source=SOURCE)
    items: list[dict[str, Any]] = json.loads(path("svamp/SVAMP.json").read_text(encoding="utf-8"))
    return [_problem(row, item) for row, item in enumerate(items)]


def _problem(row: int, item: dict[str, Any]) -> Problem:
    return Problem(
        id=str(row),
        task="svamp",
        question=_joined(item["Body"].strip(), item["Question"].strip()),
        answer=f"{item['Answer']:.15g}",
        licence=LICENCE,
        source=SOURCE,
        extra={"source_id": item["ID"], "equation": item["Equation"], "type": item["Type"]},
    )


def _joined(body: str, question: str) -> str:
    if body.endswith((".", "?", "!")):
        return f"{body} {question}"
    return f"{body.rstrip(',')}, {question[:1].lower()}{question[1:]}"


TASK = Task(name="svamp", grader=NumericGrader, load=load, splits=SPLITS, licence=LICENCE, source=SOURCE)
