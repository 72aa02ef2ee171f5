"""Problems with gold answers, and graders. To add a data set: a file here with a `TASK`, and its place in `TASKS`.

``task("gsm8k").load("recorded")`` gives problems of a data set that ships, ``problems_from_table("mine.csv")`` a
user's own; ``grader_for("gsm8k").check("18", gold)`` grades one answer.
"""

from difflib import get_close_matches

from homespun.errors import ConfigError
from homespun.tasks import bbh, date, gsm8k, saycan, sports, strategyqa, svamp
from homespun.tasks.base import Grader, Mode, Reading, Task
from homespun.tasks.graders import TextGrader, grader, grader_for
from homespun.tasks.table import problems_from_table

__all__ = [
    "Grader",
    "Mode",
    "Reading",
    "Task",
    "TextGrader",
    "grader",
    "grader_for",
    "names",
    "problems_from_table",
    "task",
]

TASKS: dict[str, Task] = {
    found.name: found
    for found in (gsm8k.TASK, svamp.TASK, strategyqa.TASK, date.TASK, sports.TASK, saycan.TASK, *bbh.TASKS)
}


def names() -> tuple[str, ...]:
    """Names of the data sets that ship."""
    return tuple(TASKS)


def task(name: str) -> Task:
    """A data set that ships.

    Raises:
        ConfigError: none of that name ships; the text names close matches.
    """
    if name not in TASKS:
        close = get_close_matches(name.lower(), TASKS, n=3, cutoff=0.5) or names()
        raise ConfigError(f"no data set called {name!r} ships", "task", ", ".join(close))
    return TASKS[name]
