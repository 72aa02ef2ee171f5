"""Flat rows: the Space's vote, the raw row of bigcode/bigcodearena-raw-14k, and our table for `homespun rank`.

The Space's row has both conversations, the interactions, and the vote (``left``, ``right``, ``tie``, ``both_bad``), but
no id: the session is made from its content. The raw row is one side of a session, with nested things as JSON texts and
without the vote. The table is one vote, without texts.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from homespun.arena.covariates import NAMES
from homespun.arena.records.duel import (
    MODES,
    Duel,
    Row,
    Side,
    Winner,
    build,
    iso,
    listing,
    mapping,
    number,
    our_environment,
    our_language,
    seconds,
    text,
    their_environment,
    winner_of,
)
from homespun.arena.records.states import from_messages, to_state
from homespun.errors import DataError

SPACE: dict[Winner, str] = {"a": "left", "b": "right", "tie": "tie", "both_bad": "both_bad"}
COVARIATES = tuple(f"{name}_{side}" for name in NAMES for side in "ab")
TABLE: dict[Winner, str] = {"a": "model_a", "b": "model_b", "tie": "tie", "both_bad": "both_bad"}


def to_space(duel: Duel) -> Row:
    """A vote row of the Space.

    Raises:
        DataError: the session has one side only, or no vote.
    """
    b = duel.side("b")
    if duel.vote is None:
        raise DataError("has no vote", f"session {duel.session[:60]}", "sessions with a vote")
    return {
        "timestamp": iso(duel.vote.time if duel.vote.time is not None else duel.created),
        "model_a": duel.a.model,
        "model_b": b.model,
        "initial_prompt": next((message.text for message in duel.a.messages if message.role == "user"), ""),
        "action_a": _actions(duel.a),
        "action_b": _actions(b),
        "conversation_a": [{"role": message.role, "content": message.text} for message in duel.a.messages],
        "conversation_b": [{"role": message.role, "content": message.text} for message in b.messages],
        "vote": SPACE[duel.vote.winner],
    }


def from_space(row: Row, where: str = "vote row") -> Duel:
    """The duel of a row.

    Raises:
        DataError: it is no such row, or its vote is unknown.
    """
    winner = winner_of(row.get("vote"))
    if winner is None:
        raise DataError(f"unknown vote {str(row.get('vote'))[:40]!r}", where, ", ".join(SPACE.values()))
    key = hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:32]
    time = seconds(row.get("timestamp"))
    sides = {
        side: {
            "model": row.get(f"model_{side}"),
            "conversation": f"{key}-{side}",
            "messages": [
                {"role": mapping(one).get("role"), "text": text(mapping(one).get("content"))}
                for one in listing(row.get(f"conversation_{side}"))
                if mapping(one).get("role") in ("user", "assistant")
            ],
        }
        for side in "ab"
    }
    return build(where, {"session": key, "created": time, **sides, "vote": {"winner": winner, "time": time}})


def to_raw(duel: Duel) -> list[Row]:
    """A raw row for each side."""
    return [_raw(duel, side) for side in ([duel.a] if duel.b is None else [duel.a, duel.b])]


def from_raw(rows: Iterable[Row], where: str = "raw rows") -> list[Duel]:
    """Sessions of raw rows, in order; the first side of a session is ``a``.

    Raises:
        DataError: a row is in no session.
    """
    sessions: dict[str, dict[str, Row]] = {}
    for place, row in enumerate(rows, 1):
        if not (session := text(row.get("chat_session_id"))):
            raise DataError("has no chat_session_id", f"{where}, row {place}", "rows of bigcodearena-raw-14k's shape")
        sessions.setdefault(session, {})[text(row.get("conv_id"))] = row
    return [_from_raw(session, list(sides.values()), where) for session, sides in sessions.items()]


def to_table(duel: Duel) -> Row:
    """A row for `homespun rank`.

    Raises:
        DataError: the session has one side only, or no vote.
    """
    b, vote = duel.side("b"), duel.vote
    if vote is None:
        raise DataError("has no vote", f"session {duel.session[:60]}", "sessions with a vote")
    row: Row = {"id": vote.id or duel.session, "time": vote.time, "voter": vote.voter, "mode": duel.mode,
                "void": vote.void, "model_a": duel.a.model, "model_b": b.model, "winner": TABLE[vote.winner],
                "topic": vote.topic, "propensity": vote.propensity}  # fmt: skip
    for name, side in (("a", duel.a), ("b", b)):
        last = side.runs[-1] if side.runs else None
        row[f"environment_{name}"] = last and last.environment
        row[f"code_language_{name}"] = last and last.language
        row[f"natural_language_{name}"] = vote.natural_language
    return row | {name: vote.covariates.get(name) for name in COVARIATES}


def from_table(row: Row, where: str = "table row") -> Duel:
    """The duel of a row.

    Raises:
        DataError: it is no vote.
    """
    winner = winner_of(row.get("winner"))
    if winner is None:
        raise DataError(f"unknown winner {str(row.get('winner'))[:40]!r}", where, ", ".join(TABLE.values()))
    key = text(row.get("id")) or hashlib.sha256(f"{where}\0{json.dumps(row, default=str)}".encode()).hexdigest()[:32]
    vote = {
        "id": key, "winner": winner, "time": row.get("time"), "voter": row.get("voter"), "topic": row.get("topic"),
        "void": bool(row.get("void")), "propensity": row.get("propensity"),
        "natural_language": row.get("natural_language_a") or row.get("natural_language"),
        "covariates": {name: row[name] for name in COVARIATES if row.get(name) is not None},
    }  # fmt: skip
    sides = {name: {"model": row.get(f"model_{name}"), "conversation": f"{key}-{name}", "runs": _ran(row, name)}
             for name in "ab"}  # fmt: skip
    return build(where, {"session": key, "mode": row.get("mode") or "battle", "created": row.get("time") or 0.0,
                         **sides, "vote": vote})  # fmt: skip


def _ran(row: Row, name: str) -> list[Row]:
    environment, language = row.get(f"environment_{name}"), row.get(f"code_language_{name}")
    return [] if environment is None and language is None else [{"environment": environment, "language": language}]


def _actions(side: Side) -> list[list[Row]]:
    """Interactions of each run, in order."""
    return [[{"type": one.type, "time": iso(one.time), **one.payload} for one in run.interactions] for run in side.runs]


def _raw(duel: Duel, side: Side) -> Row:
    state = to_state(duel, side)
    logs = list(state.pop("sandbox_logs_by_round").values())
    last: Row = logs[-1]["sandbox_state"] if logs else {}
    settings = {"temperature": duel.temperature, "top_p": duel.top_p, "max_new_tokens": duel.max_tokens}
    return {
        "date": iso(duel.created)[:10],
        "mode": MODES[duel.mode],
        "conv_id": side.conversation,
        "model": side.model,
        "sandbox_enabled_round": last.get("enabled_round", 0),
        "sandbox_run_round": last.get("sandbox_run_round", 0),
        "conversation_messages": json.dumps(state["messages"], ensure_ascii=False),
        "system_message": duel.system_prompt,
        "template_name": state["template_name"],
        "chat_mode": state["chat_mode"],
        "offset": state["offset"],
        "chat_session_id": duel.session,
        "chat_start_time": state["chat_start_time"],
        "model_name": side.model,
        "raw_state": json.dumps(state, ensure_ascii=False),
        "sandbox_environment": their_environment(duel.environment, None),
        "auto_selected_sandbox_environment": last.get("auto_selected_sandbox_environment"),
        "code_language": last.get("code_language"),
        "has_screenshot": bool(last.get("screenshot_base64")),
        "sandbox_id": last.get("sandbox_id"),
        "code_dependencies": json.dumps(last.get("code_dependencies", [[], []])),
        "raw_sandbox_state": json.dumps({**last, "screenshot_base64": None}, ensure_ascii=False) if last else None,
        **settings,
        "raw_gen_params": json.dumps(settings),
    }


def _from_raw(session: str, rows: list[Row], where: str) -> Duel:
    first = rows[0]
    most = first.get("max_new_tokens")
    sides = [_raw_side(row) for row in rows[:2]]
    return build(
        f"{where}, session {session[:60]}",
        {
            "session": session,
            "mode": {their: our for our, their in MODES.items()}.get(text(first.get("mode")), "battle"),
            "created": seconds(first.get("chat_start_time")),
            "environment": our_environment(first.get("sandbox_environment")) or "auto",
            "system_prompt": text(first.get("system_message")) or None,
            "temperature": first.get("temperature"),
            "top_p": first.get("top_p"),
            "max_tokens": None if most is None else number(most),
            "a": sides[0],
            "b": sides[1] if len(sides) > 1 else None,
        },
    )


def _raw_side(row: Row) -> Row:
    messages = from_messages({"messages": _json(row.get("conversation_messages")), "offset": row.get("offset")})
    side: Row = {"model": row.get("model"), "conversation": row.get("conv_id"), "messages": messages}
    state = mapping(_json(row.get("raw_sandbox_state")))
    environment = row.get("auto_selected_sandbox_environment") or row.get("sandbox_environment")
    if state or row.get("code_language"):
        packages = listing(_json(row.get("code_dependencies")))
        side["runs"] = [
            {
                "turn": number(row.get("sandbox_enabled_round"), 1),
                "number": number(row.get("sandbox_run_round"), 1),
                "edit": number(state.get("edit_round")),
                "environment": our_environment(environment),
                "language": our_language(row.get("code_language")),
                "code": text(state.get("code_to_execute")),
                "python": listing(packages[0]) if packages else [],
                "npm": listing(packages[1]) if len(packages) > 1 else [],
                "stdout": text(state.get("sandbox_output")),
                "stderr": text(state.get("sandbox_error")),
            }
        ]
    return side


def _json(value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None
