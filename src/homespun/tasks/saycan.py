"""SayCan (Ahn et al. 2022, arXiv:2204.01691): plans for a robot in a kitchen, several accepted for each; CC BY 4.0.

Only the recorded split ships, under the ids of the recording. Evaluation only: these are test problems.
"""

from homespun.records import Problem
from homespun.tasks.base import Task
from homespun.tasks.graders.plan import PlanGrader
from homespun.tasks.table import recorded_problems

LICENCE = "CC-BY-4.0"
SOURCE = "https://say-can.github.io"


def load(split: str) -> list[Problem]:
    """Problems of the only split, ``recorded``."""
    assert split == "recorded"
    return recorded_problems("saycan", licence=LICENCE, source=SOURCE)


TASK = Task(name="saycan", grader=PlanGrader, load=load, splits=("recorded",), licence=LICENCE, source=SOURCE)
