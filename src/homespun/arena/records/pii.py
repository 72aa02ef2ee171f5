"""Personal data and secrets out of what is exported: each found by its form, and where it has one by its checksum.

E-mail addresses, telephone numbers, IP addresses, IBANs (ISO 13616, mod 97), payment cards (ISO 7812, Luhn), keys of
common services. A form is not a person: numbers in programs that happen to have one are replaced too, and names of
people are not found at all. Loopback, private and documentation addresses stay: they are nobody's.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

_KEYS = (
    r"sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|hf_[A-Za-z0-9]{30,}|"
    r"AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|xox[abprs]-[0-9A-Za-z-]{10,}|glpat-[0-9A-Za-z_-]{20,}|"
    r"(?:sk|pk|rk)_(?:live|test)_[0-9A-Za-z]{16,}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
)
_EMAIL = r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}"
_IBAN = r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"
_CARD = r"\d(?:[ -]?\d){12,18}"
_IPV4 = r"(?:\d{1,3}\.){3}\d{1,3}"
_IPV6 = r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?"
_PHONE = r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,12}|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4}"
_KEPT_HOSTS = ("example.com", "example.org", "example.net", ".example", ".test", ".invalid", ".local", ".localhost")


def scrub(text: str, found: Counter[str] | None = None) -> str:
    """A text with what is personal in it replaced by its kind in square brackets.

    Args:
        text: Anything; a text that was scrubbed stays as it is.
        found: Gets counts by kind.
    """
    for kind, pattern, check in _RULES:

        def replace(match: re.Match[str], kind: str = kind, check: Callable[[str], bool] = check) -> str:
            if not check(match[0]):
                return match[0]
            if found is not None:
                found[kind] += 1
            return f"[{kind}]"

        text = pattern.sub(replace, text)
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


def luhn(number: str) -> bool:
    """The checksum of payment cards (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in number if character.isdigit()][::-1]
    return sum(sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(digits)) % 10 == 0


def iban(number: str) -> bool:
    """The checksum of IBANs (ISO 13616-1; ISO 7064, mod 97-10)."""
    compact = number.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _card(number: str) -> bool:
    digits = re.sub(r"\D", "", number)
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and luhn(digits)


def _address(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return found.is_global and not found.is_multicast


def _email(text: str) -> bool:
    host = text.rpartition("@")[2].lower()
    return not host.endswith(_KEPT_HOSTS)


def _any(_: str) -> bool:
    return True


def _rule(kind: str, source: str, check: Callable[[str], bool], before: str = r"(?<![\w.+-])",
          after: str = r"(?![\w-])") -> tuple[str, re.Pattern[str], Callable[[str], bool]]:  # fmt: skip
    return kind, re.compile(f"{before}(?:{source}){after}"), check


_RULES = (
    _rule("key", _KEYS, _any, r"(?<![\w-])"),
    _rule("email", _EMAIL, _email, r"(?<![\w.%+-])"),
    _rule("iban", _IBAN, iban, r"(?<!\w)", r"(?!\w)"),
    _rule("card", _CARD, _card, r"(?<![\w.+-])(?<!\d )", r"(?!\w|[ .-]\d)"),
    _rule("ip", _IPV6, _address, r"(?<![\w:.])", r"(?![\w:.])"),
    _rule("ip", _IPV4, _address, r"(?<![\w.])", r"(?![\w]|\.\d)"),
    _rule("phone", _PHONE, _any, r"(?<![\w.+])(?<!\w-)", r"(?!\w|[.-]\d)"),
)
