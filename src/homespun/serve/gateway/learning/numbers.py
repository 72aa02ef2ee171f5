"""What can be fitted anew from numbers alone, where no text is kept: tables, costs, calibration, hence the blend.

A decision keeps its reading (cells, ŝ, q̂, ĉ), so without any prompt these are refitted:

- the cell table Φ: inverse-propensity means of own scores per cell and arm, added to the old counts, which fade;
- costs: per arm what was spent over what was expected, so that a changed price is followed;
- the calibration of ŝ: one shift per arm, the mean residual, shrunken;
- the blend α = n/(n + 50)·certainty, through the table's counts.

What cannot be: features, regressors, the classifier of cells and the plans of fitted cascades need texts and answers.
How fast the past fades is chosen by prediction error on the later part of what is learned from.

Legend: n requests, k arms, c cells.
"""

from copy import copy
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.router.learned import Predictor
from homespun.router.policy import Knowledge
from homespun.router.taxonomy import CellTable
from homespun.serve.gateway.learning.evidence import Evidence

Floats = NDArray[np.float64]

MAX_WEIGHT = 20.0
"""Largest inverse chance of one label in a table."""
SHRINK = 30.0
"""Labels that "nothing has changed" counts for, in a shift or a ratio of costs."""
KEEPS = (1.0, 0.2, 0.03)
"""Shares of the old counts that may be kept."""
HALF_LIVES = (np.inf, 400.0)
"""Labels after which a label counts half."""


class Fade(NamedTuple):
    """How the past fades."""

    keep: float
    half_life: float


class Corrected(NamedTuple):
    """A router's knowledge after a refit, and what was changed."""

    knowledge: Knowledge
    shift: Floats
    """(k,) added to ŝ."""
    ratio: Floats
    """(k,) by which costs were multiplied."""

    def reading(self, evidence: Evidence) -> tuple[Floats, Floats]:
        """(n, k) expected score and cost over the reference, as this knowledge reads those requests."""
        learned = np.clip(evidence.learned + self.shift, 0.0, 1.0)
        found = self.knowledge.reading(evidence.cell, learned)
        return np.clip(found.blend, 0.0, 1.0), found.cost


def unchanged(knowledge: Knowledge) -> Corrected:
    """The knowledge as it is."""
    num = len(knowledge.arms)
    return Corrected(knowledge, np.zeros(num), np.ones(num))


def correct(knowledge: Knowledge, evidence: Evidence, fade: Fade) -> Corrected:
    """Fits tables, costs and calibration anew.

    Args:
        knowledge: Of the live router.
        evidence: Requests to learn from, by time.
        fade: How the past fades.
    """
    age = np.arange(len(evidence), 0, -1) - 1.0
    recent = np.exp2(-age / fade.half_life)[:, None]
    known = np.isfinite(evidence.own)
    weight = np.where(known, recent * np.minimum(1.0 / evidence.chance, MAX_WEIGHT), 0.0)
    score = np.nan_to_num(evidence.own)
    effective = weight.sum(axis=0) ** 2 / np.maximum((weight**2).sum(axis=0), 1e-12)
    mean = (weight * (score - evidence.learned)).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-12)
    shift = mean * effective / (effective + SHRINK)
    ratio = _cost_ratio(evidence, np.where(known, recent, 0.0))
    predictor = _shifted(knowledge, shift)
    made = Knowledge(
        arms=knowledge.arms,
        reference=knowledge.reference,
        predictor=predictor,
        classifier=knowledge.classifier,
        table=_table(knowledge.table, evidence, weight, score, ratio, fade.keep),
        centre=knowledge.centre + np.array([shift.mean(), 0.0]),
        plans=knowledge.plans,
    )
    return Corrected(made, shift, ratio)


def choose_fade(knowledge: Knowledge, evidence: Evidence, *, later: float = 0.3) -> tuple[Fade, dict[str, float]]:
    """The fade that predicts the later part best from the earlier; and the mean squared error of each, and of none."""
    edge = int(len(evidence) * (1.0 - later))
    first, last = evidence.take(slice(None, edge)), evidence.take(slice(edge, None))
    errors = {"as it is": squared_error(unchanged(knowledge).reading(last)[0], last)}
    tried: dict[Fade, float] = {}
    for keep, half_life in product(KEEPS, HALF_LIVES):
        fade = Fade(keep, half_life)
        tried[fade] = squared_error(correct(knowledge, first, fade).reading(last)[0], last)
        errors[f"keep {keep:g}, half-life {half_life:g}"] = tried[fade]
    return min(tried, key=lambda fade: tried[fade]), errors


def squared_error(quality: Floats, evidence: Evidence) -> float:
    """Inverse-propensity mean squared error of (n, k) expected scores on the own ones; infinite where none is known."""
    known = np.isfinite(evidence.own)
    weight = np.where(known, np.minimum(1.0 / evidence.chance, MAX_WEIGHT), 0.0)
    gap = np.where(known, quality - np.nan_to_num(evidence.own), 0.0)
    return float((weight * gap**2).sum() / weight.sum()) if known.any() else float("inf")


def greedy(quality: Floats, cost: Floats, evidence: Evidence, eligible: NDArray[np.bool_]) -> Floats:
    """(n, k) one for the allowed arm of the best utility: a policy without its exploration."""
    usable = evidence.allowed & eligible
    usable = np.where(usable.any(axis=1, keepdims=True), usable, evidence.allowed)
    utility = np.where(usable, quality - evidence.mu[:, None] * cost, -np.inf)
    chosen = np.zeros_like(quality)
    chosen[np.arange(len(quality)), utility.argmax(axis=1)] = 1.0
    return chosen


def eligible(knowledge: Knowledge, evidence: Evidence) -> NDArray[np.bool_]:
    """(n, k) arms that were ever asked in the request's most probable cell."""
    return knowledge.table.n[evidence.cell.argmax(axis=1)] > 0


def _shifted(knowledge: Knowledge, shift: Floats) -> Predictor:
    """The predictor with its calibration curves moved; its regressors are shared, as nobody changes them."""
    predictor = copy(knowledge.predictor)
    moves = zip(knowledge.predictor.knots, shift, strict=True)
    predictor.knots = [np.array([knots[0], knots[1] + move]) for knots, move in moves]
    return predictor


def _cost_ratio(evidence: Evidence, weight: Floats) -> Floats:
    """(k,) spent over expected, shrunken towards one."""
    spent, expected = (weight * evidence.spent).sum(axis=0), (weight * evidence.cost).sum(axis=0)
    prior = SHRINK * np.maximum(expected / np.maximum(weight.sum(axis=0), 1e-12), 1e-12)
    return (spent + prior) / (expected + prior)


def _table(old: CellTable, evidence: Evidence, weight: Floats, score: Floats, ratio: Floats, keep: float) -> CellTable:
    """Old counts, faded, and the new ones: each cell's Hájek mean, weighing as many labels as it is worth."""
    cell = np.column_stack([evidence.cell, np.ones(len(evidence))])  # the last is the parent
    total, square = cell.T @ weight, (cell.T**2) @ weight**2
    n = total**2 / np.maximum(square, 1e-12)
    wins = n * (cell.T @ (weight * score)) / np.maximum(total, 1e-12)
    each = np.where(old.n > 0, old.dollars / np.maximum(old.n, 1e-12), old.dollars[-1] / np.maximum(old.n[-1], 1e-12))
    return CellTable(
        cells=old.cells,
        n=keep * old.n + n,
        wins=keep * old.wins + wins,
        dollars=(keep * old.n + n) * each * ratio,
    )
