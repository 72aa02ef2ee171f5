"""What is kept of a decision: a row of the table ``decisions`` without the request and the time.

Numbers and names only. What a step quotes from question or answer is left out unless prompts may be kept.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from homespun.records import Decision, Step
from homespun.router.policy import Reading
from homespun.serve.gateway.routes.versions import Live

QUOTING = ("ask", "judge", "fuse")
"""Stages whose detail quotes the question or an answer."""


def reading_numbers(live: Live, reading: Reading) -> dict[str, Any]:
    """What a router saw: per arm its expected quality and dollars, and the weight of every cell."""
    knowledge = live.router.knowledge
    dollars = reading.cost[0] * knowledge.reference
    return {
        "quality": dict(zip(knowledge.arms, _rounded(reading.blend[0]), strict=True)),
        "learned": dict(zip(knowledge.arms, _rounded(reading.learned[0]), strict=True)),
        "cost": dict(zip(knowledge.arms, _rounded(dollars, 9), strict=True)),
        "cells": dict(zip(knowledge.classifier.cells, _rounded(reading.cell[0]), strict=True)),
        "alpha": round(float(reading.alpha[0]), 5),
    }


def told(steps: Sequence[Step], *, quotes: bool) -> list[Step]:
    """The path as it may be kept."""
    if quotes:
        return list(steps)
    return [
        step.model_copy(update={"detail": ""})
        if step.stage in QUOTING and not step.detail.startswith("failed: ")
        else step
        for step in steps
    ]


def row(
    decision: Decision,
    *,
    router: str,
    dial: str,
    cell: str | None,
    arms: Sequence[str],
    first: str,
    propensity: float,
    reading: dict[str, Any] | None,
    prompt: str | None,
) -> dict[str, Any]:
    """The row."""
    return {
        "router": router,
        "dial": dial,
        "cell": cell,
        "arms": list(arms),
        "chosen": first,
        "answered": decision.chosen,
        "propensity": propensity,
        "expected_quality": decision.expected_quality,
        "expected_cost": decision.expected_cost,
        "confidence": decision.confidence,
        "path": [step.model_dump() for step in decision.path],
        "reading": reading,
        "prompt": prompt,
    }


def _rounded(values: np.ndarray[Any, np.dtype[np.float64]], digits: int = 5) -> list[float]:
    return [round(float(value), digits) for value in values]
