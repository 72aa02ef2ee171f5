"""Graders by name and by data set. To add one: a file here with a `TextGrader`, and a line in each table below."""

from collections.abc import Callable
from difflib import get_close_matches

from homespun.errors import ConfigError
from homespun.tasks.base import Mode
from homespun.tasks.graders.boolean import BooleanGrader
from homespun.tasks.graders.choice import ChoiceGrader
from homespun.tasks.graders.date import DateGrader
from homespun.tasks.graders.numeric import NumericGrader
from homespun.tasks.graders.plan import PlanGrader
from homespun.tasks.graders.relation import RelationGrader
from homespun.tasks.graders.text import TextGrader

__all__ = ["GRADERS", "TextGrader", "grader", "grader_for"]

GRADERS: dict[str, Callable[[Mode], TextGrader]] = {
    "numeric": NumericGrader,
    "boolean": BooleanGrader,
    "date": DateGrader,
    "choice": ChoiceGrader,
    "relation": RelationGrader,
    "plan": PlanGrader,
}


def _sports(mode: Mode) -> TextGrader:
    return BooleanGrader(mode, cased=True)


FOR_DATASET: dict[str, Callable[[Mode], TextGrader]] = {
    **dict.fromkeys(("gsm8k", "svamp", "multiarith", "object_counting", "multistep_arithmetic_two"), NumericGrader),
    **dict.fromkeys(("strategyqa", "navigate"), BooleanGrader),
    **dict.fromkeys((f"tracking_shuffled_objects_{n}_objects" for n in ("three", "five", "seven")), ChoiceGrader),
    **dict.fromkeys(("penguins_in_a_table", "mmlu"), ChoiceGrader),
    "sports": _sports,
    "date": DateGrader,
    "saycan": PlanGrader,
    "clutrr": RelationGrader,
}


def grader(name: str, mode: Mode = "strict") -> TextGrader:
    """A grader by its name: numeric, boolean, date, choice, relation or plan.

    Raises:
        ConfigError: no grader of that name, or no such mode.
    """
    if name not in GRADERS:
        raise ConfigError(f"unknown grader {name!r}", "--grader", _hint(name, GRADERS))
    return GRADERS[name](_mode(mode))


def grader_for(dataset: str, mode: Mode = "strict") -> TextGrader:
    """The grader that belongs to a data set.

    Raises:
        ConfigError: the data set is unknown, so that its grader must be named.
    """
    if dataset not in FOR_DATASET:
        hint = f"--grader with one of {', '.join(GRADERS)}; data sets known: {_hint(dataset, FOR_DATASET)}"
        raise ConfigError(f"no grader is known for data set {dataset!r}", "dataset", hint)
    return FOR_DATASET[dataset](_mode(mode))


def _mode(mode: Mode) -> Mode:
    if mode not in ("strict", "paper"):
        raise ConfigError(f"unknown mode {mode!r}", "--mode", "strict or paper")
    return mode


def _hint(name: str, known: dict[str, Callable[[Mode], TextGrader]]) -> str:
    return ", ".join(get_close_matches(name.lower(), known, n=3, cutoff=0.5) or sorted(known))
