"""Numbers: the last quantity that a span states.

Strict mode reads signs (also the unicode minus), thousands separators, currency, percent, fractions, mixed numbers,
scientific notation and words of magnitude; where several numbers stand, the last one counts ("13 + 20 = 33 players"
states 33). An expression, a range, a clock time or a tuple states no answer. A percent sign is a unit: "50%" is 50.

Paper mode is the rule of Calibrating-LLMs-with-Consistency (MIT; `extract_pred_answer`): last run of digits, dots and
commas, commas dropped, `int()`, `abs()`. We differ in one thing: the gold answer goes through the same rule, so that a
negative gold answer can be right (the release compares it with an absolute value, and it never is).

Every pattern is bounded or anchored: time grows linearly with the text.
"""

import math
import re

from homespun.tasks.base import Reading
from homespun.tasks.graders.text import TextGrader, unboxed

PLAIN = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,12})?")
RELEASED = re.compile(r"-?[0-9.,]+")
LONGEST = 400
"""Longest numeral that is read; a float holds 309 digits."""

_WHOLE = r"(?:[0-9]{1,2}(?:,[0-9]{2}){1,4},[0-9]{3}(?![0-9])|[0-9]+(?:,[0-9]{3}(?![0-9]))*)"
NUMBER = re.compile(
    rf"""
      (?P<clock>(?<![0-9.:])[0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}})?(?![0-9:]))
    | (?P<sign>-|negative[ ]|minus[ ])? (?:[$€£¥₹₩₽¢][ ]?(?P<inner>-)?)?
      (?: (?<![A-Za-z_^0-9])(?<![0-9]\.)
          (?: (?P<mixed>[0-9]+)[ ](?P<over>[0-9]+)/(?P<under>[0-9]+)(?![0-9./])
            | (?P<number>{_WHOLE}(?:\.[0-9]+)?)
          )
        | (?<![A-Za-z_^0-9.])(?P<point>\.[0-9]+)
      )
      (?: [ ]?/[ ]?(?P<divisor>[0-9]+(?:\.[0-9]+)?)(?![0-9]|[ ]?/[ ]?[0-9])
        | e(?P<exponent>[-+]?[0-9]{{1,3}})(?![0-9A-Za-z])
        | [ ]?[*x][ ]?10(?:\^|\*\*)[{{(]?(?P<power>-?[0-9]{{1,3}})[)}}]?
        | [ ]?(?P<magnitude>thousand|million|billion|trillion)(?![A-Za-z])
      )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
MAGNITUDES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}

_TERM = r"(?:[A-Za-z_]\w*|[0-9]+(?:\.[0-9]+)?)"
EXPRESSION = re.compile(
    rf"[-+]?{_TERM}(?:(?:[ ]?(?:\*\*?|[\^+])[ ]?|[ ]-[ ]|-(?=[0-9])){_TERM}|[ ]?/[ ]?[0-9]+(?:\.[0-9]+)?)+"
)
SPACED = re.compile(r"[$€£]?[ ]?[0-9]{1,3}(?: [0-9]{3}){1,6}(?![0-9])")
CODES = re.compile(r"\b(?:USD|EUR|GBP|INR|CAD|AUD|Rs)(?=[0-9])")
FRACTION = re.compile(r"\\[dt]?frac\{([0-9]+)\}\{([0-9]+)\}")
LATEX = re.compile(r"\\(?:times|cdot)\b|\\[ ,!;]|\\(?=[$%])")
SYMBOLS = str.maketrans(
    {
        **dict.fromkeys("−–﹣-‐‑", "-"),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\u2002\u2003", " "),
        **dict.fromkeys("×⋅", "*"),
        **{"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⁄": "/", "\uff04": "$", "\uff05": "%"},
    }
)


def canonical(value: float) -> str | None:
    """Shortest text of a finite number, 12 significant digits for fractions, so that equal answers vote together."""
    if not math.isfinite(value):
        return None
    if not value.is_integer():
        value = float(f"{value:.12g}")
    return str(int(value)) if value.is_integer() else repr(value)


class NumericGrader(TextGrader):
    """Grades numbers; see the head of this file for what strict and paper read."""

    name = "numeric"

    def read_strict(self, text: str) -> Reading:
        """The last quantity stated, as canonical text."""
        if PLAIN.fullmatch(text):
            return Reading(canonical(float(text)), "number")
        plain = _tidy(text)
        whole = NUMBER.fullmatch(plain)
        if whole is None and len(plain) <= LONGEST:
            bare = plain.replace("(", "").replace(")", "")
            if EXPRESSION.fullmatch(bare) and not NUMBER.fullmatch(bare):
                return Reading(None, "an expression, not a number")
            if plain[:1] in "([{" and plain[-1:] in ")]}" and "," in plain and len(NUMBER.findall(plain)) > 1:
                return Reading(None, "several values, not one number")
        last = None
        for match in NUMBER.finditer(plain):
            if match["clock"] is None:
                last = match
        if last is None:
            return Reading(None, "no number in the answer")
        return _value(last, plain)

    def read_paper(self, text: str) -> Reading:
        """Last run of digits, dots and commas of the last line; truncated; sign lost."""
        if "[invalid]" in text:
            return Reading(None, "no answer was extracted")
        found = RELEASED.findall(text.strip("\n.").strip().split("\n")[-1])
        if not found:
            return Reading(None, "no number in the answer")
        try:
            return Reading(str(abs(int(float(found[-1].replace(",", ""))))), "number, truncated, without its sign")
        except (ValueError, OverflowError):
            return Reading(None, "the last number cannot be converted")

    def same(self, answer: str, gold: str) -> bool:
        """Whether two numbers agree: whole numbers exactly, others within 1e-4 (of the number itself below 1)."""
        if answer == gold:
            return True
        if self.mode == "paper" or (answer.lstrip("-").isdigit() and gold.lstrip("-").isdigit()):
            return False
        left, right = float(answer), float(gold)
        scale = max(abs(left), abs(right))
        return abs(left - right) < max(1e-4 * min(1.0, scale), 1e-11 * scale)


def _tidy(text: str) -> str:
    text = unboxed(text).translate(SYMBOLS).replace("{,}", ",")
    if "\\" in text:
        text = LATEX.sub(lambda found: "*" if found[0][1:] in ("times", "cdot") else "", FRACTION.sub(r"\1/\2", text))
    text = CODES.sub("$", text).strip().rstrip(".").strip()
    spaced = SPACED.match(text)
    return spaced[0].replace(" ", "") + text[spaced.end() :] if spaced else text


def _value(match: re.Match[str], text: str) -> Reading:
    if match.end() - match.start() > LONGEST:
        return Reading(None, "too long to be a number")
    divisor = match["divisor"] or match["under"]
    if divisor is not None and float(divisor) == 0:
        return Reading(None, "a division by zero")
    negative = bool(match["inner"] or (match["sign"] and _is_sign(text, match.start())))
    if match["number"] is not None and match.end("number") == match.end() and "." not in match["number"]:
        whole = int(match["number"].replace(",", ""))  # exact, also beyond what a float can hold
        return Reading(str(-whole if negative else whole), "number")
    if match["mixed"] is not None:
        value = float(match["mixed"]) + float(match["over"]) / float(match["under"])
    else:
        digits = (match["number"] or match["point"]).replace(",", "")
        value = float(f"{digits}e{int(match['exponent'] or match['power'] or 0)}") / float(divisor or 1)
        value *= MAGNITUDES.get((match["magnitude"] or "").lower(), 1.0)
    answer = canonical(-value if negative else value)
    return Reading(answer, "number" if answer is not None else "too large to be a number")


def _is_sign(text: str, position: int) -> bool:
    """Whether a minus at ``position`` belongs to the number: not after an operand, as in ``20 - 5`` or ``10-15``."""
    before = text[max(0, position - 3) : position]
    operand = before.rstrip()[-1:]
    if operand == before[-1:]:
        return not (operand.isalnum() or operand in (")", "]", "%"))
    return not (operand.isdigit() or operand in (")", "]", "%"))
