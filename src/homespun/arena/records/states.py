"""The conversation state and the sandbox log of SWE-Arena, of which the larger shapes are made.

Field names are those of its code (fastchat/serve/sandbox/sandbox_state.py, sandbox_telemetry.py) and of the cards of
bigcode/bigcodearena-preference-5k and bigcode/bigcodereward. Interactions are flat there, ``{type, time, x, y, …}``.
Rounds are numbered by text; they are read in the order of the numbers, "10" after "2".
"""

from typing import Any

from homespun.arena.records.duel import (
    MODES,
    Duel,
    Row,
    Run,
    Side,
    iso,
    listing,
    mapping,
    number,
    our_environment,
    our_language,
    seconds,
    text,
    their_environment,
)

ROLES = ("User", "Assistant")
_INTERACTION = ("type", "time")


def to_state(duel: Duel, side: Side) -> Row:
    """One side's state, with its runs."""
    return {
        "chat_mode": MODES[duel.mode],
        "chat_session_id": duel.session,
        "chat_start_time": iso(duel.created),
        "conv_id": side.conversation,
        "messages": [[ROLES[message.role == "assistant"], message.text] for message in side.messages],
        "model_name": side.model,
        "offset": 0,
        "roles": list(ROLES),
        "sandbox_logs_by_round": {str(place): to_log(duel, side, run) for place, run in enumerate(side.runs, 1)},
        "system_message": duel.system_prompt,
        "template_name": "homespun",
        "total_rounds": sum(message.role == "user" for message in side.messages),
    }


def to_log(duel: Duel, side: Side, run: Run) -> Row:
    """One run, as it stands in a state."""
    return {
        "enabled_round": run.turn,
        "filename": log_name(side, run),
        "sandbox_run_round": run.number,
        "sandbox_state": {
            "auto_selected_sandbox_environment": their_environment(run.environment, run.language),
            "btn_list_length": None,
            "chat_session_id": duel.session,
            "code_dependencies": [list(run.python), list(run.npm)],
            "code_language": run.language,
            "code_to_execute": run.code,
            "conv_id": side.conversation,
            "edit_round": run.edit,
            "enable_sandbox": True,
            "enabled_round": run.turn,
            "execution_success": run.ok,
            "sandbox_environment": their_environment(duel.environment, None),
            "sandbox_error": run.stderr,
            "sandbox_id": f"{side.conversation}-{run.number}",
            "sandbox_instruction": None,
            "sandbox_output": run.stdout,
            "sandbox_run_round": run.number,
            "screenshot_base64": run.screenshot,
            "screenshot_path": None,
        },
        "user_interaction_records": [
            {**one.payload, "type": one.type, "time": iso(one.time)} for one in run.interactions
        ],
    }


def log_name(side: Side, run: Run) -> str:
    """Name of a run's file: one JSON each, beside the event log."""
    return f"sandbox-logs-{side.conversation}-{run.turn}-{run.number}.json"


def from_state(state: Row, model: object = None) -> Row:
    """Parts of a `Side`."""
    logs = mapping(state.get("sandbox_logs_by_round"))
    in_order = sorted(
        (key for key in logs if mapping(logs[key])), key=lambda key: (int(key) if key.isdigit() else 0, key)
    )
    return {
        "model": model or state.get("model_name"),
        "conversation": text(state.get("conv_id")) or text(state.get("chat_session_id")),
        "messages": from_messages(state),
        "runs": [from_log(mapping(logs[key])) for key in in_order],
    }


def from_messages(state: Row) -> list[Row]:
    """Messages of a state; what comes before ``offset`` is the template's, and empty replies are none."""
    roles = [text(role).lower() for role in listing(state.get("roles"))]
    user = roles[0] if roles else "user"
    found: list[Row] = []
    for message in listing(state.get("messages"))[number(state.get("offset")) :]:
        pair = listing(message)
        if len(pair) == 2 and isinstance(pair[1], str):
            theirs = text(pair[0]).lower()
            found.append({"role": "user" if theirs in (user, "user", "human") else "assistant", "text": pair[1]})
    return found


def from_log(log: Row) -> Row:
    """Parts of a `Run`."""
    state = mapping(log.get("sandbox_state")) or log
    packages = [[text(name) for name in listing(kind)] for kind in listing(state.get("code_dependencies"))]
    success: Any = state.get("execution_success")
    environment = state.get("auto_selected_sandbox_environment") or state.get("sandbox_environment")
    return {
        "turn": number(log.get("enabled_round", state.get("enabled_round")), 1),
        "number": number(log.get("sandbox_run_round", state.get("sandbox_run_round")), 1),
        "edit": number(state.get("edit_round")),
        "environment": our_environment(environment),
        "language": our_language(state.get("code_language")),
        "code": text(state.get("code_to_execute")),
        "python": packages[0] if packages else [],
        "npm": packages[1] if len(packages) > 1 else [],
        "stdout": text(state.get("sandbox_output")),
        "stderr": text(state.get("sandbox_error")),
        "ok": success if isinstance(success, bool) else None,
        "screenshot": text(state.get("screenshot_base64")) or None,
        "interactions": [_interaction(mapping(one)) for one in listing(log.get("user_interaction_records"))],
    }


def _interaction(record: Row) -> Row:
    """Flat as in the datasets, or with a payload as it is posted; empty columns are no payload."""
    inner = mapping(record.get("payload")) or {
        name: value for name, value in record.items() if name not in _INTERACTION
    }
    return {
        "type": text(record.get("type")),
        "time": seconds(record.get("time")),
        "payload": {name: value for name, value in inner.items() if value is not None and name != "payload"},
    }
