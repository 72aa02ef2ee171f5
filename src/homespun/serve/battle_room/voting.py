"""A vote on a live session: when it may be given, what it is about, and how the log gets it in one transaction."""

from functools import cache
from typing import Any

from homespun.arena.examples import examples
from homespun.serve.battle_room import views
from homespun.serve.battle_room.desk import Desk
from homespun.serve.battle_room.evidence import Findings, Subject
from homespun.serve.battle_room.room import Room, refuse
from homespun.serve.battle_room.sessions import Side
from homespun.serve.battle_room.votes import Ballot, Choice
from homespun.serve.store.arena import Event, Vote

JSON = dict[str, Any]


async def vote(desk: Desk, room: Room, body: JSON, address: str) -> tuple[JSON, bool]:
    """Takes a vote.

    Args:
        desk: For the store and the limits.
        room: The session.
        body: As it came.
        address: Hash of where from.

    Returns:
        What the client is told, and whether it had been told before.

    Raises:
        GatewayError: 409, there is nothing to vote on yet.
        VoteRefused: the vote is none, or against the limits, or there is another.
        DatabaseError: the database is away; the same vote may be sent again.
    """
    choice = Choice.parse(body)
    async with room.lock:
        if room.state.vote is None and (room.row.mode == "direct" or not room.state.can_vote or room.at_work):
            raise refuse("There is nothing to vote on yet: both sides must be done.", "too_soon")
        names = views.names(room.row, desk.rooms.contestants)
        written = False
        subject = room.subject()
        findings = await room.witness.findings(subject)
        await room.feed.saved()

        def events(vote: Vote) -> list[Event]:
            return room.feed.reserve(_told(vote, names))

        try:
            receipt = await desk.ballots.cast(_ballot(desk, room, choice, address, (subject, findings)), events)
            written = not receipt.repeated
        finally:
            room.feed.settle(written=written)
        if room.state.vote is None:  # it is on disk since an attempt whose answer got lost
            for kind, told in _told(receipt.vote, names):
                room.feed.append(kind, None, told, stored=False)
        if written:
            desk.rooms.drawing.counted(receipt.vote)
    (_, given), (_, reveal) = _told(receipt.vote, names)
    return {"vote": given, **reveal}, receipt.repeated


def _told(vote: Vote, names: dict[Side, str]) -> list[tuple[str, JSON]]:
    given = {"id": vote.id, "winner": vote.winner, "aspects": dict(vote.aspects), "reason": vote.reason}
    return [("vote", given), ("reveal", {"names": names, "void": vote.void, "why": vote.why})]


def _ballot(desk: Desk, room: Room, choice: Choice, address: str, about: tuple[Subject, Findings]) -> Ballot:
    prompts = about[0].prompts
    return Ballot(
        choice=choice,
        session=room.row,
        subject=about[0],
        findings=about[1],
        voter=room.row.voter,
        address=address,
        shown=room.state.shown,
        topic=_topics().get(prompts[0]) if prompts else None,
        prompt_hash=desk.identity.prompt(prompts[0]) if prompts else None,
    )


@cache
def _topics() -> dict[str, str]:
    """The topic of each example; of anybody's own prompt it is unknown."""
    return {one.prompt: one.topic for one in reversed(examples())}
