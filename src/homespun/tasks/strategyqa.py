"""StrategyQA (Geva et al. 2021, arXiv:2101.02235): yes-or-no questions with hidden steps; MIT, © 2021 Elad Segal.

The question alone is asked: facts and evidence are in `extra`, never in the prompt. The recorded split numbers its
problems by its own ids; the official splits use the source's ``qid``.
"""

import json
from typing import Any

from homespun.data import path
from homespun.records import Problem
from homespun.tasks.base import Task
from homespun.tasks.graders.boolean import BooleanGrader
from homespun.tasks.table import recorded_problems, require_split

SPLITS = ("recorded", "train", "dev")
LICENCE = "MIT"
SOURCE = "https://github.com/eladsegal/strategyqa"


def load(split: str) -> list[Problem]:
    """Problems of a split: ``train``, ``dev`` or ``recorded``, else a ConfigError; `steps` is the decomposition."""
    require_split("strategyqa", split, SPLITS)
    if split == "recorded":
        return recorded_problems("strategyqa", licence=LICENCE, source=SOURCE)
    items: list[dict[str, Any]] = json.loads(path(f"strategyqa/{split}.json").read_text(encoding="utf-8"))
    return [_problem(item, split) for item in items]


def _problem(item: dict[str, Any], split: str) -> Problem:
    return Problem(
        id=item["qid"],
        task="strategyqa",
        question=item["question"],
        answer="true" if item["answer"] else "false",
        steps=tuple(item["decomposition"]),
        split=split,
        licence=LICENCE,
        source=SOURCE,
        extra={"term": item["term"], "facts": item["facts"]},
    )


TASK = Task(
    name="strategyqa",
    grader=BooleanGrader,
    load=load,
    splits=SPLITS,
    licence=LICENCE,
    source=SOURCE,
)
