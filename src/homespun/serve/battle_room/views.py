"""A session as clients see it. Nothing that tells who answers is in it before the names are known."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from homespun.serve.battle_room.contestants_types import Contestant
from homespun.serve.battle_room.room import Room
from homespun.serve.battle_room.sessions import Pane, Side, public
from homespun.serve.store.arena import Event, RunRow, SessionRow

JSON = dict[str, Any]


def names(row: SessionRow, contestants: Mapping[str, Contestant]) -> dict[Side, str]:
    """Who answers, for people's eyes."""
    told: dict[Side, str] = {"a": _title(row.model_a, contestants)}
    return told if row.model_b is None else {**told, "b": _title(row.model_b, contestants)}


def _title(name: str, contestants: Mapping[str, Contestant]) -> str:
    return contestants[name].title if name in contestants else name


def state(room: Room, contestants: Mapping[str, Contestant], voter: str | None) -> JSON:
    """The whole session.

    Args:
        room: The session.
        contestants: For their titles.
        voter: Who looks.
    """
    row, now = room.row, room.state
    known = now.reveal["names"] if now.reveal else (None if row.mode == "battle" else names(row, contestants))
    vote = None if now.vote is None else {name: now.vote[name] for name in ("winner", "aspects", "reason")}
    return {
        "id": row.id,
        "mode": row.mode,
        "created": row.created,
        "environment": row.environment,
        "system_prompt": row.system_prompt,
        "locked": now.turns > 0,
        "names": known,
        "void": bool(now.reveal and now.reveal["void"]),
        "why": now.reveal["why"] if now.reveal else None,
        "can_vote": row.mode != "direct" and now.can_vote,
        "mine": voter == row.voter,
        "vote": vote,
        "last_event": now.last,
        "sides": {side: _pane(room, now.pane(side)) for side in room.sides},
    }


def _pane(room: Room, pane: Pane) -> JSON:
    return {
        "state": pane.phase,
        "turns": [asdict(turn) for turn in pane.turns],
        "found": pane.found,
        "run": None if pane.run is None else run(room, pane.run),
        "error": pane.error,
    }


def run(room: Room, name: str) -> JSON | None:
    """One run; only of those that have been shown."""
    row = room.runs.get(name)
    return None if row is None else {**_run(row), "url": room.urls.get(name)}


def _run(row: RunRow) -> JSON:
    place = f"/api/runs/{row.run}"
    return {
        "run": row.run,
        "turn": row.turn,
        "edit": row.edit,
        "environment": row.environment,
        "language": row.language,
        "filename": row.filename,
        "code": row.code,
        "dependencies": list(row.dependencies),
        "status": row.status,
        "exit_code": row.exit_code,
        "stdout": row.stdout,
        "stderr": row.stderr,
        "build_log": row.build_log,
        "seconds": row.seconds,
        "pictures": [f"{place}/pictures/{number}.png" for number in range(len(row.pictures))],
        "screenshots": [
            {
                "at": shot["at"],
                "url": f"{place}/screenshots/{number}.png" if shot["blob"] else None,
                "blank": shot["blank"],
            }
            for number, shot in enumerate(row.screenshots)
        ],
        "notes": row.notes.get("lines", []),
    }


def event(room: Room, one: Event) -> JSON:
    """One event; a run is told whole."""
    told = public(one)
    if one.kind == "ran" and (seen := run(room, one.body["run"])) is not None:
        told = {**told, **seen}
    return told
