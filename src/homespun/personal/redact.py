"""Personal data replaced by markers, once: a text that was redacted stays as it is.

All kinds are looked for in the text as it came; where two overlap, the one that begins first counts, then the longer.
Nothing that touches a marker is replaced, so that what a marker left beside it cannot become a hit the second time.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from homespun.personal.accounts import ibans
from homespun.personal.addresses import addresses
from homespun.personal.mail import emails
from homespun.personal.numbers import national_ids
from homespun.personal.spans import Finder, Span

Kind = Literal["email", "ip", "iban", "id"]
KINDS: Mapping[Kind, Finder] = {"email": emails, "ip": addresses, "iban": ibans, "id": national_ids}
"""What finds each kind."""
MARKERS: Mapping[Kind, str] = {kind: f"<{kind}-pii>" for kind in KINDS}
"""What stands in its place (swiss-ai/pretrain-data; single tokens of the tokenizer)."""
_MARKER = re.compile("|".join(MARKERS.values()))


class Redacted(NamedTuple):
    """A text without its personal data, and how much of it there was."""

    text: str
    counts: dict[Kind, int]
    """Distinct values by kind."""


def redact(text: str, kinds: Iterable[Kind] = ("email", "ip", "iban")) -> Redacted:
    """A text with what is personal in it replaced by markers.

    Args:
        text: Anything.
        kinds: What is looked for.
    """
    wanted = tuple(kinds)
    found: list[tuple[Span, Kind]] = [(span, kind) for kind in wanted for span in KINDS[kind](text)]
    found.sort(key=lambda hit: (hit[0].start, -hit[0].stop))
    marked = [(marker.start(), marker.end()) for marker in _MARKER.finditer(text)] if "-pii>" in text else []
    starts, stops = {start for start, _ in marked}, {stop for _, stop in marked}
    inside = {at for start, stop in marked for at in range(start, stop)}
    pieces: list[str] = []
    values: dict[Kind, set[str]] = {kind: set() for kind in wanted}
    end = 0
    for span, kind in found:
        near = span.start in stops or span.stop in starts
        if span.start < end or near or (inside and not inside.isdisjoint(range(span.start, span.stop))):
            continue
        pieces += (text[end : span.start], MARKERS[kind])
        values[kind].add(span.value)
        end = span.stop
    pieces.append(text[end:])
    return Redacted("".join(pieces), {kind: len(said) for kind, said in values.items()})
