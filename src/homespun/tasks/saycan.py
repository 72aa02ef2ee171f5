"""SayCan (Ahn et al. 2022, arXiv:2204.01691): plans for a robot in a kitchen, several accepted for each; CC BY 4.0.

Only the recorded split ships, under the ids of the recording. Evaluation only: these are test problems.
"""

from homespun.records import Problem
from homespun.tasks.base import Task
from homespun.tasks.graders.plan import PlanGrader
from homespun.tasks.table import recorded_problems, require_split

SPLITS = ("recorded",)
LICENCE = "CC-BY-4.0"
SOURCE = "https://say-can.github.io"


def load(split: str) -> list[Problem]:
    """Problems of the only split, ``recorded``; any other name is a ConfigError."""
    require_split("saycan", split, SPLITS)
    return recorded_problems("saycan", licence=LICENCE, source=SOURCE)


TASK = Task(name="saycan", grader=PlanGrader, load=load, splits=SPLITS, licence=LICENCE, source=SOURCE)
