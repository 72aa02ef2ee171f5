"""Dates: the first calendar date that a span states, month first.

Strict mode reads the form that the questions ask for, 05/01/2021, and the form that a program's date prints,
2021-05-01 (a time may follow), and checks the calendar. 5/1/2021, 05/01/21 and May 1, 2021 are not in the form asked
for: they are no answer. A gold answer may have any of these forms but the year of two digits.
Paper mode is the released rule of Faithful-COT (MIT): white space, dots and hashes removed, trailing Y dropped, then
equality of text.
"""

import re
from collections.abc import Iterator
from datetime import date

from homespun.tasks.base import Reading
from homespun.tasks.graders.text import TextGrader, shown, unboxed

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ASKED = re.compile(
    r"(?<![0-9/])(?P<m1>[0-9]{2})/(?P<d1>[0-9]{2})/(?P<y1>[0-9]{4})(?![0-9])"
    r"|(?<![0-9-])(?P<y2>[0-9]{4})-(?P<m2>[0-9]{2})-(?P<d2>[0-9]{2})(?![0-9])"
)
_MONTH = rf"(?:{'|'.join(MONTHS)})[a-z]{{0,6}}"
GOLD = re.compile(
    r"(?<![0-9/])(?P<m1>[0-9]{1,2})/(?P<d1>[0-9]{1,2})/(?P<y1>[0-9]{4})(?![0-9])"
    r"|(?<![0-9-])(?P<y2>[0-9]{4})-(?P<m2>[0-9]{1,2})-(?P<d2>[0-9]{1,2})(?![0-9])"
    rf"|(?P<m3>{_MONTH})\.?\s{{0,2}}(?P<d3>[0-9]{{1,2}})(?:[a-z]{{2}})?,?\s{{0,2}}(?P<y3>[0-9]{{4}})(?![0-9])"
    rf"|(?<![0-9])(?P<d4>[0-9]{{1,2}})(?:[a-z]{{2}})?\s{{0,2}}(?P<m4>{_MONTH})\.?,?\s{{0,2}}(?P<y4>[0-9]{{4}})(?![0-9])",
    re.IGNORECASE,
)
RELEASED = re.compile(r"[\s.#]")


class DateGrader(TextGrader):
    """Grades dates; the canonical form is MM/DD/YYYY."""

    name = "date"

    def read_strict(self, text: str) -> Reading:
        """The first valid date in the form asked for."""
        return _first(ASKED, unboxed(text))

    def read_paper(self, text: str) -> Reading:
        """The text itself, without white space, dots, hashes and trailing Y."""
        answer = RELEASED.sub("", text).rstrip("Y")
        return Reading(answer or None, "text of the date" if answer else "no answer")

    def read_gold(self, answer: str) -> Reading:
        """The gold date in any of the forms named at the head of this file."""
        return _first(GOLD, answer.rsplit("####", 1)[-1])


def _first(pattern: re.Pattern[str], text: str) -> Reading:
    day = next(_dates(pattern, text), None)
    if day is None:
        return Reading(None, f"no date in the form MM/DD/YYYY: {shown(text)!r}")
    return Reading(f"{day.month:02d}/{day.day:02d}/{day.year:04d}", "date")


def _dates(pattern: re.Pattern[str], text: str) -> Iterator[date]:
    for match in pattern.finditer(text):
        found = {name[0]: value for name, value in match.groupdict().items() if value is not None}
        month = found["m"]
        number = int(month) if month.isdigit() else MONTHS.index(month[:3].lower()) + 1
        try:
            yield date(int(found["y"]), number, int(found["d"]))
        except ValueError:
            continue
