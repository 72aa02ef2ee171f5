"""Which measure to use when: the paper's findings as one function.

Paper: "Calibrating Large Language Models with Sample Consistency", arXiv:2402.13904: base models are best served by
agreement, chat models tuned on human preference by FSD or entropy, gains are clear from 3 samples on and level off
near 15 to 20. Where we differ: below 3 samples no consistency is recommended, and a single call that exposes
log-probs gets the mean log-prob, which then needs a fitted map.
"""

from typing import Literal

from homespun.errors import ConfigError

ENOUGH = 3
"""Samples from which on the paper sees a clear gain."""


def recommend(
    kind: Literal["base", "chat"], answer_space_closed: bool, n: int, logprobs: bool
) -> Literal["agreement", "entropy", "fsd", "mean_logprob", "verbal_phrase"]:
    """The measure that the findings favour.

    Args:
        kind: ``base`` for completion models, ``chat`` for models tuned on human preference.
        answer_space_closed: Whether the possible answers are known beforehand (yes or no, five options).
        n: Samples that can be afforded per question.
        logprobs: Whether the model says log-probs of its tokens.

    Returns:
        agreement, entropy or fsd from 3 samples on; below, mean_logprob where there are log-probs. Otherwise a model
        that can be asked says how sure it is (verbal_phrase); a base model is left with agreement, which needs
        two samples to say anything.

    Raises:
        ConfigError: unknown kind, or n below 1.
    """
    if kind not in ("base", "chat"):
        raise ConfigError(f"unknown kind of model {kind!r}", "recommend", "base or chat")
    if n < 1:
        raise ConfigError(f"{n} samples", "recommend", "n of at least 1")
    if n < ENOUGH and logprobs:
        return "mean_logprob"
    if n < ENOUGH and kind == "chat":
        return "verbal_phrase"
    if kind == "base":
        return "agreement"
    return "entropy" if answer_space_closed else "fsd"
