"""The published preference row (bigcode/bigcodearena-preference-5k), and BigCodeReward's (bigcode/bigcodereward).

No place for: when the vote was given, by whom, its id and its covariates, sampling; in the reward row also the aspects
and the rationale. Votes are ``vote_model_A``, ``vote_model_B``, ``vote_tie``, ``vote_both_bad``; the words of the
platform's own log (``vote_left``) are read too.
"""

from homespun.arena.records.duel import (
    ASPECTS,
    MODES,
    Duel,
    Judgement,
    Row,
    Run,
    Winner,
    build,
    mapping,
    our_environment,
    seconds,
    text,
    winner_of,
)
from homespun.arena.records.states import from_state, to_state
from homespun.errors import DataError

VOTES: dict[Winner, str] = {
    "a": "vote_model_A", "b": "vote_model_B", "tie": "vote_tie", "both_bad": "vote_both_bad",
}  # fmt: skip
TOPICS = ("Web Design", "Problem Solving", "Game Development", "Scientific Computing", "Creative Coding",
          "Diagram Creation")  # fmt: skip


def to_preference(duel: Duel) -> Row:
    """A preference row.

    Raises:
        DataError: the session has one side only, or no vote.
    """
    vote = _vote(duel)
    feedback: Row = {name: VOTES[vote.aspects[name]] if name in vote.aspects else None for name in ASPECTS}
    return {
        "type": "vote",
        "feedback": {**feedback, "vote_type": VOTES[vote.winner], "rationale": vote.reason},
        "models": {"model_A": duel.a.model, "model_B": duel.side("b").model},
        "chat_session_id": duel.session,
        "instruction": duel.instruction,
        "states": _states(duel),
    }


def from_preference(row: Row, where: str = "preference row") -> Duel:
    """The duel of a row.

    Raises:
        DataError: it is no such row, or its vote is unknown.
    """
    feedback, models = mapping(row.get("feedback")), mapping(row.get("models"))
    winner = winner_of(feedback.get("vote_type")) or winner_of(row.get("type"))
    if winner is None:
        raise DataError(f"unknown vote {str(feedback.get('vote_type'))[:40]!r}", where, ", ".join(VOTES.values()))
    aspects = {name: winner_of(feedback.get(name)) for name in ASPECTS}
    vote = {
        "winner": winner,
        "aspects": {name: value for name, value in aspects.items() if value is not None},
        "reason": text(feedback.get("rationale")) or None,
    }
    return _duel(row, models.get("model_A"), models.get("model_B"), vote, where)


def to_reward(duel: Duel) -> Row:
    """A BigCodeReward row.

    Raises:
        DataError: the session has one side only, or no vote.
    """
    vote, row = _vote(duel), Row()
    for name, side in (("A", duel.a), ("B", duel.side("b"))):
        last = _evidence(side.runs)
        row[f"execution_screenshot_{name}"] = None if last is None else last.screenshot
        row[f"execution_output_{name}"] = None if last is None else last.stdout
        row[f"execution_error_{name}"] = None if last is None else last.stderr
    return {
        "chat_session_id": duel.session,
        "instruction": duel.instruction,
        "human_vote": VOTES[vote.winner],
        "model_A": duel.a.model,
        "model_B": duel.side("b").model,
        "category_id": TOPICS.index(vote.topic) if vote.topic in TOPICS else None,
        "category_name": vote.topic,
        **row,
        "states": _states(duel),
    }


def from_reward(row: Row, where: str = "reward row") -> Duel:
    """The duel of a row.

    Raises:
        DataError: it is no such row, or its vote is unknown.
    """
    winner = winner_of(row.get("human_vote"))
    if winner is None:
        raise DataError(f"unknown vote {str(row.get('human_vote'))[:40]!r}", where, ", ".join(VOTES.values()))
    vote = {"winner": winner, "topic": text(row.get("category_name")) or None}
    return _duel(row, row.get("model_A"), row.get("model_B"), vote, where)


def _vote(duel: Duel) -> Judgement:
    if duel.vote is None:
        raise DataError("has no vote", f"session {duel.session[:60]}", "sessions with a vote")
    return duel.vote


def _states(duel: Duel) -> Row:
    return {"model_A": to_state(duel, duel.a), "model_B": to_state(duel, duel.side("b"))}


def _evidence(runs: tuple[Run, ...]) -> Run | None:
    """The last run that shows anything, else the last."""
    shown = [run for run in runs if run.stdout or run.stderr or run.screenshot]
    return (shown or list(runs) or [None])[-1]


def _duel(row: Row, model_a: object, model_b: object, vote: Row, where: str) -> Duel:
    states = mapping(row.get("states"))
    a, b = mapping(states.get("model_A")), mapping(states.get("model_B"))
    modes = {their: our for our, their in MODES.items()}
    runs = mapping(a.get("sandbox_logs_by_round"))
    asked = next((mapping(mapping(run).get("sandbox_state")).get("sandbox_environment") for run in runs.values()), None)
    return build(
        where,
        {
            "session": row.get("chat_session_id"),
            "mode": modes.get(text(a.get("chat_mode")), "battle"),
            "created": seconds(a.get("chat_start_time")),
            "environment": our_environment(asked) or "auto",
            "system_prompt": text(a.get("system_message")) or None,
            "a": from_state(a, model_a),
            "b": from_state(b, model_b),
            "vote": vote,
        },
    )
