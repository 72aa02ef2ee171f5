"""npm's versions (https://semver.org, and node-semver for ranges), in the forms that a dependency may have here.

One comparator alone: ``1.2.3``, ``^1.2``, ``~1``, ``>=1.2.3``, ``1.x``, ``*``. Ranges of several are not among them.
"""

import re
from typing import NamedTuple

_VERSION = re.compile(r"v?(\d{1,15})\.(\d{1,15})\.(\d{1,15})(?:-([\w.-]+))?(?:\+[\w.-]+)?", re.ASCII)
_RANGE = re.compile(
    r"(?P<sign>[\^~]|[<>]=?|=)?\s*v?(?P<parts>(?:\d{1,15}|[xX*])(?:\.(?:\d{1,15}|[xX*])){0,2})"
    r"(?:-(?P<pre>[\w.-]+))?(?:\+[\w.-]+)?",
    re.ASCII,
)
_Pre = tuple[tuple[int, int, str], ...]


class Version(NamedTuple):
    """A version; ``pre`` is ordered as semver wants, a release after all that lead to it."""

    major: int
    minor: int
    patch: int
    pre: _Pre


_RELEASE: _Pre = ((2, 0, ""),)
_LOWEST: _Pre = ()


def parse(text: str) -> Version | None:
    """A version; None if the text is none."""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        return None
    major, minor, patch, pre = found.groups()
    return Version(int(major), int(minor), int(patch), _pre(pre))


def _pre(text: str | None) -> _Pre:
    if text is None:
        return _RELEASE
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split("."))


def satisfies(version: str, wanted: str) -> bool:
    """Whether ``version`` is within the range ``wanted``; False if either cannot be read.

    As in node-semver, a version that leads to a release is within a range only if the range names such a one of the
    same release.
    """
    has, found = parse(version), _RANGE.fullmatch(wanted.strip())
    if has is None or found is None:
        return False
    given: list[int] = []
    for part in found["parts"].split("."):
        if not part.isdigit():
            break
        given.append(int(part))
    pre = _pre(found["pre"]) if found["pre"] and len(given) == 3 else _RELEASE
    if has.pre != _RELEASE and (pre == _RELEASE or tuple(given) != has[:3]):
        return False
    low, high = _bounds(found["sign"] or "", given, pre)
    return low is not None and low <= has and (high is None or has < high)


def _bounds(sign: str, given: list[int], pre: _Pre) -> tuple[Version | None, Version | None]:
    """The lowest version within, and the lowest above that is not: no low means none is within."""
    full = [*given, 0, 0, 0][:3]
    exact = len(given) == 3
    least = Version(full[0], full[1], full[2], pre if exact else _LOWEST)
    beyond = _raised(given, len(given) - 1)
    zero = Version(0, 0, 0, _LOWEST)
    if not given:
        return (None, None) if sign in ("<", ">") else (zero, None)
    after = Version(*least[:3], pre=(*least.pre, (0, -1, ""))) if exact else beyond
    match sign:
        case ">=":
            return least, None
        case ">":
            return after, None
        case "<=":
            return zero, after
        case "<":
            return zero, least
        case "^":
            nonzero = next((place for place, number in enumerate(given) if number), len(given) - 1)
            return least, _raised(given, nonzero)
        case "~":
            return least, _raised(given, min(1, len(given) - 1))
        case _:
            return least, after


def _raised(given: list[int], place: int) -> Version:
    """The lowest version in which the number at ``place`` is one higher."""
    numbers = [*given[:place], given[place] + 1, 0, 0][:3] if given else [0, 0, 0]
    return Version(numbers[0], numbers[1], numbers[2], _LOWEST)
