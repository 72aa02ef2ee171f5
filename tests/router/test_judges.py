"""Judges by hand, the panel against its laws."""

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.models.scripted import Rule, Scripted
from homespun.records import Sample
from homespun.router.judges import (
    Scorer,
    agreement,
    calibration_error,
    check_json,
    check_pattern,
    check_python,
    check_sums,
    fit_panel,
    logprobs,
    validators,
    verify,
)


def test_validators() -> None:
    assert check_json('{"a": 1}', ["a"]).passed
    assert not check_json('{"a": 1}', ["b"]).passed
    assert not check_json("[1]").passed
    assert not check_json("{").passed
    assert check_pattern(" 12 ", r"\d+").passed
    assert not check_pattern("12a", r"\d+").passed
    assert check_python("x = 1\nfor i in range(3): print(i)").passed
    assert not check_python("def f(:").passed
    assert validators([check_sums("none here")]) is None
    assert validators([check_sums("2 + 2 = 4"), check_python("1 +")]) == 0.0
    assert validators([check_sums("2 + 2 = 4")]) == 1.0


@given(st.integers(0, 9999), st.integers(1, 9999), st.integers(-3, 3))
@settings(max_examples=60, deadline=None)
def test_sums_are_checked(a: int, b: int, off: int) -> None:
    assert check_sums(f"So {a} + {b} = {a + b + off}.").passed == (off == 0)
    assert check_sums(f"and {a} * {b} = {a * b + off}").passed == (off == 0)
    assert check_sums(f"{a} / {b} = {a / b:.2f}").passed


def test_agreement_and_logprobs() -> None:
    assert agreement(["5", "5.0", "6"]) == pytest.approx(1 / 3)
    assert agreement(["yes", "True", "YES"]) == 1.0
    assert agreement(["5"]) is None
    sample = Sample(id="s", prompt_id="p", index=0, model="m", text="x", logprobs=(np.log(0.5), np.log(0.125)))
    assert logprobs(sample) == pytest.approx(0.25)
    assert logprobs(sample.model_copy(update={"logprobs": None})) is None


@pytest.mark.parametrize(("reply", "value"), [("80", 0.8), (" 7%.", 0.07), ("very sure", None), ("400", None)])
def test_verifier(reply: str, value: float | None) -> None:
    assert anyio.run(lambda: verify("2+2?", "4", Scripted([Rule(replies=(reply,))]))) == value


def test_verifier_that_fails_is_silent() -> None:
    assert anyio.run(lambda: verify("2+2?", "4", Scripted([Rule(error="down", status=503)]))) is None


def test_scorer_learns_what_wrong_answers_look_like() -> None:
    questions = [f"question {i}" for i in range(60)]
    answers = ["I am not sure, perhaps" if i % 3 == 0 else "The total is therefore" for i in range(60)]
    right = [float(i % 3 != 0) for i in range(60)]
    good, bad = Scorer().fit(questions, answers, right).predict(["question 99"] * 2, [answers[1], answers[0]])
    assert good is not None
    assert bad is not None
    assert good > 0.5 > bad
    assert Scorer().fit(["q"], ["a"], [1.0]).predict(["q"], ["a"]) == [None]


def judgements(num: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A validator, three noisy judges and a useless one; some are silent."""
    rng = np.random.default_rng(seed)
    right = (rng.random(num) < 0.6).astype(float)
    table = np.column_stack([np.clip(rng.normal(0.3 + 0.4 * right, 0.2), 0.01, 0.99) for _ in range(4)])
    table = np.column_stack([np.where(rng.random(num) < 0.5, 1.0, np.nan), table])
    table[:, 4] = rng.random(num)
    table[rng.random(num) < 0.3, 2] = np.nan
    return table, right


def test_a_stacked_panel_beats_each_judge_and_is_calibrated() -> None:
    table, right = judgements(3000)
    panel = fit_panel(table, right)
    assert panel.mode == "stacked"
    assert panel.is_probability
    fresh, truth = judgements(3000, seed=1)
    brier = np.mean((panel.predict(fresh) - truth) ** 2)
    assert brier < min(np.nanmean((fresh[:, j] - truth) ** 2) for j in range(1, 5)) - 0.02
    assert calibration_error(panel.predict(fresh), truth) < 0.05


def test_few_labels_weigh_judges_by_auroc() -> None:
    table, right = judgements(150)
    panel = fit_panel(table, right)
    assert panel.mode == "weighted"
    assert panel.weights[4] < min(panel.weights[1:4])


@given(st.lists(st.one_of(st.none(), st.floats(0.01, 0.99)), min_size=5, max_size=5), st.floats(0.1, 0.9))
@settings(max_examples=80, deadline=None)
def test_settled_means_no_silent_judge_can_change_it(heard: list[float | None], threshold: float) -> None:
    panel = PANEL
    row = np.array([np.nan if value is None else value for value in heard])
    if not panel.settled(row, threshold):
        return
    decision = panel.predict(row[None])[0] >= threshold
    for values in np.random.default_rng(0).choice([0.0, 0.02, 0.5, 0.98], (20, 5)):
        filled = np.where(np.isnan(row), values, row)
        assert (panel.predict(filled[None])[0] >= threshold) == decision


def test_a_failed_validator_vetoes() -> None:
    assert PANEL.predict(np.array([[0.0, 0.99, 0.99, 0.99, 0.99]]))[0] == 0.0
    assert PANEL.settled(np.array([0.0, np.nan, np.nan, np.nan, np.nan]), 0.5)


PANEL = fit_panel(*judgements(500))
