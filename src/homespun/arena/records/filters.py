"""Which sessions become preferences: the filters of BigCodeArena (arXiv:2510.08697, section 3.2 and appendix E).

The paper took 14,123 sessions to 4,731: pairwise, with a vote, of at least two turns, both programs executed. "Turn"
means there now one message, now a request with its answer: so the least number of messages is a setting. What was done
about duplicates and personal data isn't told; here a duplicate is the same vote on the same two conversations.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from homespun.arena.records.duel import Duel


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a session must have."""

    modes: tuple[str, ...] = ("battle",)
    min_messages: int = 2
    """On each side; 2 are one request and one answer."""
    executed: bool = True
    """On both sides at least one program was run."""
    void: bool = False
    """Whether votes count although a name had leaked."""
    duplicates: bool = False
    """Whether the same again counts again."""


@dataclass
class Sieve:
    """Applies filters and counts what they took out, and why."""

    filters: Filters = field(default_factory=Filters)
    dropped: Counter[str] = field(default_factory=Counter[str])
    kept: int = 0
    _seen: set[bytes] = field(default_factory=set[bytes])

    def keep(self, duels: Iterable[Duel]) -> Iterable[Duel]:
        """Those that have it."""
        for duel in duels:
            if (reason := self.why_not(duel)) is not None:
                self.dropped[reason] += 1
            else:
                self.kept += 1
                yield duel

    def why_not(self, duel: Duel) -> str | None:
        """The first reason against a session, or None."""
        wanted = self.filters
        if duel.b is None:
            return "one side only"
        if duel.mode not in wanted.modes:
            return f"mode {duel.mode}"
        if duel.vote is None:
            return "no vote"
        if duel.vote.void and not wanted.void:
            return "void"
        if min(len(duel.a.messages), len(duel.b.messages)) < wanted.min_messages:
            return "too few messages"
        if wanted.executed and not (duel.a.runs and duel.b.runs):
            return "not executed"
        if not wanted.duplicates:
            key = _key(duel)
            if key in self._seen:
                return "duplicate"
            self._seen.add(key)
        return None


def _key(duel: Duel) -> bytes:
    digest = hashlib.sha256(str(duel.vote and duel.vote.winner).encode())
    for side in (duel.a, duel.side("b")):
        for part in (side.model, *(message.text for message in side.messages)):
            digest.update(b"\0" + part.encode("utf-8", "replace"))
    return digest.digest()
