"""SPDX expressions (ISO 5962, annex D) as trees: ``AND`` binds more closely than ``OR``, ``WITH`` than both.

More is understood than the standard has: names instead of identifiers, small letters, "or later". What stays ambiguous
is an error, since a wrong guess is somebody else's right.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from homespun.corpus.filters.licence_names import UNSPECIFIED, exception_id, spdx_id

LONGEST = 2000
"""Characters of an expression."""
DEEPEST = 40
"""Parentheses in each other."""
_TOKEN = re.compile(r"\(|\)|(?<![-\w])(?:and|or|with)(?![-\w])", re.IGNORECASE)
_LATER = re.compile(
    r",?\s*\(?(?:at your option,? )?\bor(?: \(at your option\))?(?: any)? (?:later|newer)(?: versions?)?\)?",
    re.IGNORECASE,
)


class UnparsableError(ValueError):
    """An expression that is none; its text says why."""


class Leaf(NamedTuple):
    """One licence, perhaps with an exception."""

    licence: str
    exception: str | None = None

    def __str__(self) -> str:
        return f"{self.licence} WITH {self.exception}" if self.exception else self.licence


class Joined(NamedTuple):
    """Several: all of them apply, or one may be chosen."""

    word: Literal["AND", "OR"]
    parts: tuple["Expression", ...]

    def __str__(self) -> str:
        inner = (f"({part})" if self.word == "AND" and _is(part, "OR") else str(part) for part in self.parts)
        return f" {self.word} ".join(inner)


Expression = Leaf | Joined


def unspecified(text: str | None) -> bool:
    """Whether nothing is said."""
    return text is None or " ".join(text.lower().split()).strip(" .[]()'\"") in UNSPECIFIED | {""}


def parse(text: str) -> Expression:
    """An expression, with canonical identifiers.

    Args:
        text: As it was written.

    Raises:
        UnparsableError: a licence is unknown or ambiguous, or the grammar broken.
    """
    if len(text) > LONGEST:
        raise UnparsableError(f"{len(text)} characters")
    whole = spdx_id(text.strip())
    if whole is not None:
        return Leaf(whole)
    parser = _Parser(_tokens(_LATER.sub("+", text)))
    found = parser.either(0)
    if parser.tokens:
        raise UnparsableError(f"unexpected {parser.tokens[-1]!r}")
    return found


def failing(expression: Expression, allowed: Callable[[Leaf], bool]) -> Leaf | None:
    """The first licence that stands in the way; None: what it says is allowed.

    Args:
        expression: Of ``OR`` one part must be allowed, of ``AND`` all.
        allowed: Says so of one licence.
    """
    if isinstance(expression, Leaf):
        return None if allowed(expression) else expression
    found = [failing(part, allowed) for part in expression.parts]
    if expression.word == "OR":
        return None if None in found else found[0]
    return next((leaf for leaf in found if leaf is not None), None)


def _is(expression: Expression, word: str) -> bool:
    return isinstance(expression, Joined) and expression.word == word


def _tokens(text: str) -> list[str]:
    """Words of the grammar in capitals and names between them, in reverse order."""
    found: list[str] = []
    at = 0
    for word in _TOKEN.finditer(text):
        found += [text[at : word.start()].strip(), word[0].upper()]
        at = word.end()
    found.append(text[at:].strip())
    return [token for token in reversed(found) if token]


class _Parser:
    """Recursive descent over tokens, the next of which is the last of the list."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def either(self, depth: int) -> Expression:
        return self._joined("OR", lambda: self._all(depth))

    def _all(self, depth: int) -> Expression:
        return self._joined("AND", lambda: self._one(depth))

    def _joined(self, word: Literal["AND", "OR"], part: Callable[[], Expression]) -> Expression:
        parts = [part()]
        while self.tokens and self.tokens[-1] == word:
            self.tokens.pop()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _one(self, depth: int) -> Expression:
        token = self._name("(")
        if token == "(":
            if depth >= DEEPEST:
                raise UnparsableError("too many parentheses")
            inner = self.either(depth + 1)
            if not self.tokens or self.tokens.pop() != ")":
                raise UnparsableError("a parenthesis that does not end")
            return inner
        licence = spdx_id(token)
        if licence is None:
            raise UnparsableError(f"unknown or ambiguous: {token[:100]!r}")
        if not self.tokens or self.tokens[-1] != "WITH":
            return Leaf(licence)
        self.tokens.pop()
        name = self._name()
        exception = exception_id(licence, name)
        if exception is None:
            raise UnparsableError(f"unknown exception {name[:100]!r}")
        return Leaf(licence, exception)

    def _name(self, *besides: str) -> str:
        token = self.tokens.pop() if self.tokens else ""
        if not token or (token in ("AND", "OR", "WITH", "(", ")") and token not in besides):
            raise UnparsableError(f"a licence is missing before {token!r}" if token else "a licence is missing")
        return token
