"""Has the world moved? Alarms on what is asked, on whether judges still agree, and on how often a cascade goes on.

EMAFusion §6 [X] names the three signals; the rules are ours, each with a stated rate of false alarms.

*Mix of cells.* The population stability index, PSI = Σ (a_c - e_c)·ln(a_c/e_c). With no drift it is distributed, for
large counts, as (1/n + 1/m)·χ² with one degree of freedom per cell less one (Yurdakul 2018, thesis, Western Michigan
University), so one look alarms falsely with probability α at most about; a PSI below 0.1, which
practice calls stable, is never an alarm however many requests make it significant.

*Rates* (judge against validator, escalation). A Shiryaev–Roberts sum of likelihood ratios, restarted at every
observation and mixed over several sizes of change, in the manner of e-detectors (Shin, Ramdas and Rinaldo,
arXiv:2203.03532): R_t = (R_{t-1} + 1)·L_t. While the true rate does not pass the tolerated one, R_t - t is a
supermartingale, so the mean number of observations to a false alarm is at least the threshold, whatever the sample
and however often it is looked at. The tolerated rate is the upper confidence bound of the baseline's.

Legend: c cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, chi2

from homespun.errors import DataError

Floats = NDArray[np.float64]

STABLE = 0.1
"""PSI that is never called a drift."""
ODDS = (1.3, 1.7, 2.5, 4.0)
"""Changes of the odds that a rate's monitor listens for."""
RUN_LENGTH = 10_000.0
"""Mean number of observations to a false alarm, at least."""


class Alarm(NamedTuple):
    """What moved: fields of a row of ``alarms``."""

    kind: str
    value: float
    threshold: float
    detail: str


def psi(expected: ArrayLike, actual: ArrayLike) -> float:
    """Population stability index of two (c,) counts; half a count is added to each, so that an empty cell is finite.

    Raises:
        DataError: shapes differ or a count is below zero.
    """
    e, a = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if e.shape != a.shape or e.ndim != 1 or (e < 0).any() or (a < 0).any():
        raise DataError(f"counts {e.shape} and {a.shape}", "psi", "two rows of counts of the same cells")
    p, q = (e + 0.5) / (e + 0.5).sum(), (a + 0.5) / (a + 0.5).sum()
    return float(((q - p) * np.log(q / p)).sum())


def psi_limit(num_expected: float, num_actual: float, num_cells: int, *, alpha: float = 1e-3) -> float:
    """PSI that no drift passes with probability 1 - α, and at least `STABLE`."""
    if num_cells < 2 or min(num_expected, num_actual) <= 0:
        return float("inf")
    noise = float(chi2.ppf(1.0 - alpha, num_cells - 1)) * (1.0 / num_expected + 1.0 / num_actual)
    return max(noise, STABLE)


def mix_alarm(expected: Mapping[str, float], actual: Mapping[str, float], *, alpha: float = 1e-3) -> Alarm | None:
    """Whether the mix of cells has moved: counts per cell of a baseline and of a recent window."""
    cells = sorted(set(expected) | set(actual))
    before = np.array([expected.get(cell, 0.0) for cell in cells])
    now = np.array([actual.get(cell, 0.0) for cell in cells])
    limit = psi_limit(before.sum(), now.sum(), len(cells), alpha=alpha)
    if not np.isfinite(limit) or (found := psi(before, now)) <= limit:
        return None
    shift = now / now.sum() - before / before.sum()
    most = int(np.argmax(np.abs(shift)))
    detail = f"cell {cells[most]!r} moved by {100 * shift[most]:+.0f} points of the traffic ({now.sum():.0f} requests)"
    return Alarm("mix", found, limit, detail)


def upper_rate(hits: float, total: float, *, level: float = 0.99) -> float:
    """Clopper–Pearson upper bound, one-sided, of a rate seen ``hits`` times in ``total``; 1 without observations."""
    return float(beta.ppf(level, hits + 1.0, total - hits)) if total > hits else 1.0


@dataclass(kw_only=True)
class RateMonitor:
    """Watches whether a rate passes what is tolerated; feed it one observation at a time.

    At the tolerated rate or below it the mean number of observations to an alarm is at least ``run_length``.
    """

    kind: str
    tolerated: float
    """Highest rate that is no drift, in (0, 1)."""
    run_length: float = RUN_LENGTH
    """Threshold of the statistic, hence the least mean run to a false alarm."""
    seen: int = 0
    hits: int = 0
    """Observations since the start or the last alarm, and how many of them were hits."""
    sums: list[float] = field(default_factory=lambda: [0.0] * len(ODDS))
    """Shiryaev–Roberts sum per size of change."""

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            DataError: the tolerated rate is not inside (0, 1).
        """
        if not 0.0 < self.tolerated < 1.0 or not self.run_length > 1:
            raise DataError(f"a tolerated rate of {self.tolerated}", self.kind, "a rate inside (0, 1)")

    @property
    def statistic(self) -> float:
        """Evidence of a change, to be held against ``run_length``."""
        return sum(self.sums) / len(self.sums)

    def observe(self, hit: bool) -> Alarm | None:
        """Takes one observation; an alarm starts the monitor afresh."""
        self.seen, self.hits = self.seen + 1, self.hits + hit
        for i, odds in enumerate(ODDS):
            total = 1.0 - self.tolerated + odds * self.tolerated
            self.sums[i] = (self.sums[i] + 1.0) * (odds / total if hit else 1.0 / total)
        if self.statistic < self.run_length:
            return None
        alarm = Alarm(
            self.kind,
            self.statistic,
            self.run_length,
            f"{self.hits} of {self.seen} since the start; up to {100 * self.tolerated:.1f} % is tolerated",
        )
        self.seen, self.hits, self.sums = 0, 0, [0.0] * len(ODDS)
        return alarm


def monitor(kind: str, hits: float, total: float, *, run_length: float = RUN_LENGTH) -> RateMonitor:
    """A monitor that tolerates the upper bound of a baseline's rate.

    Raises:
        DataError: the baseline is empty.
    """
    if total <= 0:
        raise DataError("a baseline without observations", kind, "wait for some")
    return RateMonitor(kind=kind, tolerated=min(upper_rate(hits, total), 0.99), run_length=run_length)
