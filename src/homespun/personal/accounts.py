"""Account numbers (IBAN, ISO 13616): a country's length and structure, and the checksum (ISO 7064, mod 97-10).

The released pattern of Apertus asks for four groups of four digits and finds neither the unspaced form nor letters
within; and it has no checksum. Here a candidate is read as far as its country's numbers are long, whatever follows.
"""

import re
from collections.abc import Iterator
from functools import cache

from homespun.personal.spans import Span

_STRUCTURES = (
    "AD:8n12c AE:19n AL:8n16c AT:16n AZ:4a20c BA:16n BE:12n BG:4a6n8c "  # spellchecker:disable-line
    "BH:4a14c BI:23n BR:23n1a1c BY:4c4n16c CH:5n12c "
    "CR:18n CY:8n16c CZ:20n DE:18n DJ:23n DK:14n DO:4c20n EE:16n EG:25n ES:20n FI:14n FK:2a12n FO:14n FR:10n11c2n "
    "GB:4a14n GE:2a16n GI:4a15c GL:14n GR:7n16c GT:24c HN:4a20n HR:17n HU:24n IE:4a14n IL:19n IQ:4a15n IS:22n "
    "IT:1a10n12c JO:4a4n18c KW:4a22c KZ:3n13c LB:4n20c LC:4a24c LI:5n12c LT:16n LU:3n13c LV:4a13c LY:21n MC:10n11c2n "
    "MD:20c ME:18n MK:3n10c2n MN:16n MR:23n MT:4a5n18c MU:4a19n3a NI:4a20n NL:4a10n NO:11n OM:3n16c PK:4a16c PL:24n "
    "PS:4a21c PT:21n QA:4a21c RO:4a16c RS:18n RU:14n15c SA:2n18c SC:4a20n3a SD:14n SE:20n SI:15n SK:20n SM:1a10n12c "
    "SO:19n ST:21n SV:4a20n TL:19n TN:20n TR:6n16c UA:6n19c VA:18n VG:4a16n XK:16n YE:4a4n18c "
)
"""What follows country and check digits, from the registry (ISO 13616, release 101): n digits, a letters, c either."""
_CLASSES = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}


def _structures() -> dict[str, tuple[int, re.Pattern[str]]]:
    found: dict[str, tuple[int, re.Pattern[str]]] = {}
    for entry in _STRUCTURES.split():
        country, _, structure = entry.partition(":")
        parts = re.findall(r"(\d+)([nac])", structure)
        pattern = "".join(f"{_CLASSES[kind]}{{{count}}}" for count, kind in parts)
        found[country] = 4 + sum(int(count) for count, _ in parts), re.compile(rf"{country}[0-9]{{2}}{pattern}\Z")
    return found


COUNTRIES = _structures()
"""Country code: length of its numbers, and their form without spaces."""
HINT = rf"(?i)(?:{'|'.join(COUNTRIES)})[0-9]{{2}}[ \u00a0\u202f-]?[A-Z0-9]"
"""A text without this holds no number; for a fast first look (Rust's or Python's regular expressions)."""


@cache
def _candidate() -> re.Pattern[str]:
    countries = "|".join(COUNTRIES)
    return re.compile(rf"(?i)(?<!\w)(?<!\w-)({countries})[0-9]{{2}}(?:[ \u00a0\u202f-]?[A-Za-z0-9]){{11,30}}")


def iban(number: str) -> bool:
    """Whether the checksum holds (ISO 7064, mod 97-10); neither country nor structure are looked at.

    Args:
        number: With or without spaces.
    """
    compact = re.sub(r"[\s-]", "", number).upper()
    if not (15 <= len(compact) <= 34 and compact.isascii() and compact.isalnum()):
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def ibans(text: str) -> Iterator[Span]:
    """Account numbers, spaced or not."""
    pattern, at = _candidate(), 0
    while found := pattern.search(text, at):
        length, form = COUNTRIES[found[1].upper()]
        stop = _end(text, found.start(), length)
        compact = re.sub(r"[^A-Z0-9]", "", text[found.start() : stop].upper())
        ends = stop == len(text) or not (text[stop].isalnum() or text[stop] == "_")
        if ends and form.match(compact) and iban(compact):
            yield Span(found.start(), stop, compact)
            at = stop
        else:
            at = found.start() + 4


def _end(text: str, start: int, length: int) -> int:
    """Where the ``length``-th letter or digit from ``start`` ends, single separators left out."""
    at, count = start, 0
    while at < len(text) and count < length:
        character = text[at]
        if character.isascii() and character.isalnum():
            count += 1
        elif character not in " \u00a0\u202f-" or text[at - 1] in " \u00a0\u202f-":
            break
        at += 1
    return at
