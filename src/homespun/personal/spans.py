"""What a finder gives: places in a text, each with the value that stands there in one spelling."""

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """One place where something personal stands."""

    start: int
    stop: int
    value: str
    """The same for all spellings of one address or number, so that distinct ones can be counted."""


Finder = Callable[[str], Iterator[Span]]
"""Finds spans from left to right, without overlap, in time linear in the text."""
