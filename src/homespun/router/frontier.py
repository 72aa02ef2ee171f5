"""Exact metrics of routing: what quality was bought for what money.

Sources: PGR, APGR and CPT from RouteLLM (arXiv:2406.18665 §3); AIQ from RouterBench (arXiv:2403.12031 §4);
the arena score from RouterArena (arXiv:2510.00202). Where we differ: ties of a router's score are resolved in
expectation, not by row order, so a constant router scores exactly .5; AIQ takes its cost range explicitly and
uses the monotone-chain hull, O(n log n), where the released code is O(n³); with ``c_min=0`` both agree.

Legend: n prompts, k arms, B bootstrap weightings, p points of a curve. Scores are fractions, costs are dollars.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Hull(NamedTuple):
    """Vertices of a non-decreasing concave frontier, both (h,), by rising cost."""

    cost: Floats
    quality: Floats


class Oracle(NamedTuple):
    """The choice that knows every score: ``arm`` (n,), its ``score`` (n,) and its ``cost`` (n,)."""

    arm: NDArray[np.int64]
    score: Floats
    cost: Floats


# --- two models: who gets the strong one ---------------------------------------------------------------------


def deferral_curve(
    gain: ArrayLike, weak: ArrayLike, strong: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Accuracy against the share of calls that go to the strong model, highest predicted gain first.

    Args:
        gain: (n,) the router's number; more means *send it up*. Prompts with equal numbers form one block, and
            inside a block the curve is straight: the mean over all orders of the block.
        weak: (n,) score of the weak model.
        strong: (n,) score of the strong model.
        weights: (n,) or (B, n) weight of each prompt, for bootstrap; ones if not given.

    Returns:
        Share (..., p) from 0 to 1 and accuracy (..., p) at the ends of the blocks.
    """
    gain, weak, strong = (np.asarray(values, dtype=np.float64) for values in (gain, weak, strong))
    order = np.argsort(-gain, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(gain[order]) != 0, True))
    weight = np.ones(len(gain)) if weights is None else np.asarray(weights, dtype=np.float64)
    weight = weight[..., order]
    total = weight.sum(axis=-1, keepdims=True)
    share = np.cumsum(weight, axis=-1)[..., ends] / total
    lift = np.cumsum(weight * (strong - weak)[order], axis=-1)[..., ends] / total
    base = (weight * weak[order]).sum(axis=-1, keepdims=True) / total
    zero = np.zeros_like(base)
    return np.concatenate([zero, share], axis=-1), base + np.concatenate([zero, lift], axis=-1)


def pgr(accuracy: ArrayLike, weak: ArrayLike, strong: ArrayLike) -> Floats:
    """Performance gap recovered: (accuracy - weak) / (strong - weak); NaN where the two models are equal."""
    accuracy, weak, strong = (np.asarray(values, dtype=np.float64) for values in (accuracy, weak, strong))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(strong == weak, np.nan, (accuracy - weak) / (strong - weak))


def apgr(gain: ArrayLike, weak: ArrayLike, strong: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Average PGR: the area under PGR over the strong-call share, by the trapezoid rule.

    A router without information has .5; it may exceed 1. Arguments as in `deferral_curve`.

    Returns:
        A scalar array, or (B,) for (B, n) weights.
    """
    share, accuracy = deferral_curve(gain, weak, strong, weights)
    recovered = pgr(accuracy, accuracy[..., :1], accuracy[..., -1:])
    return np.asarray(np.trapezoid(recovered, share, axis=-1))


def cpt(gain: ArrayLike, weak: ArrayLike, strong: ArrayLike, p: float) -> float:
    """Call-performance threshold: the least strong-call share at which PGR reaches ``p`` (0–1).

    Between the points of the curve it is interpolated. NaN where strong and weak are equally good.
    """
    share, accuracy = deferral_curve(gain, weak, strong)
    recovered = pgr(accuracy, accuracy[0], accuracy[-1])
    reached = np.flatnonzero(recovered >= p)
    if len(reached) == 0:
        return math.nan
    i = int(reached[0])
    if i == 0:
        return 0.0
    step = (p - recovered[i - 1]) / (recovered[i] - recovered[i - 1])
    return float(share[i - 1] + step * (share[i] - share[i - 1]))


# --- many models: quality against dollars ---------------------------------------------------------------------


def upper_hull(cost: ArrayLike, quality: ArrayLike) -> Hull:
    """Non-decreasing concave hull: all that random mixtures of these points can reach.

    Andrew's monotone chain over the points by rising cost, cut at the best quality.
    """
    cost, quality = np.asarray(cost, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    hull: list[tuple[float, float]] = []
    for i in np.lexsort((-quality, cost)):
        point = (float(cost[i]), float(quality[i]))
        if hull and point[1] <= hull[-1][1]:  # dearer and no better
            continue
        while len(hull) > 1 and _below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    xs, ys = zip(*hull, strict=True)
    return Hull(np.array(xs), np.array(ys))


def _below(left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]) -> bool:
    """Whether the middle point lies on or below the line from left to right."""
    rise, run = right[1] - left[1], right[0] - left[0]
    return (middle[1] - left[1]) * run <= rise * (middle[0] - left[0])


def hull_quality(hull: Hull, cost: ArrayLike) -> Floats:
    """Quality that the hull reaches at each cost; 0 below its cheapest point, flat after its dearest."""
    return np.interp(np.asarray(cost, dtype=np.float64), hull.cost, hull.quality, left=0.0)


def hull_cost(hull: Hull, quality: float) -> float:
    """Least dollars at which the hull reaches a quality; NaN when it never does."""
    if quality > hull.quality[-1]:
        return math.nan
    if quality <= hull.quality[0]:
        return float(hull.cost[0])
    return float(np.interp(quality, hull.quality, hull.cost))


def aiq(cost: ArrayLike, quality: ArrayLike, *, c_min: float, c_max: float) -> float:
    """Average improvement in quality: mean height of the hull over [c_min, c_max].

    Compare routers over one range only. Below a router's cheapest point nothing can be bought and the height
    is 0; past its dearest the hull goes on flat. RouterBench's code is the case ``c_min=0`` with ``c_max`` the
    largest cost of all the routers compared.

    Args:
        cost: (p,) dollars of each setting of the router.
        quality: (p,) its score.
        c_min: Lower end of the cost range.
        c_max: Upper end, above ``c_min``.
    """
    hull = upper_hull(cost, quality)
    inside = hull.cost[(hull.cost > c_min) & (hull.cost < c_max)]
    start = min(max(c_min, float(hull.cost[0])), c_max)
    grid = np.unique(np.concatenate([[start], inside, [c_max]]))
    return float(np.trapezoid(hull_quality(hull, grid), grid)) / (c_max - c_min)


def arena_score(accuracy: float, dollars_per_thousand: float) -> float:
    """RouterArena's score S = 1.1·A·C / (0.1·A + C), C = (log₂200 - log₂c) / (log₂200 - log₂0.0044).

    Args:
        accuracy: A, 0–1.
        dollars_per_thousand: c, dollars per thousand queries; C is kept within 0–1.
    """
    bounded = min(max(dollars_per_thousand, 0.0044), 200.0)
    cheap = math.log2(200 / bounded) / math.log2(200 / 0.0044)
    below = 0.1 * accuracy + cheap
    return 1.1 * accuracy * cheap / below if below > 0 else 0.0


def cost_saving(cost: ArrayLike, quality: ArrayLike, *, reference_cost: float, reference_quality: float) -> float:
    """Share of the reference's dollars that a router saves at the reference's score.

    Args:
        cost: (p,) dollars of the router's settings.
        quality: (p,) their scores; mixtures of two settings count, through the hull.
        reference_cost: Dollars of the reference, usually the best single arm; above zero.
        reference_quality: Its score.

    Returns:
        1 - cost / reference cost; below zero when it costs more, NaN when the score is never reached.
    """
    return 1.0 - hull_cost(upper_hull(cost, quality), reference_quality) / reference_cost


def pareto_front(cost: ArrayLike, quality: ArrayLike) -> NDArray[np.bool_]:
    """(p,) whether no other point is at least as cheap and as good, and better in one of the two."""
    cost, quality = np.asarray(cost, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    front = np.zeros(len(cost), dtype=bool)
    best, best_cost = -math.inf, math.nan
    for i in np.lexsort((-quality, cost)):
        if quality[i] > best or (quality[i] == best and cost[i] == best_cost):
            best, best_cost, front[i] = float(quality[i]), float(cost[i]), True
    return front


def pareto_distance(cost: float, quality: float, *, costs: ArrayLike, qualities: ArrayLike) -> float:
    """How far a router lies below the frontier of all points compared, itself included; 0 is on it.

    Both axes are scaled to 0–1 over the points; the distance is Euclidean, to the nearest frontier point.

    Args:
        cost: Dollars of the router.
        quality: Its score.
        costs: (p,) dollars of every point compared.
        qualities: (p,) their scores.
    """
    xs = np.append(np.asarray(costs, dtype=np.float64), cost)
    ys = np.append(np.asarray(qualities, dtype=np.float64), quality)
    wide, high = float(np.ptp(xs)) or 1.0, float(np.ptp(ys)) or 1.0
    front = pareto_front(xs, ys)
    return float(np.min(np.hypot((xs[front] - cost) / wide, (ys[front] - quality) / high)))


# --- what was left on the table ---------------------------------------------------------------------------------


def oracle(score: Floats, cost: Floats) -> Oracle:
    """Per prompt the best score, and among the best the cheapest arm.

    Args:
        score: (n, k), NaN where never asked; each row has a score.
        cost: (n, k) dollars.
    """
    best = np.nanmax(score, axis=1)
    candidates = np.where(score == best[:, None], np.nan_to_num(cost, nan=np.inf), np.inf)
    unpriced = ~np.isfinite(candidates).any(axis=1)
    candidates[unpriced] = np.where(score[unpriced] == best[unpriced, None], 0.0, np.inf)
    arm = np.argmin(candidates, axis=1)
    return Oracle(arm, best, cost[np.arange(len(arm)), arm])


def regret(chosen: ArrayLike, score: Floats) -> float:
    """Mean shortfall of the chosen scores (n,) against the best arm of each prompt in ``score`` (n, k)."""
    return float(np.mean(np.nanmax(score, axis=1) - np.asarray(chosen, dtype=np.float64)))


def gain_over_best(quality: float, score: Floats) -> float:
    """PerfGain: a router's score less that of the best single arm (column mean of ``score``)."""
    return quality - float(np.max(np.nanmean(score, axis=0)))


def oracle_gap(quality: float, score: Floats) -> float:
    """Share of the way from the best single arm to the oracle that is still to go; NaN when there is no way."""
    best, top = float(np.max(np.nanmean(score, axis=0))), float(np.mean(np.nanmax(score, axis=1)))
    return (top - quality) / (top - best) if top > best else math.nan
