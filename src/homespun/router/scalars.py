"""What can be counted in a prompt: 26 numbers, from the text alone.

EMAFusion §4.1 asks for some 20 (length, digits, code fences, question words …); ours add what makes a question hard to
work out (numbers, rates, comparisons) or is typical of multiple choice (options, blanks, negations).
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HEAD, TAIL = 6000, 2000
"""Characters of a long prompt that are read, at its start and at its end."""

SCALARS = (
    "characters",
    "words",
    "lines",
    "sentences",
    "mean_word",
    "longest_sentence",
    "distinct_words",
    "digits",
    "numbers",
    "largest_number",
    "decimals",
    "operators",
    "money_percent",
    "capitals",
    "non_ascii",
    "code",
    "questions",
    "how_many",
    "why_how",
    "options",
    "option_length",
    "blanks",
    "negations",
    "rates",
    "comparisons",
    "statements",
)

_OPTION = re.compile(r"^\s*\(?[A-Ja-j0-9][.)]\s+(.*)$", re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CODE = re.compile(r"```|\bdef \b|\breturn\b|[{};]\s*$|</?\w+>|==|->", re.MULTILINE)
_HOW_MANY = re.compile(r"\bhow (?:many|much|far|long|old|often)\b", re.IGNORECASE)
_WHY_HOW = re.compile(r"\b(?:why|how|explain|prove|derive|show that)\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:not|never|except|without|least|false|incorrect)\b|n't\b", re.IGNORECASE)
_RATE = re.compile(r"\b(?:each|every|per|half|twice|thirds?|quarters?|fraction|times|average|ratio)\b", re.IGNORECASE)
_COMPARISON = re.compile(r"\b(?:more|less|fewer|than|most|greater|total|altogether|left|remaining)\b", re.IGNORECASE)
_STATEMENT = re.compile(r"\b(?:statement \d|following|which of|true|I{1,3}\b|assume|suppose|if)", re.IGNORECASE)


def clip(prompt: str) -> str:
    """The part of a prompt that is read: all of it up to 8,000 characters, else its start and its end."""
    return prompt if len(prompt) <= HEAD + TAIL else f"{prompt[:HEAD]}\n{prompt[-TAIL:]}"


def scalars_of(prompts: Sequence[str]) -> Floats:
    """(n, 26) `SCALARS` of each prompt."""
    rows = [scalars(clip(prompt), len(prompt)) for prompt in prompts]
    return np.array(rows, dtype=np.float64).reshape(len(prompts), len(SCALARS))


def scalars(text: str, length: int | None = None) -> list[float]:
    """`SCALARS` of a prompt; counts as log(1 + count), shares as they are.

    Args:
        text: What is read of the prompt.
        length: Characters of the whole prompt, where that is longer.
    """
    words = text.split()
    sentences = [part for part in re.split(r"[.!?]\s+|\n", text) if part.strip()] or [""]
    numbers = [_value(number) for number in _NUMBER.findall(text)]
    options = [option for option in _OPTION.findall(text) if option]
    size, num = max(len(text), 1), max(len(words), 1)
    counts = {
        "characters": len(text) if length is None else length,
        "words": len(words),
        "lines": text.count("\n"),
        "sentences": len(sentences),
        "longest_sentence": max(len(part.split()) for part in sentences),
        "numbers": len(numbers),
        "largest_number": max(numbers, default=0.0),
        "operators": sum(text.count(sign) for sign in "+-*/=^<>\\"),
        "money_percent": sum(text.count(sign) for sign in "$%€£"),
        "code": len(_CODE.findall(text)),
        "questions": text.count("?"),
        "how_many": len(_HOW_MANY.findall(text)),
        "why_how": len(_WHY_HOW.findall(text)),
        "options": len(options),
        "blanks": text.count("__"),
        "negations": len(_NEGATION.findall(text)),
        "rates": len(_RATE.findall(text)),
        "comparisons": len(_COMPARISON.findall(text)),
        "statements": len(_STATEMENT.findall(text)),
    }
    logs = {name: float(np.log1p(count)) for name, count in counts.items()}
    shares = {
        "mean_word": sum(map(len, words)) / num,
        "distinct_words": len(set(words)) / num,
        "digits": sum(map(str.isdigit, text)) / size,
        "decimals": sum(number != int(number) for number in numbers) / max(len(numbers), 1),
        "capitals": sum(map(str.isupper, text)) / size,
        "non_ascii": 0.0 if text.isascii() else sum(ord(sign) > 127 for sign in text) / size,
        "option_length": sum(map(len, options)) / max(len(options), 1) / 100,
    }
    values = logs | shares
    return [values[name] for name in SCALARS]


def _value(number: str) -> float:
    digits = number.replace(",", "")[:15]
    return float(digits) if digits.count(".") <= 1 else float(digits.split(".", maxsplit=1)[0])
