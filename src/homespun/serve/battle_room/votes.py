"""A vote, from the body of a request to its receipt: checked, held against the limits, and kept.

What makes it void, or what could sway it (`evidence`), is stored with it, so that a ranking needs only votes.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from homespun.serve.battle_room.evidence import Findings, Subject, findings
from homespun.serve.battle_room.limits import Limits
from homespun.serve.store.arena import ArenaStore, Event, Receipt, SessionRow, Vote, VoteRefused
from homespun.serve.store.arena.types import WINNERS, Winner

ASPECTS = ("correctness", "efficiency", "explainability", "maintainability", "ui_ux_design")
REASON = 4000
"""Characters of a rationale."""
_FIELDS = {"id", "winner", "aspects", "reason"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a voter sent."""

    id: str
    winner: Winner
    aspects: Mapping[str, Winner] = field(default_factory=dict[str, Winner])
    reason: str | None = None

    @staticmethod
    def parse(body: object) -> "Choice":
        """Checks the JSON of a request.

        Raises:
            VoteRefused: it is no vote ("invalid").
        """
        if not isinstance(body, dict):
            raise VoteRefused("invalid", "a vote is an object", '{"id": …, "winner": …}')
        given = cast("dict[object, Any]", body)
        if unknown := sorted(str(name)[:40] for name in given if name not in _FIELDS):
            raise VoteRefused("invalid", f"unknown field {unknown[0]!r}", ", ".join(sorted(_FIELDS)))
        return Choice(
            id=_id(given.get("id")),
            winner=_winner(given.get("winner"), "winner"),
            aspects=_aspects(given.get("aspects")),
            reason=_reason(given.get("reason")),
        )


def _id(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        return str(uuid.UUID(value))
    raise VoteRefused("invalid", "id is no UUID", "a fresh random UUID for each vote")


def _winner(value: object, what: str) -> Winner:
    for winner in WINNERS:
        if value == winner:
            return winner
    raise VoteRefused("invalid", f"{what} is none of {', '.join(WINNERS)}")


def _aspects(value: object) -> dict[str, Winner]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise VoteRefused("invalid", "aspects is no object", f"of {', '.join(ASPECTS)}")
    given = cast("dict[object, object]", value)
    if any(name not in ASPECTS for name in given):
        raise VoteRefused("invalid", "unknown aspect", f"of {', '.join(ASPECTS)}")
    return {name: _winner(given[name], name) for name in ASPECTS if given.get(name) is not None}


def _reason(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > REASON:
        raise VoteRefused("invalid", f"reason is no text of at most {REASON:,} characters")
    return value.strip() or None


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """A vote and what it is about."""

    choice: Choice
    session: SessionRow
    subject: Subject
    findings: Findings | None = None
    """On the subject; None: they are still to be found."""
    voter: str
    """Hash, as the next."""
    address: str
    shown: float | None
    """When both answers were to be seen, seconds since 1970."""
    topic: str | None = None
    prompt_hash: str | None = None


class Touched(Protocol):
    """A ranking that is to be made anew."""

    def touch(self) -> None:
        """Says that there is a new vote."""
        ...


class Ballots:
    """Takes votes.

    Args:
        store: Where they are kept.
        limits: How often somebody may vote.
        board: Told of new votes.
    """

    def __init__(self, store: ArenaStore, limits: Limits, board: Touched | None = None) -> None:
        self._store, self._limits, self._board = store, limits, board

    async def cast(self, ballot: Ballot, events: Callable[[Vote], Sequence[Event]] | None = None) -> Receipt:
        """Takes a vote; comes back when it is on disk. The same again gives the same receipt.

        Args:
            ballot: The vote.
            events: Makes what is to be written into the session with it, both or neither.

        Raises:
            VoteRefused: with its ``code`` and HTTP ``status``.
            DatabaseError: the database is away; the same vote may be sent again.
        """
        if ballot.session.mode == "direct" or ballot.session.model_b is None:
            raise VoteRefused("invalid", "there is nothing to compare in direct chat")
        now, model_b = time.time(), ballot.session.model_b
        try:
            self._limits.admit_vote(ballot.voter, ballot.address, ballot.shown, now)
        except VoteRefused:
            vote, there = _vote(ballot, model_b, now, {}), await self._store.vote_of(ballot.session.id)
            if there is None or there.id != vote.id or there.says() != vote.says():
                raise
            return Receipt(there, repeated=True)
        taken = False
        try:
            found = ballot.findings
            if found is None:
                found = await asyncio.to_thread(findings, ballot.subject)
            vote = _vote(ballot, model_b, now, found)
            receipt = await self._store.vote(vote, () if events is None else events(vote))
            taken = not receipt.repeated
        finally:
            if not taken:
                self._limits.withdraw_vote(ballot.voter, ballot.address, now)
        if taken and self._board is not None:
            self._board.touch()
        return receipt


def _vote(ballot: Ballot, model_b: str, now: float, found: Findings) -> Vote:
    session, choice = ballot.session, ballot.choice
    return Vote(
        id=choice.id,
        session=session.id,
        time=now,
        mode=session.mode,
        winner=choice.winner,
        aspects=choice.aspects,
        reason=choice.reason,
        voter=ballot.voter,
        address_hash=ballot.address,
        model_a=session.model_a,
        model_b=model_b,
        topic=ballot.topic,
        prompt_hash=ballot.prompt_hash,
        propensity=session.propensity,
        **found,
    )
