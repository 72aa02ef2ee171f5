"""Multiple choice: the letter of the option.

Strict mode reads (B), B, B., b), "option B" and "(B) Bernard"; a span that names two options names none, and a lone "A"
before a word is an article. Paper mode is the released rule of Faithful-COT (MIT; AQUA): newlines, brackets and dots
stripped, upper case, then equality of text.
"""

import re

from homespun.tasks.base import Reading
from homespun.tasks.graders.text import TextGrader, shown, unboxed

BRACKETED = re.compile(r"\(([A-Za-z])\)")
LETTER = re.compile(
    r"[^A-Za-z0-9]{0,20}(?:(?i:(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?)[^A-Za-z0-9]{0,5})?"
    r"(?:([A-Za-z])(?![A-Za-z0-9'])[^A-Za-z0-9]{0,5}$|([A-Za-z])[).:,]|([B-HJ-Z])(?=\s))",
)


class ChoiceGrader(TextGrader):
    """Grades multiple choice; the canonical answer is the capital letter."""

    name = "choice"

    def read_strict(self, text: str) -> Reading:
        """The one option that is named."""
        stated = unboxed(text)
        named = {letter.upper() for letter in BRACKETED.findall(stated)}
        if len(named) > 1:
            return Reading(None, f"several options: {', '.join(sorted(named))}")
        if named:
            return Reading(named.pop(), "choice")
        match = LETTER.match(stated)
        if match is None:
            return Reading(None, f"no option is named: {shown(text)!r}")
        return Reading((match[1] or match[2] or match[3]).upper(), "choice")

    def read_paper(self, text: str) -> Reading:
        """The text itself, stripped, in upper case."""
        answer = text.strip("\n(). ").upper()
        return Reading(answer or None, "text of the choice" if answer else "no answer")
