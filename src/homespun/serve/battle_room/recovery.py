"""What a restart owes to sessions that were at work when the server ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from homespun.serve.battle_room.feed import Feed
from homespun.serve.battle_room.sessions import SIDES, Side
from homespun.serve.store.arena import RunRow

LOST = "The server was restarted while this answer was being written; regenerate it."
LOST_RUN = "The server was restarted while this program was at work; run it again."


def recover(feed: Feed, runs: Sequence[RunRow]) -> None:
    """Answers for what was at work when the server ended: replies that broke off have failed, runs that are kept count.

    Args:
        feed: Of the session; gets the events that are missing.
        runs: That the store kept.
    """
    state, rows = feed.state, dict[Side, RunRow]()
    for side in SIDES:
        pane = state.pane(side)
        lost = pane.found is not None and pane.run is None and pane.error is None  # shown, and no more
        if not pane.busy and not lost:
            continue
        turn = pane.turns[-1].turn
        kept = [run for run in runs if run.side == side and run.turn == turn and run.run not in state.runs]
        if pane.phase != "generating" and kept and pane.found is not None:
            rows[side] = kept[-1]
        elif pane.error is None or pane.phase != "waiting":
            message = LOST if pane.phase == "generating" else LOST_RUN
            feed.append("failed", side, {"turn": turn, "message": message})
    if state.gated:
        times: dict[str, Any] = {side: _seconds(feed, side) for side in sorted(state.gated)}
        feed.append("shown", None, {"turn": state.turns, "seconds": times})
    for side in SIDES:
        if (row := rows.get(side)) is not None:
            body: Mapping[str, Any] = {"turn": row.turn, "run": row.run, "edit": row.edit, "status": row.status}
            feed.append("ran", side, dict(body))


def _seconds(feed: Feed, side: Side) -> float | None:
    turn = feed.state.turns
    for event in reversed(feed.events):
        if event.kind == "generated" and event.side == side and event.body["turn"] == turn:
            return event.body["seconds"]
    return None
