"""Baselines of the paper for one completion: mean log-prob, P(True), verbalised percent and phrase.

Paper: "Calibrating Large Language Models with Sample Consistency", Lyu et al., arXiv:2402.13904, section on baselines;
P(True) after Kadavath et al., arXiv:2207.05221. Prompts are in our own words. A reply that says nothing usable gives
no value and a reason.

Where we differ: ``mode="paper"`` reproduces the released code's defects: log-probs are raised from base 10 although
they are natural logs; phrases are matched as substrings in list order, so that "highly likely" is read as "likely"; an
unreadable phrase gets a random value, an unreadable percent counts as 0. The appendix speaks of steps of 5 %; ten
phrases from 5 to 95 need steps of 10, as its code has them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import exp
from random import Random
from typing import Any, NamedTuple

from homespun.confidence.consistency import Mode
from homespun.errors import DataError
from homespun.models.base import Model
from homespun.records import Message, Prompt, Sample, Sampling

PHRASES: dict[str, float] = {
    "almost no chance": 0.05,
    "highly unlikely": 0.15,
    "unlikely": 0.25,
    "probably not": 0.35,
    "about even": 0.45,
    "better than even": 0.55,
    "likely": 0.65,
    "probably": 0.75,
    "highly likely": 0.85,
    "almost certain": 0.95,
}
"""Phrase to confidence, in the order in which the released code looks for them."""
_LONGEST_FIRST = re.compile(r"\b(" + "|".join(sorted(PHRASES, key=len, reverse=True)) + r")\b", re.IGNORECASE)
_PERCENT = re.compile(r"(?<![\w.,-])(-?\d+(?:\.\d+)?)\s*(%|percent\b)?", re.IGNORECASE)
SHOTS = 4
"""Right and wrong examples each of the 8-shot P(True)."""


class Stated(NamedTuple):
    """A confidence in [0, 1] that a completion stands for; None and the reason where none can be read."""

    value: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A question with the completion and the answer whose confidence is asked for."""

    question: str
    completion: str
    answer: str
    correct: bool | None = None
    """Known for the examples of the 8-shot P(True)."""


def mean_logprob(sample: Sample) -> Stated:
    """exp(mean token log-prob) of the chain, which is 1 / perplexity."""
    if not sample.logprobs:
        return Stated(None, "the model gave no log-probs")
    mean = sum(sample.logprobs) / len(sample.logprobs)
    if mean > 0:
        return Stated(None, f"mean log-prob {mean:g} is above 0")
    return Stated(exp(mean), f"mean of {len(sample.logprobs)} tokens")


def parse_p_true(top: Mapping[str, float], mode: Mode = "strict") -> Stated:
    """P(Yes) / (P(Yes) + P(No)) over the variants in case and space among the likeliest first tokens.

    Args:
        top: Token to natural log-prob.
        mode: ``paper`` takes 10 to the power of the log-prob, as the release does.
    """
    base = 10.0 if mode == "paper" else exp(1)
    mass = {"yes": 0.0, "no": 0.0}
    for token, logprob in top.items():
        word = token.strip().strip("▁Ġ").lower()
        if word in mass:
            mass[word] += base**logprob
    total = mass["yes"] + mass["no"]
    if total == 0:
        return Stated(None, "neither Yes nor No is among the likeliest first tokens")
    return Stated(mass["yes"] / total, f"Yes and No hold {min(1.0, total):.3f} of the probability")


def parse_percent(text: str, mode: Mode = "strict") -> Stated:
    """A stated percentage, 0 to 100, as a fraction.

    ``strict`` wants exactly one value: numbers marked % or percent if there are any, else all numbers. ``paper`` reads
    the first word only, and an unreadable one is 0.
    """
    if mode == "paper":
        first = (text.split() or [""])[0].strip("%.,")
        readable = re.fullmatch(r"\d+(\.\d+)?", first) and float(first) <= 100
        return Stated(float(first) / 100, "first word") if readable else Stated(0.0, "unreadable, counted as 0")
    found = [(float(match[1]), bool(match[2])) for match in _PERCENT.finditer(text)]
    marked = {value for value, sign in found if sign}
    values = marked or {value for value, _ in found}
    if len(values) != 1:
        return Stated(None, "no percentage" if not values else f"{len(values)} different percentages")
    (value,) = values
    if not 0 <= value <= 100:
        return Stated(None, f"{value:g} is not from 0 to 100")
    if not marked and 0 < value < 1:
        return Stated(None, f"{value:g} may be a fraction or a percentage")
    return Stated(value / 100, "stated percentage")


def parse_phrase(text: str, mode: Mode = "strict", random: Random | None = None) -> Stated:
    """The confidence of the one phrase that a reply holds.

    ``strict`` takes the longest match at word borders and refuses replies with different phrases, or a negated one.
    ``paper`` takes the first of `PHRASES` that is a substring, and a random value where none is; ``random`` makes that
    repeatable and defaults to a generator seeded by the text.
    """
    if mode == "paper":
        lowered = text.lower()
        for phrase, value in PHRASES.items():
            if phrase in lowered:
                return Stated(value, f"substring {phrase!r}")
        generator = random or Random(int(sha256(text.encode()).hexdigest()[:16], 16))
        return Stated(generator.choice(list(PHRASES.values())), "unreadable, drawn at random")
    matches = list(_LONGEST_FIRST.finditer(text))
    if any(re.search(r"\b(not|never|isn't|n't)\s+$", text[: match.start()], re.IGNORECASE) for match in matches):
        return Stated(None, "a negated phrase")
    phrases = {match[1].lower() for match in matches}
    if len(phrases) != 1:
        return Stated(None, "no phrase of the list" if not phrases else f"{len(phrases)} different phrases")
    phrase = phrases.pop()
    return Stated(PHRASES[phrase], f"phrase {phrase!r}")


def choose_shots(attempts: Sequence[Attempt], seed: int = 0) -> tuple[Attempt, ...]:
    """Four right and four wrong attempts in random order, for the 8-shot P(True).

    Raises:
        DataError: fewer than four of a kind.
    """
    random = Random(seed)
    chosen: list[Attempt] = []
    for wanted in (True, False):
        pool = [attempt for attempt in attempts if attempt.correct is wanted]
        if len(pool) < SHOTS:
            what = f"{len(pool)} {'right' if wanted else 'wrong'} attempts"
            raise DataError(what, "examples of P(True)", f"at least {SHOTS} of each kind")
        chosen += random.sample(pool, SHOTS)
    random.shuffle(chosen)
    return tuple(chosen)


async def p_true(model: Model, attempt: Attempt, *, shots: Sequence[Attempt] = (), mode: Mode = "strict") -> Stated:
    """Asks the model whether the answer is right, and reads the log-probs of the first token.

    Args:
        model: Must give the likeliest tokens (`top_logprobs` of its replies).
        attempt: What is judged.
        shots: Examples, see `choose_shots`; none gives the 0-shot form.
        mode: See `parse_p_true`.

    Raises:
        DataError: an example isn't marked right or wrong.
        BudgetError: a budget forbids the call.
    """
    ask = "Is this answer right? Reply with one word, Yes or No."
    messages: list[Message] = []
    for shot in shots:
        if shot.correct is None:
            raise DataError("an example without its mark", "examples of P(True)", "correct=True or False")
        messages += [
            Message(role="user", content=_shown(shot, ask)),
            Message(role="assistant", content="Yes" if shot.correct else "No"),
        ]
    messages.append(Message(role="user", content=_shown(attempt, ask)))
    sample = await _ask(model, "p-true", messages, max_tokens=1, logprobs=True)
    if sample.finish == "error":
        return Stated(None, f"the call failed: {sample.error}")
    top: Any = getattr(sample, "top_logprobs", None)
    if not top:
        return Stated(None, "the model gave no likeliest tokens")
    return parse_p_true(top[0], mode)


async def verbal_percent(model: Model, attempt: Attempt, *, mode: Mode = "strict") -> Stated:
    """Asks how sure the model is, from 0 to 100 %."""
    ask = "How sure are you that this answer is right? Reply with one number from 0% to 100% and nothing else."
    sample = await _ask(model, "verbal-percent", [Message(role="user", content=_shown(attempt, ask))], max_tokens=10)
    if sample.finish == "error":
        return Stated(None, f"the call failed: {sample.error}")
    return parse_percent(sample.text, mode)


async def verbal_phrase(model: Model, attempt: Attempt, *, mode: Mode = "strict") -> Stated:
    """Asks how sure the model is, in one of ten phrases."""
    ask = f"How sure are you that this answer is right? Reply with one of these phrases only: {', '.join(PHRASES)}."
    sample = await _ask(model, "verbal-phrase", [Message(role="user", content=_shown(attempt, ask))], max_tokens=10)
    if sample.finish == "error":
        return Stated(None, f"the call failed: {sample.error}")
    return parse_phrase(sample.text, mode)


def _shown(attempt: Attempt, ask: str) -> str:
    return f"Question: {attempt.question}\nSolution: {attempt.completion.strip()}\nAnswer: {attempt.answer}\n\n{ask}"


async def _ask(
    model: Model, name: str, messages: Sequence[Message], *, max_tokens: int, logprobs: bool = False
) -> Sample:
    digest = sha256("\0".join(f"{item.role}:{item.content}" for item in messages).encode()).hexdigest()[:16]
    prompt = Prompt(
        id=f"{name}/{digest}",
        problem_id=digest,
        strategy=name,
        messages=tuple(messages),
        sampling=Sampling(temperature=0.0, max_tokens=max_tokens, logprobs=logprobs),
    )
    return (await model.sample(prompt, 1))[0]
