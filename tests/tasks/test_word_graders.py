"""Boolean, date, choice and relation graders."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.tasks import grader, grader_for

READINGS = {
    ("boolean", "strict"): {
        "yes": "true",
        "No.": "false",
        "YES, because it rains": "true",
        '"no"': "false",
        "True": "true",
        "False\n": "false",
        "1": "true",
        "0.0": "false",
        "**Yes**": "true",
        r"\boxed{\text{no}}": "false",
        "yes or no": None,
        "Yes/No": None,
        "not clear": None,
        "nobody knows": None,
        "0.5": None,
        "10": None,
        "unknown": None,
        "[invalid]": None,
    },
    ("boolean", "paper"): {"yes": "true", "No.": "false", "yes,": None, "True": "true", "maybe": None},
    ("date", "strict"): {
        "05/01/2021": "05/01/2021",
        "05/01/2021 at 11 am": "05/01/2021",
        "2021-05-01 00:00:00": "05/01/2021",
        "02/29/2020": "02/29/2020",
        "02/29/2021": None,
        "13/05/2021": None,
        "5/1/2021": None,
        "05/01/21": None,
        "May 1, 2021": None,
        "05/01": None,
        "11/02/": None,
        "105/01/2021": None,
    },
    ("date", "paper"): {
        "05/01/2021": "05/01/2021",
        " 05/01/2021.\n#": "05/01/2021",
        "5/1/2021": "5/1/2021",
        "12/01/YYYY": "12/01/",
        "05/01/2021 to them": "05/01/2021tothem",
    },
    ("choice", "strict"): {
        "(B)": "B",
        "B": "B",
        "b)": "B",
        "B.": "B",
        "option C": "C",
        "The answer is D.": "D",
        "(E) James": "E",
        r"\boxed{A}": "A",
        "A dog": None,
        "(A) or (B)": None,
        "Bernard": None,
        "?": None,
    },
    ("choice", "paper"): {"(b).": "B", "B": "B", "(E) James": "E) JAMES", "()": None},
    ("relation", "strict"): {
        "grandson": "grandson",
        "the Grandson of Jason": "grandson",
        "mom": "mother",
        "mother in law": "mother-in-law",
        "sister-in-law.": "sister-in-law",
        "grandpa": "grandfather",
        "brother and sister": None,
        "friend": None,
    },
    ("relation", "paper"): {"grandson.": "grandson", "Grandson": "Grandson"},
}


@pytest.mark.parametrize(
    ("name", "mode", "text", "answer"),
    [(name, mode, text, answer) for (name, mode), texts in READINGS.items() for text, answer in texts.items()],
)
def test_readings(name: str, mode: str, text: str, answer: str | None) -> None:
    reading = grader(name, mode).read(text)  # type: ignore[arg-type]
    assert reading.answer == answer, reading
    assert reading.reason


def test_sports_is_cased_in_paper_mode_only() -> None:
    assert grader_for("sports", "paper").read("Yes").answer is None
    assert grader_for("sports", "paper").read("yes").answer == "true"
    assert grader_for("sports", "strict").read("Yes").answer == "true"
    assert grader_for("strategyqa", "paper").read("Yes").answer == "true"


@pytest.mark.parametrize("gold", ["#### 05/01/2021", "5/1/2021", "2021-5-1", "May 1st, 2021", "1 May 2021"])
def test_gold_dates_may_have_other_forms(gold: str) -> None:
    assert grader("date").read_gold(gold).answer == "05/01/2021"


DAYS = st.dates(date(1000, 1, 1))


@given(DAYS, st.times())
def test_a_day_is_read_as_printed(day: date, time) -> None:
    asked = f"{day:%m/%d}/{day.year:04d}"
    strict = grader("date")
    assert strict.read(asked).answer == asked
    assert strict.read(f"on {asked}, a {day:%A}").answer == asked
    assert strict.read(str(datetime.combine(day, time))).answer == asked
    assert grader("date", "paper").read(asked).answer == asked


@given(st.sampled_from("ABCDEFGH"), st.sampled_from(["({})", "{}", "{}.", "({}) text", "Option {}", "{}: text"]))
def test_a_letter_is_read_in_any_dress(letter: str, dress: str) -> None:
    assert grader("choice").read(dress.format(letter)).answer == letter


@given(st.sampled_from(["yes", "no", "true", "false"]), st.sampled_from([str.upper, str.title, str.lower]), st.text())
def test_the_first_word_decides(word: str, case, rest: str) -> None:
    answer = grader("boolean").read(f"{case(word)}; {rest}").answer
    assert answer == ("true" if word in ("yes", "true") else "false")
