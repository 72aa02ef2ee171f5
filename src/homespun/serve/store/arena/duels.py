"""Sessions of the store as duels, for export, and duels as rows of the store, for import.

What a duel does not tell is filled in as follows: a voter nobody knows is a different one in each session; a run that
says neither that it went well nor that it failed went well, unless it left errors and nothing else.
"""

import base64
import binascii
import hashlib
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from homespun.arena.covariates import natural_language, of_run
from homespun.arena.records import Duel, Judgement, Message, Run, Side
from homespun.arena.records.duel import Row
from homespun.serve.store.arena import types
from homespun.serve.store.arena.store import ArenaStore
from homespun.serve.store.arena.types import Blob, Event, RunRow, SessionRow, Vote, values
from homespun.serve.store.arena_tables import (
    arena_blobs,
    arena_events,
    arena_interactions,
    arena_runs,
    arena_sessions,
    arena_votes,
)
from homespun.serve.store.upsert import insert

PNG = b"\x89PNG\r\n\x1a\n"
_NAMED = ("environment", "language", "code", "stdout", "stderr", "turn", "edit")


async def duels(store: ArenaStore, *, voted: bool = True) -> AsyncIterator[Duel]:
    """Sessions, the oldest vote first.

    Args:
        store: The store.
        voted: Only those with a vote; else all, without a vote after the others.

    Raises:
        DatabaseError: the database is away.
    """
    votes = {vote.session: vote for vote in await store.votes()}
    for session in votes:
        if (row := await store.session(session)) is not None:
            yield await _duel(store, row, votes[session])
    if not voted:
        for row in reversed(await store.sessions(limit=10**9)):
            if row.id not in votes:
                yield await _duel(store, row, None)


async def _duel(store: ArenaStore, row: SessionRow, vote: Vote | None) -> Duel:
    events, runs = await store.events(row.id), await store.runs(row.id)
    sides: dict[str, Row] = {}
    for name, model in (("a", row.model_a), ("b", row.model_b)):
        if model is not None:
            mine = [await _run(store, run, place) for place, run in enumerate((r for r in runs if r.side == name), 1)]
            sides[name] = {"model": model, "conversation": f"{row.id}-{name}", "runs": mine,
                           "messages": _messages(events, name)}  # fmt: skip
    return Duel.model_validate(
        {
            "session": row.id,
            "mode": row.mode,
            "created": row.created,
            "environment": row.environment,
            "system_prompt": row.system_prompt,
            **{name: row.sampling.get(name) for name in ("temperature", "top_p", "max_tokens")},
            **sides,
            "vote": vote and _judgement(vote),
        }
    )


def _messages(events: Sequence[Event], side: str) -> list[Row]:
    """Of each turn the last text and the last reply."""
    asked: dict[int, str] = {}
    replies: dict[int, Event] = {}
    for event in events:
        if event.kind == "turn" and side in event.body["sides"]:
            asked[event.body["turn"]] = event.body["text"]
            replies.pop(event.body["turn"], None)
        elif event.kind == "generated" and event.side == side:
            replies[event.body["turn"]] = event
    found: list[Row] = []
    for turn in sorted(asked):
        found.append({"role": "user", "text": asked[turn]})
        if turn in replies:
            event = replies[turn]
            times = {"started": event.body.get("started"), "ended": event.time}
            found.append({"role": "assistant", "text": event.body["text"], **times})
    return found


async def _run(store: ArenaStore, row: RunRow, place: int) -> Row:
    shots = [shot["blob"] for shot in row.screenshots if shot.get("blob")]
    blob = await store.blob(shots[-1] if shots else row.pictures[-1]) if shots or row.pictures else None
    packages = {
        kind: [_package(one) for one in row.dependencies if one.get("kind") == kind] for kind in ("python", "npm")
    }
    interactions = await store.interactions(row.run)
    return {
        **{name: getattr(row, name) for name in _NAMED},
        **packages,
        "number": place,
        "ok": row.status == "ok",
        "screenshot": None if blob is None else base64.b64encode(blob.content).decode(),
        "interactions": [{"time": one.time, "type": one.type, "payload": one.payload} for one in interactions],
    }


def _package(one: Any) -> str:
    version = one.get("version") or "latest"
    return str(one["name"]) if version == "latest" else f"{one['name']}{version}"


def _judgement(vote: Vote) -> Row:
    names = ("id", "winner", "time", "aspects", "reason", "voter", "void", "topic", "natural_language", "propensity",
             "covariates")  # fmt: skip
    return {name: getattr(vote, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What a duel is in the store."""

    session: SessionRow
    events: list[Event] = field(default_factory=list[Event])
    runs: list[RunRow] = field(default_factory=list[RunRow])
    blobs: list[Blob] = field(default_factory=list[Blob])
    interactions: list[Row] = field(default_factory=list[Row])
    vote: Vote | None = None


async def add(store: ArenaStore, found: Iterable[Duel], *, together: int = 100) -> tuple[int, int]:
    """Brings duels into the store, each whole or not at all; those whose session or vote is there already are left.

    Returns:
        How many are new, and how many were there.

    Raises:
        DatabaseError: the database is away, or refuses a row.
    """
    new = there = 0
    batch: list[Duel] = []
    for duel in [*found, None]:
        if duel is not None:
            batch.append(duel)
        if batch and (duel is None or len(batch) >= together):
            rows = [rows_of(one) for one in batch]
            written = await store.database.run(
                lambda connection, rows=rows: sum(_write(connection, one) for one in rows)
            )
            new, there, batch = new + written, there + len(rows) - written, []
    return new, there


def rows_of(duel: Duel) -> Rows:
    """Rows of a duel."""
    made = Rows(
        session=SessionRow(
            id=duel.session, created=duel.created, mode=duel.mode, environment=duel.environment,
            system_prompt=duel.system_prompt, model_a=duel.a.model, model_b=duel.b and duel.b.model,
            sampling={"temperature": duel.temperature, "top_p": duel.top_p, "max_tokens": duel.max_tokens},
            propensity=duel.vote and duel.vote.propensity, voter=_voter(duel), config={"imported": True},
        ),
        vote=None if duel.vote is None or duel.b is None else _vote(duel, duel.vote, duel.b),
    )  # fmt: skip
    sides: dict[types.Side, Side] = {"a": duel.a} if duel.b is None else {"a": duel.a, "b": duel.b}
    _tell_talk(made, {name: _turns(side) for name, side in sides.items()})
    for name, side in sides.items():
        _add_runs(made, duel, name, side)
    if made.vote is not None:
        vote = made.vote
        given = {"id": vote.id, "winner": vote.winner, "aspects": dict(vote.aspects), "reason": vote.reason}
        _tell(made, "vote", None, given, vote.time)
        names = {"a": vote.model_a, "b": vote.model_b}
        _tell(made, "reveal", None, {"names": names, "void": vote.void, "why": vote.why}, vote.time)
    return made


def _tell(made: Rows, kind: str, side: types.Side | None, body: Row, time: float | None = None) -> None:
    session, number = made.session, len(made.events) + 1
    made.events.append(Event(session=session.id, number=number, kind=kind, side=side, body=body,
                             time=session.created if time is None else time))  # fmt: skip


def _turns(side: Side) -> list[tuple[str, Message | None]]:
    """What was asked, and what the last answer to it was."""
    found: list[tuple[str, Message | None]] = []
    for message in side.messages:
        if message.role == "user":
            found.append((message.text, None))
        elif found:
            found[-1] = (found[-1][0], message)
    return found


def _tell_talk(made: Rows, talks: Mapping[types.Side, list[tuple[str, Message | None]]]) -> None:
    """Turns as they stand in a log: asked of both sides where both were asked the same."""
    for turn in range(1, max(map(len, talks.values())) + 1):
        asked: dict[str, list[types.Side]] = {}
        for side, talk in talks.items():
            if len(talk) >= turn:
                asked.setdefault(talk[turn - 1][0], []).append(side)
        for text, sides in asked.items():
            _tell(made, "turn", None, {"turn": turn, "text": text, "sides": sides})
            for side in sides:
                if (reply := talks[side][turn - 1][1]) is not None:
                    body = {"turn": turn, "text": reply.text, "finish": "stop", "seconds": None,
                            "started": reply.started}  # fmt: skip
                    _tell(made, "generated", side, body, reply.ended)
            _tell(made, "shown", None, {"turn": turn, "seconds": {}})


def _add_runs(made: Rows, duel: Duel, name: types.Side, side: Side) -> None:
    for place, run in enumerate(side.runs, 1):
        row, blobs = _run_row(duel, name, place, run)
        made.runs.append(row)
        made.blobs.extend(blobs)
        _tell(made, "ran", name, {"turn": row.turn, "run": row.run, "edit": row.edit, "status": row.status})
        for number, one in enumerate(run.interactions, 1):
            made.interactions.append({"run": row.run, "number": number, "time": one.time, "type": one.type,
                                      "payload": types.clean(one.payload)})  # fmt: skip


def _run_row(duel: Duel, name: types.Side, place: int, run: Run) -> tuple[RunRow, list[Blob]]:
    key = hashlib.sha256(f"{duel.session}\0{name}\0{place}".encode("utf-8", "replace")).hexdigest()[:32]
    blobs = [Blob("image/png", content) for content in [_png(run.screenshot)] if content is not None]
    failed = run.ok is False or (run.ok is None and bool(run.stderr) and not run.stdout and not blobs)
    packages = [{"kind": kind, "name": _bare(text), "version": text[len(_bare(text)) :] or "latest", "source": "import"}
                for kind, found in (("python", run.python), ("npm", run.npm)) for text in found]  # fmt: skip
    row = RunRow(
        run=key, session=duel.session, side=name, turn=run.turn, edit=run.edit, created=duel.created + place * 1e-3,
        environment=run.environment or "interpreter", language=run.language or "", filename="", code=run.code,
        dependencies=packages, status="failed" if failed else "ok", stdout=run.stdout, stderr=run.stderr,
        screenshots=[{"at": 0.0, "blob": blob.hash, "blank": None} for blob in blobs],
    )  # fmt: skip
    return row, blobs


def _bare(package: str) -> str:
    """A package without its version."""
    for place, character in enumerate(package):
        if place and character in "=<>!~@ ":
            return package[:place]
    return package


def _png(text: str | None) -> bytes | None:
    try:
        found = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if found.startswith(PNG) else None


def _voter(duel: Duel) -> str:
    return (duel.vote and duel.vote.voter) or f"imported {duel.session}"


def _vote(duel: Duel, vote: Judgement, b: Side) -> Vote:
    last = {"a": duel.a.runs[-1] if duel.a.runs else None, "b": b.runs[-1] if b.runs else None}
    covariates = dict(vote.covariates) or {
        f"{name}_{side}": value
        for side, run in last.items()
        if run is not None and run.code
        for name, value in of_run(run.code, run.language or "", stderr=run.stderr, ok=run.ok, seconds=None, blank=None,
                                  dependencies=len(run.python) + len(run.npm)).items()
    }  # fmt: skip
    return Vote(
        id=vote.id or str(uuid.uuid5(uuid.NAMESPACE_OID, duel.session)), session=duel.session, mode=duel.mode,
        time=duel.created if vote.time is None else vote.time, winner=vote.winner, aspects=vote.aspects,
        reason=vote.reason, void=vote.void, voter=_voter(duel), address_hash="imported", model_a=duel.a.model,
        model_b=b.model, environment_a=last["a"] and last["a"].environment, topic=vote.topic,
        environment_b=last["b"] and last["b"].environment, code_language_a=last["a"] and last["a"].language,
        code_language_b=last["b"] and last["b"].language, propensity=vote.propensity, covariates=covariates,
        natural_language=vote.natural_language or (natural_language(duel.instruction) if duel.instruction else None),
    )  # fmt: skip


def _write(connection: Connection, rows: Rows) -> bool:
    """Whether it was new."""
    id, vote = rows.session.id, rows.vote
    taken = select(arena_sessions.c.id).where(arena_sessions.c.id == id)
    if connection.scalar(taken) is not None:
        return False
    if vote is not None and connection.scalar(select(arena_votes.c.id).where(arena_votes.c.id == vote.id)) is not None:
        return False
    connection.execute(arena_sessions.insert(), values(rows.session))
    if rows.blobs:
        pictures = [{"hash": blob.hash, "type": blob.type, "content": blob.content} for blob in rows.blobs]
        connection.execute(insert(connection, arena_blobs).on_conflict_do_nothing(), pictures)
    for table, found in (
        (arena_events, [values(event) for event in rows.events]),
        (arena_runs, [values(run) for run in rows.runs]),
        (arena_interactions, rows.interactions),
        (arena_votes, [] if vote is None else [values(vote)]),
    ):
        if found:
            connection.execute(table.insert(), found)
    return True
