"""Personal data and secrets out of what is exported: each found by its form, and where it has one by its checksum.

E-mail addresses, IP addresses and IBANs as in `homespun.personal`; telephone numbers, payment cards (ISO 7812, Luhn)
and keys of common services besides. A form is not a person: numbers in programs that happen to have one are replaced
too, and names of people are not found at all. Loopback, private and documentation addresses stay: they are nobody's.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

from homespun.personal import Finder, Span, addresses, emails, iban, ibans
from homespun.personal.numbers import luhn

_KEYS = (
    r"sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|hf_[A-Za-z0-9]{30,}|"
    r"AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|xox[abprs]-[0-9A-Za-z-]{10,}|glpat-[0-9A-Za-z_-]{20,}|"
    r"(?:sk|pk|rk)_(?:live|test)_[0-9A-Za-z]{16,}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
)
_CARD = r"\d(?:[ -]?\d){12,18}"
_PHONE = r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,12}|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4}"


def scrub(text: str, found: Counter[str] | None = None) -> str:
    """A text with what is personal in it replaced by its kind in square brackets.

    Args:
        text: Anything; a text that was scrubbed stays as it is.
        found: Gets counts by kind.
    """
    for kind, finder in _FINDERS:
        pieces, end = [""], 0
        for start, stop, _ in finder(text):
            pieces += (text[end:start], f"[{kind}]")
            end = stop
            if found is not None:
                found[kind] += 1
        text = "".join(pieces) + text[end:]
    return text


def scrubbed(value: Any, found: Counter[str] | None = None) -> Any:
    """The same for all texts in a JSON value, its pictures left alone."""
    if isinstance(value, str):
        return scrub(value, found)
    if isinstance(value, dict):
        row = cast("dict[str, Any]", value)
        return {name: inner if name in _PICTURES else scrubbed(inner, found) for name, inner in row.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(inner, found) for inner in cast("list[Any]", value)]
    return value


_PICTURES = ("screenshot", "screenshot_base64", "execution_screenshot_A", "execution_screenshot_B")


def _card(number: str) -> bool:
    digits = re.sub(r"\D", "", number)
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and luhn(digits)


def _any(_: str) -> bool:
    return True


def _pattern(source: str, check: Callable[[str], bool], before: str, after: str) -> Finder:
    pattern = re.compile(f"{before}(?:{source}){after}")

    def find(text: str) -> Iterator[Span]:
        return (Span(*hit.span(), hit[0]) for hit in pattern.finditer(text) if check(hit[0]))

    return find


_FINDERS: tuple[tuple[str, Finder], ...] = (
    ("key", _pattern(_KEYS, _any, r"(?<![\w-])", r"(?![\w-])")),
    ("email", partial(emails, disguised=False)),
    ("iban", ibans),
    ("card", _pattern(_CARD, _card, r"(?<![\w.+-])(?<!\d )", r"(?!\w|[ .-]\d)")),
    ("ip", addresses),
    ("phone", _pattern(_PHONE, _any, r"(?<![\w.+])(?<!\w-)", r"(?!\w|[.-]\d)")),
)

__all__ = ["iban", "luhn", "scrub", "scrubbed"]
