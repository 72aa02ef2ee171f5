"""Kinship (CLUTRR): the one relation that a span names.

Strict mode knows the relations of CLUTRR (Sinha et al. 2019, arXiv:1908.06177) and their everyday synonyms; a span that
names two different relations names none. Paper mode is the released rule of Faithful-COT (MIT): dots stripped, then
equality of text.
"""

import re

from homespun.tasks.base import Reading
from homespun.tasks.graders.text import TextGrader, shown

RELATIONS = (
    *("father", "mother", "son", "daughter", "brother", "sister", "husband", "wife"),
    *("grandfather", "grandmother", "grandson", "granddaughter", "uncle", "aunt", "nephew", "niece", "cousin"),
    *("father-in-law", "mother-in-law", "son-in-law", "daughter-in-law", "brother-in-law", "sister-in-law"),
)
SYNONYMS = {
    **{"dad": "father", "daddy": "father", "mom": "mother", "mum": "mother", "mommy": "mother", "auntie": "aunt"},
    **{"grandpa": "grandfather", "granddad": "grandfather", "grandma": "grandmother", "granny": "grandmother"},
}
WORD = re.compile(r"(?<![A-Za-z])(grand[ -])?([A-Za-z]{3,13})([ -]in[ -]law)?(?![A-Za-z])")


class RelationGrader(TextGrader):
    """Grades kinship words; the canonical answer is the word in lower case, hyphens for in-laws."""

    name = "relation"

    def read_strict(self, text: str) -> Reading:
        """The one relation named."""
        named = {word for word in map(_relation, WORD.finditer(text)) if word in RELATIONS}
        if len(named) == 1:
            return Reading(named.pop(), "relation")
        what = f"several relations: {', '.join(sorted(named))}" if named else f"no kinship word: {shown(text)!r}"
        return Reading(None, what)

    def read_paper(self, text: str) -> Reading:
        """The text itself, without dots around it."""
        answer = text.strip().strip(".")
        return Reading(answer or None, "text of the relation" if answer else "no answer")


def _relation(match: re.Match[str]) -> str:
    word = match[2].lower()
    word = SYNONYMS.get(word, word)
    return ("grand" if match[1] else "") + word + ("-in-law" if match[3] else "")
