"""Baselines of one completion: parsers, prompts, and the released defects behind mode="paper"."""

import asyncio
from math import exp, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.confidence.baselines import (
    PHRASES,
    Attempt,
    choose_shots,
    mean_logprob,
    p_true,
    parse_p_true,
    parse_percent,
    parse_phrase,
    verbal_percent,
    verbal_phrase,
)
from homespun.errors import DataError
from homespun.models.base import Reply, failure, reply
from homespun.records import Prompt, Sample

ATTEMPT = Attempt(question="2 + 2?", completion="Two and two make four.", answer="4")


class Says:
    """A model that answers with one text and remembers what it was asked."""

    name = "says"

    def __init__(self, text: str = "", top: dict[str, float] | None = None, error: str | None = None) -> None:
        self.text, self.top, self.error, self.asked = text, top, error, []

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Reply]:
        self.asked.append(prompt)
        if self.error:
            return [failure(prompt, self.name, 0, self.error)]
        return [reply(prompt, self.name, 0, self.text, top_logprobs=(self.top,) if self.top else None)]


def with_logprobs(*values: float) -> Sample:
    return Sample(id="s", prompt_id="p", index=0, model="m", text="x", logprobs=values or None)


def test_mean_logprob_is_the_inverse_of_perplexity():
    found = mean_logprob(with_logprobs(log(0.5), log(0.125)))
    assert found.value == pytest.approx(0.25)
    assert mean_logprob(with_logprobs()) == (None, "the model gave no log-probs")
    assert mean_logprob(with_logprobs(0.1)).value is None


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=30))
def test_mean_logprob_lies_between_the_least_and_most_likely_token(values):
    found = mean_logprob(with_logprobs(*values)).value
    assert exp(min(values)) - 1e-12 <= found <= exp(max(values)) + 1e-12


def test_p_true_adds_variants_and_uses_natural_logs():
    top = {"Yes": log(0.5), " yes": log(0.1), "No": log(0.2), "Maybe": log(0.1)}
    assert parse_p_true(top).value == pytest.approx(0.75)
    wrong = sum(10 ** log(p) for p in (0.5, 0.1)) / sum(10 ** log(p) for p in (0.5, 0.1, 0.2))
    assert parse_p_true(top, "paper").value == pytest.approx(wrong)
    assert abs(wrong - 0.75) > 0.05
    assert parse_p_true({"Maybe": -0.1}).value is None


@pytest.mark.parametrize(
    ("text", "strict", "paper"),
    [
        ("85%", 0.85, 0.85),
        ("I am 90 percent sure.", 0.9, 0.0),
        ("About 70%, as 3 steps were checked", 0.7, 0.0),
        ("100", 1.0, 1.0),
        ("0%", 0.0, 0.0),
        ("120%", None, 0.0),
        ("0.85", None, 0.0085),
        ("0.5%", 0.005, 0.005),
        ("-5%", None, 0.0),
        ("between 60% and 80%", None, 0.0),
        ("very sure", None, 0.0),
        ("", None, 0.0),
    ],
)
def test_percentages(text, strict, paper):
    assert parse_percent(text).value == (None if strict is None else pytest.approx(strict))
    assert parse_percent(text, "paper").value == pytest.approx(paper)


@given(st.integers(0, 100))
def test_every_percentage_is_read_back(number):
    assert parse_percent(f"{number}%").value == parse_percent(f"{number}%", "paper").value == number / 100


@pytest.mark.parametrize("phrase", PHRASES)
def test_every_phrase_is_read_back(phrase):
    assert parse_phrase(f"{phrase.capitalize()}.").value == PHRASES[phrase]


def test_phrases_in_paper_mode_are_caught_as_substrings():
    assert parse_phrase("highly likely").value == 0.85
    assert parse_phrase("highly likely", "paper").value == PHRASES["likely"] == 0.65
    assert parse_phrase("no idea").value is None
    assert parse_phrase("no idea", "paper", Random(1)).value in PHRASES.values()
    assert parse_phrase("no idea", "paper") == parse_phrase("no idea", "paper")
    assert parse_phrase("likely, or unlikely").value is None
    assert parse_phrase("not likely").value is None


def test_p_true_asks_with_eight_examples_and_the_answer_last():
    pool = [Attempt(question=f"q{i}", completion="c", answer=str(i), correct=i % 2 == 0) for i in range(20)]
    shots = choose_shots(pool, seed=1)
    assert sorted(shot.correct for shot in shots) == [False] * 4 + [True] * 4
    model = Says(top={"Yes": log(0.6), "No": log(0.2)})
    assert asyncio.run(p_true(model, ATTEMPT, shots=shots)).value == pytest.approx(0.75)
    (prompt,) = model.asked
    assert len(prompt.messages) == 17
    assert [m.content for m in prompt.messages[1::2]] == ["Yes" if shot.correct else "No" for shot in shots]
    assert "2 + 2?" in prompt.messages[-1].content
    assert (prompt.sampling.max_tokens, prompt.sampling.logprobs, prompt.sampling.temperature) == (1, True, 0)


def test_a_model_without_logprobs_or_that_failed_gives_a_reason():
    assert asyncio.run(p_true(Says("Yes"), ATTEMPT)) == (None, "the model gave no likeliest tokens")
    for ask in (p_true, verbal_percent, verbal_phrase):
        found = asyncio.run(ask(Says(error="refused"), ATTEMPT))
        assert found == (None, "the call failed: refused")


def test_verbal_confidences_ask_and_parse():
    assert asyncio.run(verbal_percent(Says("75%"), ATTEMPT)).value == 0.75
    model = Says("Almost certain")
    assert asyncio.run(verbal_phrase(model, ATTEMPT)).value == 0.95
    assert all(phrase in model.asked[0].messages[0].content for phrase in PHRASES)


def test_examples_need_marks_of_both_kinds():
    with pytest.raises(DataError, match="wrong attempts"):
        choose_shots([Attempt(question="q", completion="c", answer="a", correct=True)] * 5)
    with pytest.raises(DataError, match="without its mark"):
        asyncio.run(p_true(Says(), ATTEMPT, shots=[ATTEMPT]))
