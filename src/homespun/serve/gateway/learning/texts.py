"""Fitting a router anew from kept prompts: features, regressors and classifier, where ``keep_prompts`` allows it."""

from collections.abc import Sequence

import numpy as np

from homespun.router.learn import learn
from homespun.router.outcomes import Outcomes, prompt_id
from homespun.router.policy import Knowledge
from homespun.serve.gateway.learning.evidence import Evidence

MIN_PROMPTS = 1000
MIN_PER_ARM = 50
"""Labels below which the old predictor, shifted, is the better guess."""


def enough(evidence: Evidence) -> bool:
    """Whether a predictor of its own can be learned from these requests."""
    known = np.isfinite(evidence.own)
    return len(evidence) >= MIN_PROMPTS and bool((known.sum(axis=0) >= MIN_PER_ARM).all())


def learned_anew(parent: Knowledge, evidence: Evidence, prompts: Sequence[str]) -> Knowledge:
    """Everything but the plans of fitted cascades, which need several answers to the same prompt.

    Args:
        parent: The live router, whose arms, cells and reference cost are kept.
        evidence: n requests to learn from.
        prompts: Their texts.
    """
    shape = evidence.own.shape
    cells = [parent.classifier.cells[c] for c in evidence.cell.argmax(axis=1)]
    known = np.isfinite(evidence.own)
    found = learn(
        Outcomes(
            prompts=list(prompts),
            ids=[f"{prompt_id(text)}-{i}" for i, text in enumerate(prompts)],
            datasets=cells,
            arms=list(parent.arms),
            pairs=[(arm, "") for arm in parent.arms],
            score=evidence.own,
            cost=np.where(known, evidence.spent * parent.reference, np.nan),
            output_tokens=np.full(shape, np.nan),
        )
    ).knowledge
    found.reference = parent.reference  # μ keeps its meaning
    return found
