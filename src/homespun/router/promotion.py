"""When may a new router take over, and when must it go back? Rules with stated error rates, and reasons with numbers.

EMAFusion §6 [X].

*Gate.* Promote only if the 95 % lower bound of Δutility, doubly robust on requests later than those it was fitted on,
is above zero, and no cell with at least 100 requests loses more than two points. The bound is the lower end of a
two-sided interval: a router that is no better passes with probability 2.5 % at most per refit, as far as the normal
approximation holds; refits are counted singly, so over many refits expect that share of idle promotions.

*Canary.* A share of the traffic tells what the estimate could not. Two tests, on labels of canary and live side by
side, each canary label against the mean of the live labels that came in since the one before:

- harm, looked at after every label: a betting martingale (Waudby-Smith and Ramdas, arXiv:2010.09686, §4; mixed over
  several bets) against "the canary is not worse". A canary that is not worse is rolled back with probability ``alpha``
  at most over its whole life, at any sample size, whatever the distribution of the bounded utilities.
- no harm, at pre-stated looks (``looks`` × the wanted number of labels): keep it if the one-sided lower bound of the
  difference, at level alpha/looks, is above -margin. A canary worse by more than the margin is kept with probability
  ``alpha`` at most (Bonferroni, normal approximation). After the last look without that it is rolled back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from homespun.router.offpolicy import CLIP, Estimate, Logged, difference

Floats = NDArray[np.float64]

MIN_CELL = 100
"""Requests from which a cell has a say of its own."""
MAX_LOSS = 0.02
"""Utility that such a cell may lose."""
MIN_EFFECTIVE = 15.0
"""Effective sample size below which the estimate is the model's opinion, not evidence."""
BETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
"""Shares of the most that may be bet, mixed alike."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Whether a candidate may become a canary, and why (not)."""

    promote: bool
    reasons: tuple[str, ...]
    """Why not, with numbers; empty for a promotion."""
    gain: Estimate
    cells: dict[str, Estimate]
    """Δutility of each cell that has a say."""

    def report(self) -> dict[str, Any]:
        """For the table ``routers``: JSON."""
        return {
            "promote": self.promote,
            "reasons": list(self.reasons),
            "gain": _numbers(self.gain),
            "cells": {name: _numbers(each) for name, each in self.cells.items()},
        }


def gate(
    logged: Logged,
    new: Floats,
    old: Floats,
    cell: Sequence[str],
    *,
    min_cell: int = MIN_CELL,
    max_loss: float = MAX_LOSS,
    min_effective: float = MIN_EFFECTIVE,
    clip: float = CLIP,
) -> Gate:
    """Judges a candidate by requests that it was not fitted on.

    Args:
        logged: Utilities (score less the price of money), with a model of them.
        new: (n, k) probabilities of each arm under the candidate.
        old: (n, k) the same under the live router.
        cell: (n,) most probable cell of each request.
        min_cell: Requests from which a cell has a say.
        max_loss: Utility that such a cell may lose.
        min_effective: Least effective sample size of the requests on which the two differ.
        clip: Largest weight of one request.

    Raises:
        DataError: shapes do not fit.
    """
    gain = difference(logged, new, old, clip=clip)
    names, place = np.unique(np.asarray(cell, dtype=np.str_), return_inverse=True)
    cells = {
        str(name): difference(logged.take(rows), new[rows], old[rows], clip=clip)
        for c, name in enumerate(names)
        if len(rows := np.flatnonzero(place == c)) >= max(min_cell, 2)
    }
    reasons: list[str] = []
    if not gain.low > 0.0:
        reasons.append(f"Δutility {gain.value:+.4f}, 95 % interval {gain.low:+.4f} to {gain.high:+.4f}: not above zero")
    if gain.effective < min_effective:
        reasons.append(f"only {gain.effective:.0f} effective requests where the two differ, {min_effective:.0f} needed")
    for name, each in cells.items():
        if each.value < -max_loss:
            reasons.append(f"cell {name!r} loses {-100 * each.value:.1f} points on {each.n} requests")
    return Gate(promote=not reasons, reasons=tuple(reasons), gain=gain, cells=cells)


Verdict = Literal["wait", "keep", "roll back"]


@dataclass(frozen=True, kw_only=True)
class CanaryRule:
    """The two tests of a canary; see the module's text for which error rates hold."""

    labels: int
    """Canary labels at the first look; the further looks come at twice and four times as many."""
    span: float = 1.0
    """Largest minus least utility: the width of the interval in which every utility lies."""
    alpha: float = 0.05
    """Error rate of each of the two tests."""
    margin: float = 0.1
    """Loss of utility that counts as none."""
    looks: tuple[int, ...] = (1, 2, 4)
    """Multiples of ``labels`` at which the canary may be kept."""

    def judge(self, gaps: ArrayLike) -> tuple[Verdict, dict[str, Any]]:
        """What becomes of a canary after these differences, in order of time; see `gaps` for how they are made.

        A verdict, once reached, stands: later differences do not change it.
        """
        d = np.asarray(gaps, dtype=np.float64)
        wealth = harm(d, self.span)
        harmed = np.flatnonzero(wealth >= 1.0 / self.alpha)
        stop = int(harmed[0]) + 1 if len(harmed) else len(d) + 1
        for look in self.looks:
            num = look * self.labels
            if num >= stop or num > len(d):
                break
            low = _lower(d[:num], self.alpha / len(self.looks))
            if low > -self.margin:
                return "keep", self._report(d[:num], wealth, f"Δ above {-self.margin:+.3f} at {num} labels", low)
            if look == self.looks[-1]:
                why = f"not shown to be harmless by {num} labels: Δ may be {low:+.3f}"
                return "roll back", self._report(d[:num], wealth, why, low)
        if len(harmed):
            why = f"worse after {stop} labels: evidence {wealth[stop - 1]:.0f} of {1 / self.alpha:.0f}"
            return "roll back", self._report(d[:stop], wealth, why, None)
        return "wait", self._report(d, wealth, f"{len(d)} labels so far", None)

    def _report(self, d: Floats, wealth: Floats, why: str, low: float | None) -> dict[str, Any]:
        return {
            "why": why,
            "labels": len(d),
            "difference": float(d.mean()) if len(d) else None,
            "lower_bound": low,
            "evidence_of_harm": float(wealth[: len(d)].max()) if len(d) else 0.0,
            "alpha": self.alpha,
            "margin": self.margin,
        }


def gaps(canary: Sequence[tuple[float, float]], live: Sequence[tuple[float, float]]) -> Floats:
    """Differences of (time, utility) rows: each canary label less the mean of the live ones since the one before.

    Live labels are used once each; a canary label with no new live one waits for it together with the next.
    """
    order = sorted(live)
    found: list[float] = []
    place, waiting = 0, list[float]()
    for time, utility in sorted(canary):
        waiting.append(utility)
        end = place
        while end < len(order) and order[end][0] <= time:
            end += 1
        if end > place:
            found.append(float(np.mean(waiting)) - float(np.mean([u for _, u in order[place:end]])))
            place, waiting = end, []
    return np.array(found)


def harm(differences: ArrayLike, span: float = 1.0) -> Floats:
    """(n,) evidence after each difference that their mean is below zero: an e-process, 1 at the start.

    Args:
        differences: Each within ±span; those outside are set to the edge.
        span: Width of the interval of utilities.
    """
    d = np.clip(np.asarray(differences, dtype=np.float64) / span, -1.0, 1.0)
    growth = np.log1p(-np.asarray(BETS)[:, None] * d)
    return np.exp(np.clip(growth.cumsum(axis=1), -700.0, 700.0)).mean(axis=0)


def _lower(d: Floats, alpha: float) -> float:
    if len(d) < 2:
        return -np.inf
    return float(d.mean() - student.ppf(1.0 - alpha, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)))


def _numbers(each: Estimate) -> dict[str, Any]:
    return {
        "value": each.value,
        "low": each.low,
        "high": each.high,
        "n": each.n,
        "effective": each.effective,
        "clipped": each.clipped,
    }
