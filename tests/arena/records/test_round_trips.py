"""Each published shape: what was written is read back, up to what the shape has no place for."""

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.arena.records import Duel, Interaction, Judgement, Message, Run, Side
from homespun.arena.records.duel import ASPECTS, ENVIRONMENTS
from homespun.arena.records.event_log import from_event_log, to_event_log, to_sandbox_logs
from homespun.arena.records.preference import TOPICS, from_preference, from_reward, to_preference, to_reward
from homespun.arena.records.rows import COVARIATES, from_raw, from_space, from_table, to_raw, to_space, to_table
from homespun.errors import DataError

pytestmark = pytest.mark.slow
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = st.text("abcxyz-:/.4", min_size=1, max_size=8)
TIMES = st.integers(0, 4_000_000_000).map(float)
WINNERS = st.sampled_from(["a", "b", "tie", "both_bad"])
LANGUAGES = ["python", "javascript", "typescript", "html", "c", "c++", "java", "go", "rust", "markdown"]
INTERACTIONS = st.builds(
    Interaction, time=TIMES, type=st.sampled_from(["click", "keydown", "load", "resize", "scroll", "captureError"]),
    payload=st.dictionaries(st.sampled_from(["x", "y", "key", "width", "height", "scrollTop"]), st.integers(0, 999)),
)  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> tuple[Run, ...]:
    found = []
    for number in range(1, draw(st.integers(0, 3)) + 1):
        environment = draw(st.sampled_from([*sorted(set(ENVIRONMENTS) - {"auto"}), "interpreter"]))
        found.append(
            Run(
                turn=1 + number // 3, number=number, edit=draw(st.integers(0, 2)), environment=environment,
                language=draw(st.sampled_from(LANGUAGES)), code=draw(WORDS), python=draw(st.tuples(NAMES)),
                npm=draw(st.just(()) | st.tuples(NAMES, NAMES)), stdout=draw(WORDS), stderr=draw(WORDS),
                ok=draw(st.none() | st.booleans()), screenshot=draw(st.none() | st.just("aGk=")),
                interactions=draw(st.just(()) | st.tuples(INTERACTIONS)),
            )
        )  # fmt: skip
    return tuple(found)


@st.composite
def sides(draw: st.DrawFn, name: str, prompts: list[str]) -> Side:
    messages: list[Message] = []
    for prompt in prompts:
        started = draw(TIMES)
        messages += [Message(role="user", text=prompt),
                     Message(role="assistant", text=draw(WORDS), started=started, ended=started + 1)]  # fmt: skip
    return Side(model=draw(NAMES), conversation=f"conversation-{name}", messages=tuple(messages), runs=draw(runs()))


@st.composite
def duels(draw: st.DrawFn) -> Duel:
    prompts = draw(st.lists(WORDS, min_size=1, max_size=2))
    a, b = draw(sides("a", prompts)), draw(sides("b", prompts))
    vote = Judgement(
        winner=draw(WINNERS), time=draw(TIMES), aspects=draw(st.dictionaries(st.sampled_from(ASPECTS), WINNERS)),
        reason=draw(st.none() | st.text("abc", min_size=1)), voter=draw(st.none() | NAMES), id=draw(NAMES),
        void=draw(st.booleans()), topic=draw(st.none() | st.sampled_from(TOPICS)),
        natural_language=draw(st.sampled_from([None, "en"])), propensity=draw(st.none() | st.just(0.25)),
        covariates=draw(st.dictionaries(st.sampled_from(COVARIATES), st.floats(0, 99))),
    )  # fmt: skip
    asked = draw(st.sampled_from(sorted(ENVIRONMENTS))) if a.runs else "auto"
    return Duel(session=draw(NAMES), mode=draw(st.sampled_from(["battle", "named"])), created=draw(TIMES),
                environment=asked, system_prompt=draw(st.none() | st.text("abc", min_size=1)),
                temperature=draw(st.none() | st.floats(0, 2)), top_p=0.95, max_tokens=draw(st.integers(1, 9000)),
                a=a, b=b, vote=vote)  # fmt: skip


def plain(duel: Duel, *, vote: tuple[str, ...], message: tuple[str, ...] = ("role", "text"), **without: Any) -> Any:
    """A duel's fields that a shape has a place for."""
    told = duel.model_dump(exclude=set(without.get("left_out", ())))
    told["vote"] = {name: told["vote"][name] for name in vote} if told.get("vote") else None
    for side in (told["a"], told["b"]):
        if side is not None:
            side["messages"] = [{name: one[name] for name in message} for one in side["messages"]]
    return told


def shuffled(row: Any) -> Any:
    """Through JSON, keys in another order: what a file and other tools do to it."""
    if isinstance(row, dict):
        keys = list(row)
        random.Random(len(keys)).shuffle(keys)
        return {key: shuffled(row[key]) for key in keys}
    return [shuffled(one) for one in row] if isinstance(row, list) else row


def file(row: Any) -> Any:
    return shuffled(json.loads(json.dumps(row)))


CHEAP = settings(max_examples=10, suppress_health_check=list(HealthCheck))


@CHEAP
@given(duels())
def test_preference(duel: Duel) -> None:
    row = to_preference(duel)
    assert list(row) == ["type", "feedback", "models", "chat_session_id", "instruction", "states"]
    kept = {"vote": ("winner", "aspects", "reason"), "left_out": ("temperature", "top_p", "max_tokens")}
    assert plain(from_preference(file(row)), **kept) == plain(duel, **kept)


@CHEAP
@given(duels())
def test_reward(duel: Duel) -> None:
    row = to_reward(duel)
    assert set(row) >= {"chat_session_id", "instruction", "model_A", "model_B", "states", "human_vote", "category_name"}
    kept = {"vote": ("winner", "topic"), "left_out": ("temperature", "top_p", "max_tokens")}
    assert plain(from_reward(file(row)), **kept) == plain(duel, **kept)


@CHEAP
@given(st.lists(duels(), min_size=1, max_size=2, unique_by=lambda duel: duel.session))
def test_event_log(found: list[Duel]) -> None:
    found = [
        duel.model_copy(update={side: duel.side(side).model_copy(update={"conversation": f"{duel.session} {side}"})
                                for side in "ab"})
        for duel in found
    ]  # fmt: skip
    lines = [file(line) for duel in found for line in to_event_log(duel)]
    logs = dict(one for duel in found for one in to_sandbox_logs(duel))
    back = from_event_log(lines, [file(logs[name]) for name in sorted(logs)])
    kept = {"vote": ("winner", "time", "aspects", "reason"), "message": ("role", "text", "started", "ended")}
    assert [plain(duel, **kept) for duel in back] == [plain(duel, **kept) for duel in found]


@CHEAP
@given(duels())
def test_space(duel: Duel) -> None:
    back = from_space(file(to_space(duel)))
    assert back.vote is not None
    assert duel.vote is not None
    assert (back.vote.winner, back.vote.time) == (duel.vote.winner, duel.vote.time)
    for side in "ab":
        one, other = back.side(side), duel.side(side)
        assert one.model == other.model
        assert [(m.role, m.text) for m in one.messages] == [(m.role, m.text) for m in other.messages]
    assert from_space(file(to_space(duel))).session == back.session


@CHEAP
@given(duels())
def test_raw(duel: Duel) -> None:
    (back,) = from_raw([file(row) for row in to_raw(duel)])
    rest = {"vote", "a", "b"}
    assert back.model_dump(exclude=rest) == duel.model_dump(exclude=rest)
    for side in "ab":
        mine, theirs = back.side(side), duel.side(side)
        assert (mine.model, mine.conversation) == (theirs.model, theirs.conversation)
        assert [(m.role, m.text) for m in mine.messages] == [(m.role, m.text) for m in theirs.messages]
        last = (
            theirs.runs[-1].model_copy(update={"ok": None, "screenshot": None, "interactions": ()})
            if theirs.runs
            else None
        )
        assert (mine.runs[-1] if mine.runs else None) == last


@CHEAP
@given(duels())
def test_table(duel: Duel) -> None:
    row = to_table(duel)
    back = from_table(file(row))
    assert back.vote is not None
    assert duel.vote is not None
    left = {"aspects", "reason"}
    assert back.vote.model_dump(exclude=left) == duel.vote.model_dump(exclude=left)
    assert (back.a.model, back.side("b").model, back.mode) == (duel.a.model, duel.side("b").model, duel.mode)
    assert to_table(back) == row


def test_rounds_are_numbers_and_errors_are_read() -> None:
    """Two faults of the released reader: "10" before "2", and sandbox_error left alone."""
    logs = {
        str(place): {
            "enabled_round": place,
            "sandbox_run_round": place,
            "sandbox_state": {"sandbox_error": f"e{place}"},
        }
        for place in (10, 2, 1)
    }
    state = {"conv_id": "c", "model_name": "m", "messages": [["User", "hi"], ["Assistant", "ho"]], "offset": 0}
    a = {**state, "sandbox_logs_by_round": logs}
    b = {**state, "conv_id": "d", "sandbox_logs_by_round": {"1": None}}
    row = {"chat_session_id": "s", "model_A": "x", "model_B": "y", "human_vote": "vote_tie"}
    duel = from_reward({**row, "states": {"model_A": a, "model_B": b}})
    assert [run.stderr for run in duel.a.runs] == ["e1", "e2", "e10"]
    assert (duel.a.model, duel.side("b").runs) == ("x", ())
    assert to_reward(duel)["execution_error_A"] == "e10"


def test_a_row_as_it_is_published() -> None:
    """Names as on the card of bigcode/bigcodearena-preference-5k; interactions are flat, with all columns."""
    record = {"height": None, "key": None, "scrollLeft": None, "scrollTop": None, "time": "2025-03-01T10:00:00.500Z",
              "type": "click", "width": None, "x": 3.0, "y": 4.0}  # fmt: skip
    sandbox = {"auto_selected_sandbox_environment": "Golang Runner", "sandbox_environment": "Auto", "edit_round": 0,
               "code_dependencies": [["numpy"], []], "code_language": "golang", "code_to_execute": "package main",
               "sandbox_output": "1", "sandbox_error": "", "screenshot_base64": ""}  # fmt: skip
    state = {"chat_mode": "battle_anony", "chat_session_id": "s", "chat_start_time": "2025-03-01 09:00:00.000001",
             "conv_id": "c", "messages": [["<|im_start|>user", "Hi"], ["<|im_start|>assistant", "Ho"],
                                          ["<|im_start|>user", "More"], ["<|im_start|>assistant", None]],
             "model_name": "m", "offset": 0, "roles": ["<|im_start|>user", "<|im_start|>assistant"],
             "sandbox_logs_by_round": {"1": {"enabled_round": 1, "filename": "f", "sandbox_run_round": 1,
                                             "sandbox_state": sandbox, "user_interaction_records": [record]},
                                       "2": None}}  # fmt: skip
    row = {"type": "vote", "feedback": {"correctness": None, "efficiency": "vote_left", "vote_type": "vote_right"},
           "models": {"model_A": "x", "model_B": "y"}, "chat_session_id": "s", "instruction": "Hi",
           "states": {"model_A": state, "model_B": {**state, "conv_id": "d"}}}  # fmt: skip
    duel = from_preference(row)
    assert duel.vote == Judgement(winner="b", aspects={"efficiency": "a"})
    assert [(one.role, one.text) for one in duel.a.messages] == [("user", "Hi"), ("assistant", "Ho"), ("user", "More")]
    (run,) = duel.a.runs
    assert (run.environment, run.language, run.python, run.screenshot) == ("interpreter", "go", ("numpy",), None)
    assert run.interactions == (Interaction(time=1740823200.5, type="click", payload={"x": 3.0, "y": 4.0}),)
    assert duel.created == 1740819600.000001
    assert duel.mode == "battle"


KEYS = """states state model_A model_a messages feedback vote_type vote human_vote winner chat_session_id conv_id
          sandbox_logs_by_round conversation_a"""
FIELDS = st.sampled_from(KEYS.split())
LEAVES = st.none() | st.booleans() | st.integers() | st.sampled_from(["", "s", "vote_tie", "tie"])
JUNK = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4), max_leaves=12
)
ROWS = st.dictionaries(FIELDS, JUNK)


def told(read: Any, given: Any) -> str:
    """What a reader says to its input; anything but a DataError passes through."""
    try:
        read(given)
    except DataError as error:
        return str(error)
    return ""


@CHEAP
@given(ROWS)
@pytest.mark.parametrize("read", [from_preference, from_reward, from_space, from_table])
def test_what_is_no_row_is_refused_in_one_line(read: Any, row: Any) -> None:
    assert "\n" not in told(read, row)


@CHEAP
@given(st.lists(ROWS, max_size=3))
@pytest.mark.parametrize("read", [from_event_log, from_raw])
def test_what_is_no_log_is_refused_in_one_line(read: Any, rows: Any) -> None:
    assert "\n" not in told(read, rows)


def test_one_side_and_no_vote_are_told() -> None:
    direct = Duel(session="s", mode="direct", a=Side(model="x", conversation="c"))
    for write in (to_preference, to_reward, to_space, to_table):
        with pytest.raises(DataError):
            write(direct)
    assert to_event_log(direct) == []
    assert from_raw(to_raw(direct))[0].b is None
