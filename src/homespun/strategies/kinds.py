"""What kind of answer a data set asks for, and the words in which a prompt asks for it."""

from typing import Literal

Kind = Literal["number", "boolean", "plausibility", "date", "plan", "text"]

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("gsm8k", "svamp", "multiarith", "asdiv", "object_counting", "multistep_arithmetic_two"), "number"),
    **dict.fromkeys(("strategyqa", "navigate", "boolean_expressions", "web_of_lies"), "boolean"),
    **dict.fromkeys(("sports", "sports_understanding"), "plausibility"),
    "date": "date",
    "saycan": "plan",
}

ASKED: dict[Kind, str] = {
    "number": "a number",
    "boolean": "yes or no",
    "plausibility": "yes or no: is the sentence plausible?",
    "date": "a date as MM/DD/YYYY",
    "plan": "a numbered plan that ends in done()",
    "text": "the answer in as few words as possible",
}


def kind_of(task: str) -> Kind:
    """Kind of answer of a data set; ``text`` where it is unknown."""
    return KINDS.get(task, "text")
