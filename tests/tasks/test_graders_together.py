"""What holds for every grader in both modes."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.errors import ConfigError, GradeError
from homespun.records import Problem
from homespun.tasks import grader, grader_for
from homespun.tasks.base import Grader, Mode
from homespun.tasks.graders import GRADERS

MODES = get_args(Mode)
ALL = [(name, mode) for name in GRADERS for mode in MODES]
GOLD = {
    "numeric": "18",
    "boolean": "yes",
    "date": "05/01/2021",
    "choice": "(B)",
    "relation": "aunt",
    "plan": "1. find(coke)\n2. done().",
}
HOSTILE = {
    "digits": "9",
    "spaces": "1" + " " * 999,
    "letters": "a",
    "letter-digits": "a" + "9" * 99_999,
    "commas": "1,11",
    "thousands": "1,000",
    "minus": "-",
    "open": "(",
    "closed": "()",
    "boxes": "boxed{",
    "slashes": "1/",
    "dashes": "01-",
    "dots": "1.",
    "mixed": "1 1/",
    "months": "jan",
    "actions": "find(",
    "stars": "*",
    "currency": "$ -",
    "products": "a*",
    "words": "grand mother in law ",
}


@pytest.mark.parametrize(("name", "mode"), ALL)
@settings(max_examples=40)
@given(text=st.text())
def test_reading_never_raises(name: str, mode: Mode, text: str) -> None:
    value, answer, reason = grader(name, mode).check(text, "18")
    assert value in (0.0, 1.0)
    assert reason
    assert answer is not None or value == 0.0


@pytest.mark.parametrize(("name", "mode"), ALL)
@settings(max_examples=60)
@given(text=st.text(alphabet="0123456789.,-/$%()[]{}eE x*^:\\abyn\n" + "−½"))
def test_reading_is_stable(name: str, mode: Mode, text: str) -> None:
    made = grader(name, mode)
    assert made.read(text) == made.read(text)
    assert made.read(text).answer != ""


def _read_all(kind: str, length: int) -> None:
    text = (HOSTILE[kind] * (length // len(HOSTILE[kind]) + 1))[:length]
    for name, mode in ALL:
        assert grader(name, mode).read(text).reason


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hundred_thousand_characters_come_back(kind: str) -> None:
    _read_all(kind, 10**5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_million_characters_come_back(kind: str) -> None:
    _read_all(kind, 10**6)


@pytest.mark.parametrize(("name", "mode"), ALL)
def test_grade_wraps_check(name: str, mode: Mode) -> None:
    made: Grader = grader(name, mode)
    problem = Problem(id="7", task="mine", question="?", answer=GOLD[name])
    right = made.grade(problem, GOLD[name], "s1")
    assert (right.value, right.subject_id, right.grader) == (1.0, "s1", f"{name}:{mode}")
    nothing = made.grade(problem, None)
    assert (nothing.value, nothing.answer, nothing.reason) == (0.0, None, "no answer")
    marked = made.grade(problem, "[invalid]")
    assert (marked.value, marked.answer) == (0.0, None)
    wrong = made.grade(problem, {"numeric": "19", "boolean": "no", "choice": "C"}.get(name, "1. find(tea)\n2. done()."))
    assert wrong.value == 0.0
    assert wrong.reason


def test_a_gold_answer_that_cannot_be_read_names_the_problem() -> None:
    with pytest.raises(GradeError, match="problem 9 of mine: gold answer 'many' is not numeric"):
        grader("numeric").gold(Problem(id="9", task="mine", question="?", answer="many"))
    with pytest.raises(GradeError, match="there is no gold answer"):
        grader("numeric").gold(Problem(id="9", task="mine", question="?"))


def test_unknown_names_are_one_clear_line() -> None:
    with pytest.raises(ConfigError, match="unknown grader 'numerik'; try: numeric"):
        grader("numerik")
    with pytest.raises(ConfigError, match=r"no grader is known for data set 'mine'.*--grader with one of numeric"):
        grader_for("mine")
    with pytest.raises(ConfigError, match="unknown mode 'lax'"):
        grader("numeric", "lax")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"data sets known: gsm8k$"):
        grader_for("gsm8")
