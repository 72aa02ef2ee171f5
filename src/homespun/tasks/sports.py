"""Sports Understanding (BIG-bench; Srivastava et al. 2022, arXiv:2206.04615): is a sentence plausible; Apache-2.0.

Only the recorded split ships, under the ids of the recording. Evaluation only: these are test problems.
"""

from homespun.records import Problem
from homespun.tasks.base import Mode, Task
from homespun.tasks.graders.boolean import BooleanGrader
from homespun.tasks.table import recorded_problems, require_split

SPLITS = ("recorded",)
LICENCE = "Apache-2.0"
SOURCE = "https://github.com/google/BIG-bench"


def grader(mode: Mode) -> BooleanGrader:
    """The boolean grader; in paper mode ``Yes`` is not ``yes``, as the release has it for this data set."""
    return BooleanGrader(mode, cased=True)


def load(split: str) -> list[Problem]:
    """Problems of the only split, ``recorded``; any other name is a ConfigError."""
    require_split("sports", split, SPLITS)
    return recorded_problems("sports", licence=LICENCE, source=SOURCE)


TASK = Task(name="sports", grader=grader, load=load, splits=SPLITS, licence=LICENCE, source=SOURCE)
