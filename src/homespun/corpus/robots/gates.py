"""A first look at many paths of one host: which of them any rule could refuse at all.

Most URLs of a site are nowhere near its rules. A gate knows how every Disallow pattern begins, or a piece that it must
hold, and lets the others pass without a rule being tried; what it stops is decided by the rules themselves.
"""

from collections.abc import Iterable
from typing import NamedTuple

from homespun.corpus.robots.rules import Rule

ENCODED = {char: f"%{ord(char):02X}" for char in "&?+,:;@!'()"}
"""Characters of plain paths that the paper's spelling has as escapes."""
_MANY = 16
_KEY = 6
"""Letters of a beginning that are looked up where there are many."""


class Gate(NamedTuple):
    """What a path must show to be looked at."""

    every: bool
    """Some rule could refuse any path."""
    exact: frozenset[str]
    heads: tuple[str, ...]
    """Beginnings, if there are few."""
    keys: tuple[tuple[int, frozenset[str]], ...]
    """The same where there are many, cut to `_KEY` letters and sorted by length, so that they are looked up."""
    pieces: tuple[str, ...]

    def stopped(self, paths: list[str]) -> list[int]:
        """Places of the paths that must be looked at, in order.

        Args:
            paths: Plain ones: without escapes, ``*`` or ``$``.
        """
        if self.every:
            return list(range(len(paths)))
        heads, exact = self.heads, self.exact
        found = [at for at, path in enumerate(paths) if path.startswith(heads)] if heads else []
        if not (self.keys or self.pieces or exact):
            return found
        for length, keys in self.keys:
            found += [at for at, path in enumerate(paths) if path[:length] in keys]
        if exact:
            found += [at for at, path in enumerate(paths) if path in exact]
        for piece in self.pieces:
            found += [at for at, path in enumerate(paths) if piece in path]
        return sorted(set(found))


def gate(rules: Iterable[tuple[Rule, bool]]) -> Gate:
    """The gate of several sets of rules.

    Args:
        rules: Each with whether it is in the paper's spelling.
    """
    exact: set[str] = set()
    heads: set[str] = set()
    pieces: set[str] = set()
    for rule, paper in rules:
        pattern = rule.pattern
        if rule.allow:
            continue
        anchored = pattern.endswith("$")
        if not anchored and "*" not in pattern and "%" not in pattern and len(pattern) > 1:
            heads.add(pattern)
            continue
        first, *rest = (pattern[:-1] if anchored else pattern).split("*")
        head = _plain(first) if paper else first
        others = [_aligned(piece) if paper else piece for piece in rest]
        if "%" in head or any("%" in piece for piece in others):
            continue  # plain paths have no escape
        if anchored and not rest:
            exact.add(head)
        elif len(head) > 1:
            heads.add(head)
        elif longest := max(others, key=len, default=""):
            pieces.add(longest)
        else:
            return Gate(True, frozenset(), (), (), ())
    if len(heads) <= _MANY:
        return Gate(False, frozenset(exact), tuple(sorted(heads)), (), tuple(sorted(pieces)))
    cut = {head[:_KEY] for head in heads}
    keys = [(length, frozenset(head for head in cut if len(head) == length)) for length in sorted(set(map(len, cut)))]
    return Gate(False, frozenset(exact), (), tuple(keys), tuple(sorted(pieces)))


def _plain(text: str) -> str:
    """A piece of the paper's spelling as plain paths have it."""
    for char, escape in ENCODED.items():
        text = text.replace(escape, char)
    return text


def _aligned(piece: str) -> str:
    """The same for a piece within a pattern, which could begin in the middle of an escape: such digits are left out."""
    digits = next((at for at, char in enumerate(piece) if char not in "0123456789ABCDEF"), len(piece))
    whole = _plain(piece[min(digits, 2) :])
    # It could end there as well: "%2" is the beginning of "%2C".
    at = whole.rfind("%")
    return whole[:at] if at >= 0 and len(whole) - at < 3 else whole
