"""Yes or no: the first word of a span decides.

Strict mode reads yes, no, true, false, 1 and 0 in any case and dress; a span that offers both ("yes or no") states
nothing. Paper mode is the released extraction of Faithful-COT (MIT; `_execute`): the first word, dots stripped, must be
exactly one of the two words; for Sports the case counts too.
"""

import re

from homespun.tasks.base import Mode, Reading
from homespun.tasks.graders.text import TextGrader, shown, unboxed

MEANING = {"yes": "true", "true": "true", "1": "true", "no": "false", "false": "false", "0": "false"}
WORD = re.compile(
    r"[^A-Za-z0-9]*(?:(?:text|mathrm|textbf)\{[^A-Za-z0-9]*)?(yes|no|true|false|[10](?:\.0+)?)(?![A-Za-z0-9_]|\.[0-9])",
    re.IGNORECASE,
)
OTHER = re.compile(r"[\s\"'*`]{0,4}(?:/|\||,? ?or\b|,? ?and\b)[\s\"'*`]{0,4}(?:not\b|yes\b|no\b|true\b|false\b)", re.I)


class BooleanGrader(TextGrader):
    """Grades yes-or-no answers; canonical answers are ``true`` and ``false``.

    Args:
        mode: See `TextGrader`.
        cased: Paper mode only: whether ``Yes`` is another word than ``yes``, as the release has it for Sports.
    """

    name = "boolean"

    def __init__(self, mode: Mode = "strict", *, cased: bool = False) -> None:
        super().__init__(mode)
        self.cased = cased

    def read_strict(self, text: str) -> Reading:
        """The first word, if it says yes or no."""
        stated = unboxed(text)
        match = WORD.match(stated)
        if match is None:
            return Reading(None, f"neither yes nor no: {shown(text)!r}")
        if OTHER.match(stated, match.end()):
            return Reading(None, f"both yes and no: {shown(text)!r}")
        return Reading(MEANING[match[1].split(".")[0].lower()], "boolean")

    def read_paper(self, text: str) -> Reading:
        """The first word, exactly."""
        word = text.split(maxsplit=1)[0].strip("\n.")
        known = {"True": "true", "False": "false"}.get(word) if self.cased else None
        answer = known or MEANING.get(word if self.cased else word.lower())
        return Reading(answer, "boolean" if answer else f"neither yes nor no: {shown(text)!r}")

    def read_gold(self, answer: str) -> Reading:
        """Gold answers are read strictly in both modes."""
        return self.read_strict(answer.rsplit("####", 1)[-1])
