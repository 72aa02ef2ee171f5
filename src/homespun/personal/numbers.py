"""National identity numbers of some European countries: by form, date of birth and checksum. Off by default.

Digits with a check digit or two are common in tables and part lists, so that a number without letters or a separator
of its own counts only where a word for it stands shortly before ("PESEL", "BSN"). The rules are public facts; the
checksums are those of each country's registry.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

from homespun.personal.spans import Span


class _Number(NamedTuple):
    country: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool]
    """Of the digits and letters, in upper case."""
    words: re.Pattern[str] | None
    """One of which must stand before a bare number."""


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _born(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def luhn(number: str) -> bool:
    """The checksum of payment cards (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in number if character.isdigit()][::-1]
    return sum(sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(digits)) % 10 == 0


def _spain(number: str) -> bool:
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == number[-1]


def _italy(number: str) -> bool:
    odd = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True))
    letters = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    odd |= {chr(65 + at): value for at, value in enumerate(letters)}
    total = sum(
        odd[sign] if at % 2 == 0 else int(sign) if sign.isdigit() else ord(sign) - 65
        for at, sign in enumerate(number[:15])
    )
    return chr(65 + total % 26) == number[15]


def _france(number: str) -> bool:
    digits = number[:13].replace("2A", "19").replace("2B", "18")
    return digits.isdigit() and 97 - int(digits) % 97 == int(number[13:])


def _belgium(number: str) -> bool:
    body, check = number[:9], int(number[9:])
    month, day = int(number[2:4]), int(number[4:6])
    return month <= 12 and day <= 31 and check in (97 - int(body) % 97, 97 - int(f"2{body}") % 97)


def _poland(number: str) -> bool:
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[int(number[2]) // 2]
    year, month = century + int(number[:2]), int(number[2:4]) % 20
    total = _weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1))
    return total % 10 == 0 and _born(year, month, int(number[4:6]))


def _sweden(number: str) -> bool:
    short = number[-10:]
    return luhn(short) and any(_born(y + int(short[:2]), int(short[2:4]), int(short[4:6])) for y in (1900, 2000))


def _finland(number: str) -> bool:
    century = 1800 if number[6] == "+" else 2000 if number[6] in "ABCDEF" else 1900
    born = _born(century + int(number[4:6]), int(number[2:4]), int(number[:2]))
    return born and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number[:6] + number[7:10]) % 31] == number[10]


def _switzerland(number: str) -> bool:
    return (10 - _weighted(number, (1, 3) * 6)) % 10 == int(number[12])


def _netherlands(number: str) -> bool:
    return int(number) > 0 and _weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _germany(number: str) -> bool:
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    rest = 10
    for digit in number[:10]:
        rest = ((int(digit) + rest) % 10 or 10) * 2 % 11
    return number[0] != "0" and counts[-1] in (2, 3) and counts[-2] == 1 and (11 - rest) % 10 == int(number[10])


def _czechia(number: str) -> bool:
    month = int(number[2:4]) % 50
    month = month - 20 if month > 20 else month
    year = 1900 + int(number[:2]) if int(number[:2]) >= 54 else 2000 + int(number[:2])
    return _born(year, month, int(number[4:6])) and int(number[:9]) % 11 % 10 == int(number[9])


def _number(country: str, pattern: str, check: Callable[[str], bool], words: str = "") -> _Number:
    named = (
        re.compile(rf"(?i)(?<![^\W_])(?:{words})[^\w\n]{{0,3}}(?:\w{{2,10}}[^\w\n]{{0,3}}){{0,2}}\Z") if words else None
    )
    return _Number(country, re.compile(rf"(?<![\w.,/+-]){pattern}(?!\w|[.,/+-]\w)"), check, named)


NUMBERS = (
    _number("ES", r"(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-Z]", _spain),
    _number("IT", r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]", _italy),
    _number("FR", r"[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?[0-9][0-9AB](?: ?[0-9]{3}){2} ?[0-9]{2}", _france),
    _number("BE", r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", _belgium),
    _number("PL", r"[0-9]{11}", _poland, "pesel"),
    _number("SE", r"(?:19|20)?[0-9]{6}[-+][0-9]{4}", _sweden),
    _number("FI", r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", _finland),
    _number("CH", r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", _switzerland),
    _number("NL", r"[0-9]{9}", _netherlands, "bsn|burgerservicenummer|sofinummer|sofi-nummer"),
    _number("DE", r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", _germany,
            "idnr|steuer-?id|steueridentifikationsnummer|steuerliche identifikationsnummer|tin"),
    _number("CZ", r"[0-9]{6}/[0-9]{4}", _czechia),
)  # fmt: skip
"""Country, form and checksum."""
HINT = (
    r"(?i)[0-9]{6}|[0-9]{2}\.[0-9]{2}\.[0-9]{2}|756\.|[12] [0-9]{2} [0-9]{2}|[XYZ]-?[0-9]{7}|[0-9] [0-9]{3} |"
    r"[A-Z]{6}[0-9LMNP-V]{2}[A-T]"
)
"""A text without this holds no number; for a fast first look."""


def national_ids(text: str) -> Iterator[Span]:
    """Identity numbers whose checksum holds, from left to right."""
    found: list[Span] = []
    for country, pattern, check, words in NUMBERS:
        for hit in pattern.finditer(text):
            compact = re.sub(r"[ ./-]", "", hit[0]) if country != "FI" else hit[0]
            named = words is None or words.search(text[max(0, hit.start() - 60) : hit.start()]) is not None
            if named and check(compact.replace("+", "") if country != "FI" else compact):
                found.append(Span(hit.start(), hit.end(), f"{country}{compact}"))
    end = 0
    for span in sorted(found):
        if span.start >= end:
            yield span
            end = span.stop
