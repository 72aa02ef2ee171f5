"""Date Understanding (BIG-bench; Srivastava et al. 2022, arXiv:2206.04615): which day is meant; Apache-2.0.

Only the recorded split ships, under the ids of the recording. Evaluation only: these are test problems.
"""

from homespun.records import Problem
from homespun.tasks.base import Task
from homespun.tasks.graders.date import DateGrader
from homespun.tasks.table import recorded_problems, require_split

SPLITS = ("recorded",)
LICENCE = "Apache-2.0"
SOURCE = "https://github.com/google/BIG-bench"


def load(split: str) -> list[Problem]:
    """Problems of the only split, ``recorded``; any other name is a ConfigError."""
    require_split("date", split, SPLITS)
    return recorded_problems("date", licence=LICENCE, source=SOURCE)


TASK = Task(name="date", grader=DateGrader, load=load, splits=SPLITS, licence=LICENCE, source=SOURCE)
