"""The event log of SWE-Arena: one JSONL for each session, and one JSON for each run.

A chat line for each turn of each side, with the conversation so far, and one line for the vote, with both. No place
for: the vote's id, voter and covariates (an address would stand there; ours says nothing). Older logs name the vote in
``type``, newer ones in ``feedback.vote_type``; both are read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from homespun.arena.records.duel import (
    ASPECTS,
    MODES,
    Duel,
    Row,
    Side,
    Winner,
    build,
    listing,
    mapping,
    number,
    our_environment,
    seconds,
    text,
    winner_of,
)
from homespun.arena.records.states import from_log, from_messages, to_log, to_state
from homespun.errors import DataError

TYPES: dict[Winner, str] = {"a": "leftvote", "b": "rightvote", "tie": "tievote", "both_bad": "bothbad_vote"}
WORDS: dict[Winner, str] = {"a": "vote_left", "b": "vote_right", "tie": "vote_tie", "both_bad": "vote_both_bad"}


def log_name(duel: Duel) -> str:
    """Name of a session's file."""
    return f"conv-log-{duel.session}.jsonl"


def to_event_log(duel: Duel) -> list[Row]:
    """Lines of a session, in order."""
    sides = [duel.a] if duel.b is None else [duel.a, duel.b]
    settings = {"temperature": duel.temperature, "top_p": duel.top_p, "max_new_tokens": duel.max_tokens}
    lines: list[Row] = []
    most = max((len(side.messages) for side in sides), default=0)
    for end in range(1, most + 1):
        for side in sides:
            if len(side.messages) < end or side.messages[end - 1].role != "assistant":
                continue
            reply = side.messages[end - 1]
            lines.append(
                {
                    "tstamp": reply.ended if reply.ended is not None else duel.created,
                    "type": "chat_multi" if len(sides) > 1 else "chat_single",
                    "model": side.model,
                    "start_ts": reply.started,
                    "end_ts": reply.ended,
                    "gen_params": settings,
                    "ip": None,
                    "state": _state(duel, side, end),
                }
            )
    if duel.vote is not None and len(sides) == 2:
        vote = duel.vote
        feedback: Row = {name: WORDS[vote.aspects[name]] for name in ASPECTS if name in vote.aspects}
        lines.append(
            {
                "tstamp": vote.time,
                "type": TYPES[vote.winner],
                "models": [side.model for side in sides],
                "feedback": {**feedback, "vote_type": WORDS[vote.winner], "rationale": vote.reason},
                "ip": None,
                "states": [_state(duel, side, len(side.messages)) for side in sides],
            }
        )
    return lines


def to_sandbox_logs(duel: Duel) -> Iterator[tuple[str, Row]]:
    """Name and content of each run's file."""
    for side in [duel.a] if duel.b is None else [duel.a, duel.b]:
        for run in side.runs:
            log = to_log(duel, side, run)
            yield log["filename"], {name: log[name] for name in ("sandbox_state", "user_interaction_records")}


def from_event_log(lines: Iterable[Row], logs: Iterable[Row] = (), where: str = "event log") -> list[Duel]:
    """Sessions of a log, in the order of their first lines; of each conversation the last line tells most.

    Args:
        lines: Of one file or of many.
        logs: Sandbox logs of their runs.
        where: For errors.

    Raises:
        DataError: a line is in no session, or a vote is unknown.
    """
    sessions: dict[str, list[Row]] = {}
    for place, line in enumerate(lines, 1):
        states = _states(line)
        session = next((text(state.get("chat_session_id")) for state in states if state.get("chat_session_id")), "")
        if not session:
            raise DataError("has no chat_session_id", f"{where}, line {place}", "a log of SWE-Arena's shape")
        sessions.setdefault(session, []).append(line)
    runs: dict[str, list[Row]] = {}
    for log in logs:
        runs.setdefault(text(mapping(log.get("sandbox_state")).get("conv_id")), []).append(log)
    return [_duel(session, mine, runs, where) for session, mine in sessions.items()]


def _state(duel: Duel, side: Side, end: int) -> Row:
    state = to_state(duel, side.model_copy(update={"messages": side.messages[:end]}))
    del state["sandbox_logs_by_round"]
    return state


def _states(line: Row) -> list[Row]:
    return [mapping(state) for state in listing(line.get("states")) or [line.get("state")]]


def _duel(session: str, lines: Sequence[Row], runs: Mapping[str, list[Row]], where: str) -> Duel:
    conversations: dict[str, Row] = {}
    times: dict[tuple[str, int], tuple[Any, Any]] = {}
    for line in lines:
        for state in _states(line):
            key = text(state.get("conv_id")) or text(state.get("model_name"))
            conversations[key] = state
            if "start_ts" in line:
                times[key, len(from_messages(state)) - 1] = line["start_ts"], line.get("end_ts")
    sides = [_side(key, state, times, runs.get(key, [])) for key, state in conversations.items()]
    settings = next((mapping(line.get("gen_params")) for line in lines if mapping(line.get("gen_params"))), Row())
    first = next(iter(conversations.values()))
    most = settings.get("max_new_tokens")
    asked = next((mapping(log.get("sandbox_state")).get("sandbox_environment") for key in conversations
                  for log in runs.get(key, [])), None)  # fmt: skip
    return build(
        f"{where}, session {session[:60]}",
        {
            "session": session,
            "mode": {their: our for our, their in MODES.items()}.get(text(first.get("chat_mode")), "battle"),
            "created": seconds(first.get("chat_start_time")),
            "environment": our_environment(asked) or "auto",
            "system_prompt": text(first.get("system_message")) or None,
            "temperature": settings.get("temperature"),
            "top_p": settings.get("top_p"),
            "max_tokens": None if most is None else number(most),
            "a": sides[0],
            "b": sides[1] if len(sides) > 1 else None,
            "vote": _vote(lines),
        },
    )


def _side(key: str, state: Row, times: Mapping[tuple[str, int], tuple[Any, Any]], logs: Sequence[Row]) -> Row:
    messages = from_messages(state)
    for place, message in enumerate(messages):
        if (key, place) in times:
            message["started"], message["ended"] = times[key, place]
    found = sorted((from_log(log) for log in logs), key=lambda run: (run["turn"], run["number"]))
    return {"model": state.get("model_name"), "conversation": key, "messages": messages, "runs": found}


def _vote(lines: Sequence[Row]) -> Row | None:
    """The last vote of a session."""
    for line in reversed(lines):
        feedback = mapping(line.get("feedback"))
        winner = winner_of(line.get("type")) or winner_of(feedback.get("vote_type"))
        if winner is not None:
            aspects = {name: winner_of(feedback.get(name)) for name in ASPECTS}
            return {
                "winner": winner,
                "time": line.get("tstamp"),
                "aspects": {name: value for name, value in aspects.items() if value is not None},
                "reason": text(feedback.get("rationale")) or None,
            }
    return None
