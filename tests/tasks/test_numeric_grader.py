"""The numeric grader: what a text states, what the released rule makes of it, and laws that hold for all numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.tasks.graders.numeric import NumericGrader, canonical

STRICT, PAPER = NumericGrader("strict"), NumericGrader("paper")

STATED = {
    "18": "18",
    "3.0": "3",
    "-5": "-5",
    "−5": "-5",
    "-$5": "-5",
    "$-5.50": "-5.5",
    "negative 7 degrees": "-7",
    "$5,000": "5000",
    "1,450,000 dollars.": "1450000",
    "12,34,567": "1234567",
    "45\u202f000": "45000",
    "$118 000": "118000",
    "€82": "82",
    "USD500": "500",
    "Rs. 500": "500",
    "50%": "50",
    "50 percent": "50",
    "15/2": "7.5",
    "-8/3": "-2.66666666667",
    "1 1/2 cups": "1.5",
    "2½ hours": "2.5",
    "½": "0.5",
    ".5": "0.5",
    "1.5e3": "1500",
    "2E-3": "0.002",
    "3 × 10^4": "30000",
    r"\(3 \times 10^{-2}\)": "0.03",
    r"\frac{3}{4}": "0.75",
    r"The result is \boxed{1{,}024}.": "1024",
    "1.4 million": "1400000",
    "136kgs": "136",
    "25 cm^2": "25",
    "12 m2": "12",
    "7th": "7",
    "20 - 5": None,
    "8800 - 8100 = 700 calories": "700",
    "13+7=20 players. Combined, 33 players.)": "33",
    "**42**": "42",
    "#### 18": "18",
    "10-15": None,
    "5.0*oranges": None,
    "boys/5 + 12": None,
    "(4, 6.0)": None,
    "[12]": "12",
    "3:50 pm": None,
    "1/0": None,
    "1e999": None,
    "nan": None,
    "False": None,
    "[invalid]": None,
    "[error]": None,
    "": None,
    "   ": None,
    "no number": None,
    "12345678901234567890": "12345678901234567890",
    "007": "7",
    "-0": "0",
    "60/hour": "60",
    "5-pound bag": "5",
}


@pytest.mark.parametrize(("text", "answer"), STATED.items())
def test_strict_reads_what_is_stated(text: str, answer: str | None) -> None:
    reading = STRICT.read(text)
    assert reading.answer == answer, reading
    assert reading.reason


RELEASED = {
    "18": "18",
    "7.5": "7",
    "-5": "5",
    "$5,000": "5000",
    "9.00. So it is 9": "9",
    "twelve. Or so it is . yes": None,
    "first 1\nthen 2": "2",
    "x - 6": "6",
    "1.2.3": None,
    "the answer is [invalid] 5": None,
    "none": None,
}


@pytest.mark.parametrize(("text", "answer"), RELEASED.items())
def test_paper_reads_what_the_release_reads(text: str, answer: str | None) -> None:
    assert PAPER.read(text).answer == answer


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("3", "3", True),
        ("0.6667", "0.666666666667", True),
        ("0.66", "0.666666666667", False),
        ("33.3333", "33.33333333", True),
        ("33.334", "33.33333333", False),
        ("0.667", "0.666666666667", False),
        ("1000000", "1000001", False),
        ("12345678901234567890", "12345678901234567891", False),
        ("1.6e-19", "0", False),
        ("1.6e-19", "3.2e-19", False),
        ("-5", "5", False),
        ("0.0001", "0", False),
    ],
)
def test_how_near_is_the_same(answer: str, gold: str, same: bool) -> None:
    assert STRICT.same(answer, gold) is same
    assert STRICT.same(gold, answer) is same


WHOLE = st.integers(-(10**15), 10**15)
DRESSES = ["{:,}", "${:,}", "{} apples", "The answer: {}", "{}.", "{}.0", " {}\n", "**{:,}**", "about {:,} km/h", "{}%"]


@given(WHOLE, st.sampled_from(DRESSES))
def test_dress_doesnt_change_a_whole_number(number: int, dress: str) -> None:
    text = dress.format(number).replace("$-", "-$")
    assert STRICT.read(text).answer == str(number)
    assert STRICT.read(text.replace("-", "−")).answer == str(number)


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_canonical_is_stable_and_close(number: float) -> None:
    text = canonical(number)
    assert text is not None
    assert canonical(float(text)) == text
    assert abs(float(text) - number) <= 1e-11 * abs(number)
    assert STRICT.read(text).answer == text


@given(st.integers(0, 10**6), st.integers(1, 10**4))
def test_a_fraction_is_its_quotient(over: int, under: int) -> None:
    reading = STRICT.read(f"{over}/{under}")
    assert reading.answer is not None
    assert float(reading.answer) == pytest.approx(over / under, rel=1e-11)


@given(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6)))
def test_paper_truncates_and_drops_the_sign(number: float) -> None:
    text = f"{number:.6f}"
    assert PAPER.read(text).answer == str(abs(int(float(text))))


@given(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)).map(lambda pair: [canonical(x) or "" for x in pair]))
def test_same_is_symmetric_and_reflexive(pair: list[str]) -> None:
    left, right = pair
    assert STRICT.same(left, right) == STRICT.same(right, left)
    assert STRICT.same(left, left)
