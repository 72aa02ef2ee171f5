"""BIG-Bench-Hard (Suzgun et al. 2022, arXiv:2210.09261): seven sets on counting and tracking; MIT, © 2022 suzgunmirac.

Evaluation only, never training: there is one split, ``test``, and every problem carries the benchmark's canary string.
"""

import json
from collections.abc import Callable
from functools import partial

from homespun.data import path
from homespun.records import Problem
from homespun.tasks.base import Grader, Mode, Task
from homespun.tasks.graders.boolean import BooleanGrader
from homespun.tasks.graders.choice import ChoiceGrader
from homespun.tasks.graders.numeric import NumericGrader
from homespun.tasks.table import require_split

SPLITS = ("test",)
LICENCE = "MIT"
SOURCE = "https://github.com/suzgunmirac/BIG-Bench-Hard (evaluation only, never training)"
GRADERS: dict[str, Callable[[Mode], Grader]] = {
    "object_counting": NumericGrader,
    "multistep_arithmetic_two": NumericGrader,
    "navigate": BooleanGrader,
    "penguins_in_a_table": ChoiceGrader,
    "tracking_shuffled_objects_three_objects": ChoiceGrader,
    "tracking_shuffled_objects_five_objects": ChoiceGrader,
    "tracking_shuffled_objects_seven_objects": ChoiceGrader,
}


def load(name: str, split: str) -> list[Problem]:
    """Problems of one of the seven sets; any split but ``test`` is a ConfigError; `extra` holds the canary."""
    require_split(name, split, SPLITS)
    whole = json.loads(path(f"bbh/{name}.json").read_text(encoding="utf-8"))
    return [
        Problem(
            id=f"{name}-{row}",
            task=name,
            question=item["input"],
            answer=item["target"],
            split="test",
            licence=LICENCE,
            source=SOURCE,
            extra={"canary": whole["canary"], "use": "evaluation only"},
        )
        for row, item in enumerate(whole["examples"])
    ]


TASKS = tuple(
    Task(name=name, grader=grader, load=partial(load, name), splits=SPLITS, licence=LICENCE, source=SOURCE)
    for name, grader in GRADERS.items()
)
