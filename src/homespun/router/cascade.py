"""Cascade routing: at each step ask the arm that is worth its price, or stop.

Source: cascade routing, arXiv:2410.10347, as named in EMAFusion §5: decide anew at each step over all model
sequences by E[max q] - λ·cost. Where we differ: the expectation is learned from replay by backward induction over sets
of paid arms, with least squares for the continuation value (Longstaff and Schwartz 2001), so a step is not greedy:
asking two cheap arms in order to see whether they agree has its worth although neither alone has.

For a cell, with its pool of arms, V(S) = max(q(S), max over j not in S of E[V(S + j) | state] - μ·c(j)). The state
is what was seen: q of the leader and of the runner-up, who supports it, who could not be read, and the prompt's prior.

Legend: n prompts, p arms of the pool, s paid arms, d features of a state, S a set of paid arms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.router.posterior import Standing, ballots, fit_weights, probability, standing

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Arms = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class CascadeConfig:
    """How deep, how wide, how smooth."""

    pool: int = 9
    """p, arms that a cell's cascade may ask."""
    depth: int = 5
    """Most arms asked on one prompt."""
    rounds: tuple[tuple[float, int], ...] = ((0.0, 3), (0.045, 4), (0.13, 4))
    """Pool selection: forward steps under each price of money, μ in units of the reference cost."""
    folds: int = 5
    """Cross-fitting of the vote weights, so that no prompt judges itself."""
    ridge: float = 4.0
    """L2 penalty of the continuation values."""


class Node(NamedTuple):
    """What is done once the arms of S are paid for."""

    weights: Floats
    """Vote weights of `posterior.ballots`; empty for the empty set."""
    nexts: Ints
    """(m,) arms that may be asked next; empty at full depth."""
    worth: Floats
    """(d, m) continuation value of each, as coefficients of the state."""


Plan = dict[Arms, Node]
"""The nodes of one cell at one setting of the dial; a set that is not there was never worth reaching."""


class _Situation(NamedTuple):
    """A set of paid arms on the training prompts, cross-fitted."""

    weights: Floats
    first: Floats
    state: Floats
    solve: Floats
    """(d, n) least-squares operator."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """All that is needed to plan for one cell at any setting of the dial."""

    pool: Arms
    depth: int
    cost: Floats
    """(k,) expected dollars of a call, over the reference cost."""
    situations: dict[Arms, _Situation]

    def plan(self, mu: float) -> Plan:
        """Backward induction for one price of money; keeps the nodes that training prompts reach."""
        value: dict[Arms, Floats] = {}
        nodes: Plan = {}
        choice: dict[Arms, Ints] = {}
        for paid in sorted(self.situations, key=len, reverse=True):
            here = self.situations[paid]
            nexts = np.array([arm for arm in self.pool if arm not in paid], dtype=np.int64)
            if len(paid) >= self.depth or len(nexts) == 0:
                nodes[paid] = Node(here.weights, nexts[:0], np.zeros((here.state.shape[1], 0)))
                value[paid] = here.first
                choice[paid] = np.full(len(here.first), -1, dtype=np.int64)
                continue
            after = np.column_stack([value[_with(paid, arm)] - mu * self.cost[arm] for arm in nexts.tolist()])
            worth = here.solve @ after
            go, best, _ = _onward(here.state, worth, here.first, forced=not paid)
            value[paid] = np.where(go, after[np.arange(len(after)), best], here.first)
            nodes[paid] = Node(here.weights, nexts, worth)
            choice[paid] = np.where(go, nexts[best], -1)
        return _pruned(nodes, _reached(choice))


def fit_cell(codes: Ints, truth: Floats, cost: Floats, prior: Floats, *, config: CascadeConfig, seed: int = 0) -> Cell:
    """Chooses the pool, fits the votes of every set of arms within depth, and prepares the regressions.

    Args:
        codes: (n, k) answers of all arms on the cell's training prompts.
        truth: (n, k) their scores, NaN where never asked.
        cost: (k,) mean dollars of a call over the reference cost; NaN for an arm the cell never asked.
        prior: (n,) expected score of the arms on each prompt, centred; out of fold.
        config: Depth, width and penalties.
        seed: Of the folds.
    """
    folds = np.random.default_rng(seed).permutation(len(codes)) % config.folds
    usable = [j for j in range(codes.shape[1]) if np.isfinite(truth[:, j]).mean() > 0.9]
    pool = _pool(codes, np.nan_to_num(truth), cost, prior, usable, config, folds)
    depth = min(config.depth, len(pool))
    sets = [paid for size in range(depth + 1) for paid in combinations(pool, size)]
    scores = np.nan_to_num(truth)
    situations = {paid: _situation(codes, scores, prior, paid, folds, config.ridge) for paid in sets}
    return Cell(pool=pool, depth=depth, cost=np.nan_to_num(cost), situations=situations)


def judge(node: Node, codes_NS: Ints, prior: Floats) -> Standing:
    """How the vote stands after the node's arms have answered: codes (n, s), prior (n,)."""
    candidates = ballots(codes_NS, prior)
    return standing(codes_NS, candidates, probability(candidates.features, node.weights))


def next_arm(node: Node, vote: Standing | None, codes_NS: Ints, prior: Floats) -> tuple[Ints, Floats]:
    """(n,) arm to ask next, -1 to stop, and (n,) the worth of going on, net of its cost."""
    num = len(prior)
    if node.worth.shape[1] == 0:
        return np.full(num, -1, dtype=np.int64), np.zeros(num)
    first = np.zeros(num) if vote is None else vote.first
    go, best, worth = _onward(state(vote, codes_NS, prior), node.worth, first, forced=vote is None)
    return np.where(go, node.nexts[best], -1), worth


def state(vote: Standing | None, codes_NS: Ints, prior: Floats) -> Floats:
    """(n, d) features of what was seen; with nothing paid yet, the bias and the prior."""
    if vote is None:
        return np.column_stack([np.ones(len(prior)), prior])
    q, r = vote.first, vote.second
    unread = (codes_NS <= 0).mean(axis=1)
    return np.column_stack([np.ones(len(prior)), q, q * q, r, q * r, unread, vote.stance, prior])


def _situation(codes: Ints, scores: Floats, prior: Floats, paid: Arms, folds: Ints, ridge: float) -> _Situation:
    if paid:
        weights, vote = cross_fitted(codes, scores, prior, paid, folds)
        first, seen = vote.first, state(vote, codes[:, list(paid)], prior)
    else:
        weights, first, seen = np.zeros(0), np.zeros(len(codes)), state(None, codes[:, :0], prior)
    penalty = np.full(seen.shape[1], ridge)
    penalty[0] = 1e-6
    solve = np.asarray(np.linalg.solve(seen.T @ seen + np.diag(penalty), seen.T), dtype=np.float64)
    return _Situation(weights, first, seen, solve)


def cross_fitted(codes: Ints, scores: Floats, prior: Floats, paid: Arms, folds: Ints) -> tuple[Floats, Standing]:
    """Weights from all prompts, and the vote on each prompt by weights that did not see it."""
    given = codes[:, list(paid)]
    candidates = ballots(given, prior)
    right = scores[candidates.prompt, np.array(paid)[candidates.arm]]
    fold = folds[candidates.prompt]
    p = np.zeros(len(right))
    for held in np.unique(fold):
        rest, out = fold != held, fold == held
        p[out] = probability(candidates.features[out], fit_weights(candidates.features[rest], right[rest]))
    return fit_weights(candidates.features, right), standing(given, candidates, p)


def _pool(
    codes: Ints, scores: Floats, cost: Floats, prior: Floats, usable: Sequence[int], config: CascadeConfig, folds: Ints
) -> Arms:
    """Forward selection of arms whose vote is best, at several prices of money; the union, dearest dropped last."""
    worth: dict[Arms, float] = {}
    coarse = folds % 2

    def quality(paid: Arms) -> float:
        if paid not in worth:
            _, vote = cross_fitted(codes, scores, prior, paid, coarse)
            arms = np.array(paid)[np.maximum(vote.leader, 0)]
            right = np.where(vote.leader >= 0, scores[np.arange(len(codes)), arms], 0.0)
            worth[paid] = float(right.mean() + vote.first.mean()) / 2
        return worth[paid]

    pool: list[int] = []
    for mu, steps in config.rounds:
        chosen: Arms = ()
        for _ in range(min(steps, len(usable))):
            left = [arm for arm in usable if arm not in chosen]
            net = {arm: quality(_with(chosen, arm)) - mu * cost[arm] for arm in left}
            chosen = _with(chosen, max(left, key=lambda arm: (net[arm], -arm)))
        pool += [arm for arm in chosen if arm not in pool]
    return tuple(sorted(pool[: config.pool]))


def _with(paid: Arms, arm: int) -> Arms:
    return tuple(sorted((*paid, arm)))


def _onward(seen: Floats, worth: Floats, first: Floats, *, forced: bool) -> tuple[NDArray[np.bool_], Ints, Floats]:
    estimate = seen @ worth
    best = estimate.argmax(axis=1)
    top = estimate[np.arange(len(estimate)), best]
    return (top > first) | forced, best, top


def _pruned(nodes: Plan, reached: Sequence[Arms]) -> Plan:
    """Keeps the nodes of these sets, and of each node the ways that lead to one of them."""
    kept: Plan = {}
    for paid in reached:
        node = nodes[paid]
        open_ways = [i for i, arm in enumerate(node.nexts.tolist()) if _with(paid, arm) in reached]
        kept[paid] = Node(node.weights, node.nexts[open_ways], node.worth[:, open_ways])
    return kept


def _reached(choice: dict[Arms, Ints]) -> list[Arms]:
    """Sets that some training prompt passes through, breadth first."""
    empty: Arms = ()
    waiting: dict[Arms, Ints] = {empty: np.arange(len(choice[empty]))}
    order: list[Arms] = []
    while waiting:
        paid = min(waiting, key=lambda arms: (len(arms), arms))
        rows = waiting.pop(paid)
        order.append(paid)
        for arm in np.unique(choice[paid][rows]):
            if arm >= 0:
                target = _with(paid, int(arm))
                group = rows[choice[paid][rows] == arm]
                waiting[target] = np.concatenate([waiting[target], group]) if target in waiting else group
    return order
