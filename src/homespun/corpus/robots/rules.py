"""One group's rules: the longest pattern that matches a path decides, and Allow wins a tie (RFC 9309, section 2.2.2).

A hostile file may hold tens of thousands of rules, so that plain prefixes are looked up by their beginning and length,
and only patterns with ``*`` or ``$`` are tried one by one; no pattern is ever a regular expression, so none blows up.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

_KEY = 5
"""Letters by which prefixes are looked up first: most paths share them with few of a long list, or none."""


class Rule(NamedTuple):
    """One Allow or Disallow line."""

    allow: bool
    pattern: str
    """In the spelling that paths are compared in; empty patterns make no rule."""
    line: int
    """Line of the file, from 1."""
    written: str
    """The value as it stands there."""

    @property
    def text(self) -> str:
        """The rule for people."""
        return f"line {self.line}: {'Allow' if self.allow else 'Disallow'}: {self.written}"


class _Index(NamedTuple):
    """A group's rules as they are looked up."""

    plain: dict[str, Rule]
    """Prefixes."""
    near: dict[str, list[int]]
    """Lengths of the prefixes that begin with these letters, from long to short."""
    short: list[int]
    """Lengths of those that are shorter than `_KEY`."""
    special: list[tuple[str, Rule]]
    """What must be tried, with what it begins with."""


class Rules:
    """Rules in the order in which they win: longest first, Allow before Disallow."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._given = tuple(rules)

    @cached_property
    def _rules(self) -> list[Rule]:
        return sorted(self._given, key=lambda rule: (-len(rule.pattern), not rule.allow))

    @cached_property
    def _sorted(self) -> "_Index":
        """What is looked up, made at the first path."""
        plain: dict[str, Rule] = {}
        special: list[tuple[str, Rule]] = []
        for rule in self._rules:
            if "*" in rule.pattern or rule.pattern.endswith("$"):
                special.append((rule.pattern.removesuffix("$").split("*", 1)[0], rule))
            else:
                plain.setdefault(rule.pattern, rule)
        near: dict[str, set[int]] = {}
        for pattern in plain:
            near.setdefault(pattern[:_KEY], set()).add(len(pattern))
        lengths = {key: sorted(found, reverse=True) for key, found in near.items() if len(key) == _KEY}
        short = sorted({len(key) for key in near if len(key) < _KEY}, reverse=True)
        return _Index(plain, lengths, short, special)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._given)

    @cached_property
    def said(self) -> tuple[tuple[bool, str], ...]:
        """What decides, in the order of the file: equal for sets of rules that decide alike."""
        return tuple([(allow, pattern) for allow, pattern, _, _ in self._given])

    def __len__(self) -> int:
        return len(self._given)

    @cached_property
    def never(self) -> bool:
        """Whether no path can be refused by these rules."""
        return all(rule.allow for rule in self._given)

    @cached_property
    def always(self) -> Rule | None:
        """The rule that refuses every path, if there is one and nothing is allowed."""
        whole = [rule for rule in self._given if not rule.allow and rule.pattern in ("/", "/*", "*")]
        return whole[0] if whole and not any(rule.allow for rule in self._given) else None

    def first(self, path: str) -> Rule | None:
        """The rule that decides on a path, or None.

        Args:
            path: In the rules' spelling, beginning with ``/``.
        """
        plain, near, short, special = self._sorted
        best = None
        for length in near.get(path[:_KEY], ()):
            if (best := plain.get(path[:length])) is not None:
                break
        else:
            for length in short:
                if (best := plain.get(path[:length])) is not None:
                    break
        for head, rule in special:
            if best is not None and (len(rule.pattern), rule.allow) <= (len(best.pattern), best.allow):
                break
            if path.startswith(head) and matches(rule.pattern, path):
                return rule
        return best


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern with ``*`` and a last ``$`` matches a path from its beginning."""
    anchored = pattern.endswith("$")
    first, *rest = (pattern[:-1] if anchored else pattern).split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return not anchored or len(path) == len(first)
    at = len(first)
    *middle, last = rest
    for part in middle:
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    if anchored:
        return len(path) - len(last) >= at and path.endswith(last)
    return path.find(last, at) >= 0
