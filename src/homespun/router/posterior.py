"""What is each answer worth that has been paid for: a calibrated vote over distinct answers.

EMAFusion §5, judges J1 and J2 [X]: an unreadable answer is evidence, and so is agreement between *different*
models and strategies. Every distinct answer among the paid ones is a candidate; a logistic model, one per cell and
set of paid arms, gives its probability of being right from who said it, who said otherwise and who could not be
read. It is the log-linear pool of opinions (Genest and Zidek 1986) with weights learned from outcomes.

Where we differ from the page: one model per set of arms, not one stacker with missing indicators, since within a
set nothing is missing and the maths is a handful of Newton steps; answers are compared as text, so the numbers of
the codes carry nothing but identity.

Legend: n prompts, s paid arms, c candidates (prompt, distinct answer), d features of a candidate.
"""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Objects = NDArray[np.object_]

MISSING, UNREADABLE, TRUE, FALSE = -1, 0, 1, 2
"""Codes with a meaning of their own; all other answers follow from 3 on."""
RIDGE = 2.0
"""L2 penalty of the vote weights; the bias is free."""
NEWTON_STEPS = 6
_NUMBER = re.compile(r"[-+]?\$?\s*\d[\d,]*\.?\d*(?:e[-+]?\d+)?", re.IGNORECASE)
_WORDS = {"true": "true", "yes": "true", "false": "false", "no": "false"}


class Ballots(NamedTuple):
    """Candidates of many prompts, all under one set of paid arms."""

    prompt: Ints
    """(c,) row of the prompt."""
    arm: Ints
    """(c,) position, among the paid arms, of the first that gave this answer."""
    features: Floats
    """(c, d)."""


class Standing(NamedTuple):
    """How the vote stands on each prompt."""

    leader: Ints
    """(n,) position of the paid arm whose answer leads; -1 when no answer can be read."""
    first: Floats
    """(n,) probability that the leading answer is right."""
    second: Floats
    """(n,) the same for the runner-up."""
    stance: Floats
    """(n, s) 1 where an arm supports the leader, -1 where it says otherwise, 0 where it cannot be read."""


def canonical(answer: str | None) -> str | None:
    """The text by which answers are compared: case folded, numbers in one notation, yes and no as true and false.

    ``None`` for an answer that cannot be read.
    """
    if answer is None or not (text := " ".join(answer.casefold().split()).rstrip(".")):
        return None
    if text in ("[invalid]", "none", "nan"):
        return None
    if _NUMBER.fullmatch(text):
        return f"{float(re.sub(r'[$, ]', '', text)):.10g}"
    return _WORDS.get(text, text)


def encode(answers: Objects, asked: NDArray[np.bool_]) -> Ints:
    """(n, k) codes of answers: equal text, equal number, over the whole table.

    Args:
        answers: (n, k) of ``str`` or ``None``.
        asked: (n, k) whether the arm was asked at all; elsewhere the code is `MISSING`.
    """
    texts = np.array([[canonical(answer) for answer in row] for row in answers], dtype=object).reshape(answers.shape)
    known = sorted({text for text in texts.ravel() if text is not None} - {"true", "false"})
    numbers = {None: UNREADABLE, "true": TRUE, "false": FALSE} | {text: 3 + i for i, text in enumerate(known)}
    codes = np.array([[numbers[text] for text in row] for row in texts], dtype=np.int64).reshape(answers.shape)
    return np.where(asked, codes, MISSING)


def ballots(codes_NS: Ints, prior_N: Floats) -> Ballots:
    """Lists the candidates with their features.

    Features: bias; per paid arm +1 for this answer, -1 for another; per paid arm whether it was unreadable;
    whether the answer is *true*; squared share of the votes; whether it stands alone; the prompt's prior.

    Args:
        codes_NS: Answers of the paid arms.
        prior_N: (n,) how well the arms are expected to do on this prompt, centred.
    """
    fresh = codes_NS > UNREADABLE
    for i in range(1, codes_NS.shape[1]):
        fresh[:, i] &= (codes_NS[:, :i] != codes_NS[:, i : i + 1]).all(axis=1)
    prompt, arm = np.nonzero(fresh)
    given = codes_NS[prompt]
    answer = given[np.arange(len(prompt)), arm]
    support = given == answer[:, None]
    unreadable = given <= UNREADABLE
    votes = np.where(support, 1.0, np.where(unreadable, 0.0, -1.0))
    share = support.mean(axis=1)
    features = np.column_stack(
        [
            np.ones(len(prompt)),
            votes,
            unreadable.astype(np.float64),
            answer == TRUE,
            share * share,
            support.sum(axis=1) == 1,
            prior_N[prompt],
        ]
    )
    return Ballots(prompt.astype(np.int64), arm.astype(np.int64), features)


def fit_weights(features: Floats, target: Floats, *, ridge: float = RIDGE) -> Floats:
    """(d,) logistic weights by Newton's method; targets may be fractions.

    Args:
        features: (c, d), the first column the bias.
        target: (c,) score of each candidate, 0–1.
        ridge: L2 penalty on all but the bias.
    """
    penalty = np.full(features.shape[1], ridge)
    penalty[0] = 1e-3
    weights = np.zeros(features.shape[1])
    for _ in range(NEWTON_STEPS):
        p = probability(features, weights)
        curvature = (features * (p * (1 - p) + 1e-6)[:, None]).T @ features + np.diag(penalty)
        weights = weights - np.linalg.solve(curvature, features.T @ (p - target) + penalty * weights)
    return weights


def probability(features: Floats, weights: Floats) -> Floats:
    """(c,) probability of being right."""
    return 1.0 / (1.0 + np.exp(-np.clip(features @ weights, -15.0, 15.0)))


def standing(codes_NS: Ints, candidates: Ballots, p: Floats) -> Standing:
    """Who leads on each prompt, by candidate probabilities ``p`` (c,); ties go to the arm asked first."""
    num = len(codes_NS)
    leader = np.full(num, -1, dtype=np.int64)
    first, second = np.zeros(num), np.zeros(num)
    order = np.lexsort((candidates.arm, -p, candidates.prompt))
    prompt, sorted_p = candidates.prompt[order], p[order]
    top = np.append(True, prompt[1:] != prompt[:-1])[: len(prompt)]
    runner = ~top & np.append(False, top[:-1])[: len(prompt)]
    leader[prompt[top]], first[prompt[top]] = candidates.arm[order][top], sorted_p[top]
    second[prompt[runner]] = sorted_p[runner]
    chosen = codes_NS[np.arange(num), np.maximum(leader, 0)][:, None]
    stance = np.where(codes_NS <= UNREADABLE, 0.0, np.where(codes_NS == chosen, 1.0, -1.0))
    return Standing(leader, first, second, stance)
