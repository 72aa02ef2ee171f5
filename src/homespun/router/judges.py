"""Judges of a single answer, and the calibrated panel that they form.

EMAFusion §5 [X]. J1 validators veto; J2 is agreement among samples (`homespun.confidence`); J3 reads log-probs; J4
asks a verifier model; J5 is a learned scorer on the text of question and answer (FrugalGPT, arXiv:2305.05176, with
TF-IDF and logistic regression where that has DistilBERT). `Panel` stacks them: logistic on their logits with missing
indicators from 200 labels on, else a mean weighted by max(0, AUROC - 0.5). Cheap judges speak first; `Panel.settled`
says when no judge still silent can change the decision. A panel's number is a probability only if its held-out
expected calibration error is at most .05.

Legend: n answers, j judges.
"""

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline

from homespun.confidence.consistency import fsd, votes
from homespun.models.base import Model
from homespun.records import Message, Prompt, Sample, Sampling
from homespun.router.posterior import canonical, fit_weights, probability

Floats = NDArray[np.float64]

NAMES = ("validators", "agreement", "logprobs", "verifier", "scorer")
"""J1–J5; the columns of every table of judgements, cheap before dear."""
MIN_STACKED = 200
MAX_ECE = 0.05
FOLDS = 5
_SUM = re.compile(r"(?<![\d.])(\d[\d,]*(?:\.\d+)?)\s*([-+*/×])\s*(\d[\d,]*(?:\.\d+)?)\s*=\s*\$?(-?\d[\d,]*(?:\.\d+)?)")


class Check(NamedTuple):
    """What a validator found; ``passed`` is ``None`` where there was nothing to check."""

    passed: bool | None
    reason: str


# --- J1 ---------------------------------------------------------------------------------------------------------


def check_json(text: str, required: Sequence[str] = ()) -> Check:
    """Whether the text is a JSON object that has these keys."""
    try:
        content = json.loads(text)
    except ValueError as error:
        return Check(False, f"no JSON: {error}")
    if not isinstance(content, dict):
        return Check(False, "JSON, but no object")
    missing = [key for key in required if key not in content]
    return Check(not missing, f"missing {', '.join(missing)}" if missing else "well-formed")


def check_pattern(text: str, pattern: str) -> Check:
    """Whether the whole text matches a regular expression."""
    return Check(re.fullmatch(pattern, text.strip()) is not None, f"against {pattern}")


def check_sums(text: str) -> Check:
    """Whether every ``a + b = c`` in the text holds, to the decimals that c shows."""
    found = _SUM.findall(text)
    for left, sign, right, result in found:
        a, b, c = (float(part.replace(",", "")) for part in (left, right, result))
        if sign == "/" and b == 0:
            return Check(False, f"{left} / 0")
        value = {"+": a + b, "-": a - b, "*": a * b, "×": a * b}[sign] if sign != "/" else a / b
        decimals = len(result.partition(".")[2])
        if abs(value - c) > 0.5 * 10.0**-decimals + 1e-9:
            return Check(False, f"{left} {sign} {right} is not {result}")
    return Check(True if found else None, f"{len(found)} sums hold" if found else "no sum to check")


def check_python(text: str) -> Check:
    """Whether the text compiles as Python; it is not run."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Check(False, f"does not compile: {error}")
    return Check(True, "compiles")


def validators(checks: Sequence[Check]) -> float | None:
    """J1: 0 if any check failed, 1 if all that spoke passed, ``None`` where none had anything to check."""
    spoken = [check.passed for check in checks if check.passed is not None]
    return None if not spoken else float(all(spoken))


# --- J2 to J5 ---------------------------------------------------------------------------------------------------


def agreement(answers: Sequence[str | None]) -> float | None:
    """J2: margin of the leading answer over the next (FSD, strict); ``None`` for fewer than two samples."""
    return fsd(votes([canonical(answer) for answer in answers])) if len(answers) > 1 else None


def logprobs(sample: Sample) -> float | None:
    """J3: geometric mean of the tokens' probabilities; ``None`` where the provider does not tell."""
    return float(np.exp(np.mean(sample.logprobs))) if sample.logprobs else None


async def verify(question: str, answer: str, model: Model) -> float | None:
    """J4: a verifier's probability that the answer is right; ``None`` where it could not be asked or read.

    It should be of another family than the model that answered.
    """
    text = (
        f"Question:\n{question[:6000]}\n\nProposed answer:\n{answer[:6000]}\n\n"
        "How likely is it that the proposed answer is right? Work it out silently, then reply with one whole number "
        "from 0 (certainly wrong) to 100 (certainly right) and nothing else."
    )
    asked = Prompt(
        id="verify",
        problem_id="verify",
        strategy="verify",
        messages=(Message(role="user", content=text),),
        sampling=Sampling(max_tokens=8),
    )
    reply = (await model.sample(asked, 1))[0]
    found = re.fullmatch(r"\s*(\d{1,3})\s*%?\.?\s*", reply.text) if reply.error is None else None
    return int(found[1]) / 100 if found and int(found[1]) <= 100 else None


class Scorer:
    """J5: probability of being right from the text of question and answer."""

    def __init__(self) -> None:
        self._model: Pipeline | None = None

    def fit(self, questions: Sequence[str], answers: Sequence[str], right: Sequence[float]) -> Self:
        """Learns from graded answers; with one kind of grade only it stays silent."""
        target = np.asarray(right, dtype=np.float64) >= 0.5
        if 0 < target.sum() < len(target):
            text = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=20_000)
            model: Any = make_pipeline(text, LogisticRegression(C=2.0, max_iter=1000))
            self._model = model.fit(_pairs(questions, answers), target)
        return self

    def predict(self, questions: Sequence[str], answers: Sequence[str]) -> list[float | None]:
        """One probability per pair."""
        if self._model is None:
            return [None] * len(questions)
        return [float(p) for p in self._model.predict_proba(_pairs(questions, answers))[:, 1]]


# --- the panel --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """Judges aggregated: (n, j) judgements in 0–1, NaN for a silent judge, to (n,) confidence."""

    mode: Literal["stacked", "weighted"]
    weights: Floats
    """Stacked: bias, a weight per logit, a weight per missing indicator. Weighted: one share per judge."""
    ece: float
    """Held-out (cross-fitted) expected calibration error, ten bins."""

    @property
    def is_probability(self) -> bool:
        """Whether its numbers may be called probabilities."""
        return self.ece <= MAX_ECE

    def predict(self, judgements: Floats) -> Floats:
        """(n,) confidence; a failed validator (a first column of 0) vetoes: 0."""
        return np.where(judgements[:, 0] == 0.0, 0.0, _aggregate(self.mode, self.weights, judgements))

    def settled(self, judgements: Floats, threshold: float, *, able: Sequence[bool] | None = None) -> bool:
        """Whether the silent judges of one answer (j,) cannot change the decision at this threshold.

        Args:
            judgements: (j,) in 0–1, NaN where silent.
            threshold: Confidence that accepts.
            able: (j,) whether a silent judge can still be asked; all can unless given.
        """
        silent = np.flatnonzero(np.isnan(judgements) & (True if able is None else np.asarray(able, dtype=bool)))
        if judgements[0] == 0.0 or len(silent) == 0:
            return True
        extremes = np.array(list(product((np.nan, 0.0, 1.0), repeat=len(silent))))
        cases = np.tile(judgements, (len(extremes), 1))
        cases[:, silent] = extremes
        signs = self.predict(cases) >= threshold
        return bool(signs.all() or not signs.any())


def fit_panel(judgements: Floats, right: Floats, *, seed: int = 0) -> Panel:
    """Fits the aggregation.

    Args:
        judgements: (n, j) in 0–1, NaN where silent.
        right: (n,) scores in 0–1.
        seed: Of the folds.
    """
    mode: Literal["stacked", "weighted"] = "stacked" if len(right) >= MIN_STACKED else "weighted"
    fold = np.random.default_rng(seed).permutation(len(right)) % min(FOLDS, max(len(right), 1))
    held = np.full(len(right), np.nan)
    for number in np.unique(fold):
        rest, out = fold != number, fold == number
        if rest.any():
            held[out] = _aggregate(mode, _fit(mode, judgements[rest], right[rest]), judgements[out])
    known = np.isfinite(held)
    return Panel(mode=mode, weights=_fit(mode, judgements, right), ece=calibration_error(held[known], right[known]))


def _fit(mode: str, judgements: Floats, right: Floats) -> Floats:
    if mode == "stacked":
        return fit_weights(_design(judgements), right, ridge=1.0)
    return np.array([max(0.0, _auroc(judgements[:, j], right) - 0.5) for j in range(judgements.shape[1])])


def _aggregate(mode: str, weights: Floats, judgements: Floats) -> Floats:
    if mode == "stacked":
        return probability(_design(judgements), weights)
    known = np.isfinite(judgements) * weights
    total = known.sum(axis=1)
    return np.where(total > 0, (known * np.nan_to_num(judgements)).sum(axis=1) / np.maximum(total, 1e-12), 0.5)


def _design(judgements: Floats) -> Floats:
    """Bias, logits (0 where silent), missing indicators."""
    silent = np.isnan(judgements)
    p = np.clip(np.where(silent, 0.5, judgements), 0.01, 0.99)
    return np.column_stack([np.ones(len(p)), np.log(p / (1 - p)), silent.astype(np.float64)])


def _auroc(judgement: Floats, right: Floats) -> float:
    known = np.isfinite(judgement)
    target = right[known] >= 0.5
    return float(roc_auc_score(target, judgement[known])) if 0 < target.sum() < len(target) else 0.5


def calibration_error(confidence: Floats, right: Floats, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins ((m-1)/M, m/M]; scores may be fractions. 1 without answers."""
    if len(right) == 0:
        return 1.0
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = [abs(confidence[place == b].sum() - right[place == b].sum()) for b in range(bins)]
    return float(np.sum(gaps) / len(right))


def _pairs(questions: Sequence[str], answers: Sequence[str]) -> list[str]:
    return [f"{question}\n\n{answer}" for question, answer in zip(questions, answers, strict=True)]
