"""Labels: whose word counts, and what a question that is asked again says."""

import difflib
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.records import Step
from homespun.serve.gateway.learning.judged import path_labels, weighed
from homespun.serve.gateway.learning.labels import (
    PRECEDENCE,
    Label,
    Regenerations,
    _likeness,
    inclusion_detail,
    inclusion_of,
    label_row,
    resolve,
)
from homespun.serve.gateway.routes.jury import prior_panel

ROWS = st.lists(
    st.builds(
        label_row,
        st.sampled_from(["r1", "r2"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(sorted(PRECEDENCE)),
        st.floats(0, 1),
        st.floats(0, 100),
        key_id=st.sampled_from([None, "k1", "k2"]),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(ROWS, st.randoms())
def test_the_order_of_rows_does_not_count(rows: list[dict[str, Any]], chance: random.Random) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    found = resolve(rows)
    assert resolve(shuffled).keys() == found.keys()
    for subject, label in resolve(shuffled).items():
        assert label.source == found[subject].source
        assert label.score == pytest.approx(found[subject].score)


@settings(max_examples=40)
@given(ROWS)
def test_a_better_source_silences_the_others(rows: list[dict[str, Any]]) -> None:
    for (request_id, arm), label in resolve(rows).items():
        ranks = [PRECEDENCE[r["source"]] for r in rows if (r["request_id"], r["arm"]) == (request_id, arm)]
        assert PRECEDENCE[label.source] == min(ranks)
        assert 0.0 <= label.score <= 1.0


def test_the_latest_word_of_each_key_and_the_mean_of_keys() -> None:
    rows = [
        label_row("r", "a", "feedback", 0.0, 1.0, key_id="k1"),
        label_row("r", "a", "feedback", 1.0, 2.0, key_id="k1"),
        label_row("r", "a", "feedback", 0.5, 1.5, key_id="admin"),
        label_row("r", "a", "judge", 0.1, 9.0),
    ]
    assert resolve(rows) == {("r", "a"): Label(0.75, "feedback")}
    assert resolve([*rows, label_row("r", "a", "validator", 0.0, 0.0)])["r", "a"] == Label(0.0, "validator")


def test_the_same_word_has_the_same_id() -> None:
    first = label_row("r", "a", "feedback", 1, 1.0, key_id="k")
    assert first["id"] == label_row("r", "a", "feedback", 1.0, 2.0, key_id="k")["id"]
    assert first["id"] != label_row("r", "a", "feedback", 0.0, 1.0, key_id="k")["id"]


@given(st.floats(0.001, 1.0))
def test_a_shadow_keeps_its_chance(chance: float) -> None:
    row = label_row("r", "a", "shadow", 0.5, 1.0, detail=inclusion_detail(chance, "verifier"))
    assert resolve([row])["r", "a"] == Label(0.5, "shadow", chance)
    assert inclusion_of("verifier") is None
    assert inclusion_of("inclusion=nan") is None


# --- asked again ------------------------------------------------------------------------------------------------


def turn(text: str, *before: str) -> list[dict[str, str]]:
    roles = ["user", "assistant"] * len(before)
    return [{"role": r, "content": t} for r, t in zip(roles, before, strict=False)] + [
        {"role": "user", "content": text}
    ]


def test_the_same_question_within_minutes_speaks_of_the_answer_before() -> None:
    seen = Regenerations()
    assert seen.observe("r1", "k", "cheap", turn("How many apples are left?"), 100.0, 101.0) is None
    said = seen.observe("r2", "k", "strong", turn("how many  apples are left?"), 130.0, 131.0)
    assert said is not None
    assert (said["request_id"], said["arm"], said["source"], said["score"]) == ("r1", "cheap", "regeneration", 0.0)


def test_other_questions_in_between_do_not_hide_it() -> None:
    seen = Regenerations()
    seen.observe("r1", "k", "cheap", turn("How many apples?"), 0.0, 1.0)
    seen.observe("r2", "k", "cheap", turn("Who was Caesar?"), 2.0, 3.0)
    said = seen.observe("r3", "k", "cheap", turn("How many apples?"), 4.0, 5.0)
    assert said is not None
    assert said["request_id"] == "r1"


def test_an_edited_question_counts_less_and_another_not_at_all() -> None:
    seen = Regenerations()
    question = "please tell me how many apples are left in the big basket"
    seen.observe("r1", "k", "cheap", turn(question), 0.0, 1.0)
    edited = seen.observe("r2", "k", "cheap", turn(question.replace("big", "green")), 5.0, 6.0)
    assert edited is not None
    assert 0.0 < edited["score"] < 0.5
    assert seen.observe("r3", "k", "cheap", turn("what is the capital of France?"), 8.0, 9.0) is None


@pytest.mark.parametrize(
    ("key", "asked", "messages"),
    [
        ("other", 5.0, turn("again")),
        ("k", 5000.0, turn("again")),
        ("k", 0.5, turn("again")),  # before the answer had come
        ("k", 5.0, turn("again", "hello", "hi")),
        ("k", 5.0, [*turn("again"), {"role": "tool", "content": "42"}]),
    ],
)
def test_what_does_not_speak_of_the_answer_before(key: str, asked: float, messages: list[Any]) -> None:
    seen = Regenerations()
    seen.observe("r1", "k", "cheap", turn("again"), 0.0, 1.0)
    assert seen.observe("r2", key, "cheap", messages, asked, asked + 1) is None


def test_a_machine_that_repeats_itself_is_soon_ignored() -> None:
    seen = Regenerations()
    found = [seen.observe(f"r{i}", "k", "cheap", turn("ping"), i * 2.0, i * 2.0 + 1) for i in range(20)]
    assert sum(each is not None for each in found) == 2


def test_no_text_is_kept_and_no_more_than_the_capacity() -> None:
    seen = Regenerations(capacity=5)
    for i in range(9):
        seen.observe(f"r{i}", "k", "cheap", turn(f"secretword {i}"), float(i), float(i))
    assert len(seen) == 5
    assert "secretword" not in repr([seen._same, seen._last])


@settings(max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_likeness_is_that_of_difflib_or_a_bound_that_is_enough(left: list[int], right: list[int]) -> None:
    found = _likeness(tuple(left), tuple(right), 0.8)
    exact = difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()
    assert found <= max(exact, 2 * len(left) / (len(left) + len(right))) + 1e-9
    if exact >= 0.8:
        assert found >= 0.8 - 1e-9
    assert (found == 1.0) == (left == right)


# --- what a route leaves behind ---------------------------------------------------------------------------------


def test_labels_of_a_path() -> None:
    path = [
        Step(stage="ask", subject="t-cheap"),
        Step(stage="judge", subject="verifier", score=0.2),
        Step(stage="ask", subject="t-strong"),
        Step(stage="judge", subject="validators", score=1.0),
        Step(stage="judge", subject="verifier", score=0.9),
        Step(stage="accept", subject="t-strong", score=0.9),
    ]
    rows = path_labels("r", path, {"t-cheap": "cheap", "t-strong": "strong"}, 1.0)
    assert [(row["arm"], row["source"], row["score"]) for row in rows] == [
        ("cheap", "judge", pytest.approx(0.2)),
        ("strong", "judge", pytest.approx(0.9)),
    ]
    row = np.array([[np.nan, 0.3, np.nan, 0.9, np.nan]])
    assert weighed({"agreement": 0.3, "verifier": 0.9}) == pytest.approx(prior_panel().predict(row)[0])
    veto = [Step(stage="ask", subject="t-cheap"), Step(stage="judge", subject="validators", score=0.0)]
    rows = path_labels("r", veto, {"t-cheap": "cheap"}, 1.0)
    assert [(row["source"], row["score"]) for row in rows] == [("validator", 0.0)]
    assert path_labels("r", [Step(stage="accept", subject="t-cheap", score=0.8)], {}, 1.0) == []
