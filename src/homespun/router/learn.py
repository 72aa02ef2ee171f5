"""From outcomes to a router: predictor, taxonomy, cascades per cell, the plain cascade beside them.

EMAFusion §4–5. Nothing here looks at a test prompt. The predictor's view of a training prompt is always out of fold,
so that the cascades learn from the uncertainty they will meet.

Legend: n prompts, c cells, k arms.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.router.cascade import CascadeConfig, Plan, fit_cell
from homespun.router.classifier import Classifier
from homespun.router.dial import DIAL
from homespun.router.features import FeatureConfig
from homespun.router.learned import LearnedConfig, Predictor
from homespun.router.outcomes import Outcomes, normalise
from homespun.router.policy import Knowledge
from homespun.router.regressors import Ridge
from homespun.router.replay import table_codes
from homespun.router.taxonomy import cell_labels, fit_table
from homespun.router.thresholds import PlainCascade, Thresholds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Tick = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class RouterConfig:
    """All that can be varied in fitting a router."""

    learned: LearnedConfig = field(default_factory=lambda: LearnedConfig(features=FeatureConfig(rank=96)))
    """The predictor."""
    cascade: CascadeConfig = field(default_factory=CascadeConfig)
    """The cascades per cell."""
    dial: tuple[float, ...] = DIAL
    """Settings of μ to fit."""
    folds: int = 5
    """Folds of the out-of-fold predictions."""
    seed: int = 0
    """Of folds and features."""


class Learned(NamedTuple):
    """The router and, for comparison, the cascade without taxonomy or predictor."""

    knowledge: Knowledge
    plain: dict[float, PlainCascade]
    """Per dial setting; empty where outcomes carry no answers."""


def best_single(outcomes: Outcomes) -> int:
    """The arm of the best mean score among those that were asked on every prompt, or nearly so."""
    covered = np.isfinite(outcomes.score).mean(axis=0)
    mean = np.where(covered >= min(0.99, covered.max()), np.nanmean(outcomes.score, axis=0), -np.inf)
    return int(np.argmax(mean))


def learn(outcomes: Outcomes, config: RouterConfig | None = None, *, tick: Tick = lambda: None) -> Learned:
    """Fits everything on these prompts.

    Args:
        outcomes: Training prompts.
        config: What to fit.
        tick: Called after each step, `num_steps` times in all.
    """
    config = config or RouterConfig()
    reference = float(np.nanmean(outcomes.cost[:, best_single(outcomes)])) or 1e-12
    predictor = Predictor(config.learned).fit(outcomes.prompts, outcomes.score)
    tick()
    seen = predictor.features.transform(outcomes.prompts)
    learned = _out_of_fold(predictor, seen, outcomes, config)
    labels = cell_labels(outcomes.prompts, outcomes.datasets)
    classifier = Classifier.fit(seen, labels)
    cell = np.array([classifier.cells.index(name) for name in labels], dtype=np.int64)
    centre, prior = _centred(learned.mean(axis=1), cell, len(classifier.cells))
    knowledge = Knowledge(
        arms=tuple(outcomes.arms),
        reference=reference,
        predictor=predictor,
        classifier=classifier,
        table=fit_table(cell, classifier.cells, outcomes.score, outcomes.cost),
        centre=centre,
        plans={},
    )
    tick()
    if outcomes.answers is None:
        return Learned(knowledge, {})
    codes = table_codes(outcomes)
    plans = _plans(outcomes, codes, cell, prior, reference, config)
    knowledge.plans = {mu: [cells[mu] for cells in plans] for mu in config.dial}
    tick()
    return Learned(knowledge, _plain(outcomes, codes, reference, config))


def _plans(
    outcomes: Outcomes, codes: Ints, cell: Ints, prior: Floats, reference: float, config: RouterConfig
) -> list[dict[float, Plan]]:
    plans: list[dict[float, Plan]] = []
    for number in range(int(cell.max()) + 1):
        rows = np.flatnonzero(cell == number)
        with np.errstate(all="ignore"):
            cost = _means(outcomes.cost[rows]) / reference
        fitted = fit_cell(codes[rows], outcomes.score[rows], cost, prior[rows], config=config.cascade, seed=config.seed)
        plans.append({mu: fitted.plan(mu) for mu in config.dial})
    return plans


def _plain(outcomes: Outcomes, codes: Ints, reference: float, config: RouterConfig) -> dict[float, PlainCascade]:
    thresholds = Thresholds(codes, outcomes.score, _means(outcomes.cost) / reference, seed=config.seed)
    chosen = {mu: thresholds.choose(mu) for mu in config.dial}
    return {mu: PlainCascade(tiers, thresholds.weights(tiers)) for mu, tiers in chosen.items()}


def _means(table: Floats) -> Floats:
    """Column means without the NaN; NaN for a column of nothing else."""
    known = np.isfinite(table)
    total = known.sum(axis=0)
    return np.where(total > 0, np.where(known, table, 0.0).sum(axis=0) / np.maximum(total, 1), np.nan)


def _out_of_fold(predictor: Predictor, seen: Floats, outcomes: Outcomes, config: RouterConfig) -> Floats:
    """(n, k) calibrated scores by ridges that did not see the prompt; equal prompts share a fold."""
    keys: dict[str, int] = {}
    group = np.array([keys.setdefault(normalise(prompt), len(keys)) for prompt in outcomes.prompts])
    fold = (np.random.default_rng(config.seed).permutation(len(keys)) % config.folds)[group]
    raw = predictor.ridge.predict(seen)
    weights = np.ones(len(seen))
    for held in np.unique(fold):
        rest, out = fold != held, fold == held
        learnable = np.isfinite(outcomes.score[rest]).any(axis=0)
        ridge = Ridge(predictor.ridge.penalty).fit(seen[rest], outcomes.score[rest][:, learnable], weights[rest])
        raw[np.ix_(out, learnable)] = ridge.predict(seen[out])
    curves = [np.interp(raw[:, j], *knots) for j, knots in enumerate(predictor.knots)]
    return np.clip(np.column_stack(curves), 0.0, 1.0)


def _centred(mean: Floats, cell: Ints, num_cells: int) -> tuple[Floats, Floats]:
    centre = np.array([[mean[cell == c].mean(), max(mean[cell == c].std(), 1e-6)] for c in range(num_cells)])
    return centre, np.clip((mean - centre[cell, 0]) / centre[cell, 1], -3.0, 3.0)
