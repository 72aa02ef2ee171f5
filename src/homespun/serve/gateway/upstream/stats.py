"""How the calls of one target went lately: counts, failures by reason, quantiles of time."""

from collections import Counter, deque
from collections.abc import Sequence
from math import ceil
from typing import Any

WINDOW_SECONDS = 300.0
KEPT = 4096
"""Calls of the window that are kept at most."""


class Stats:
    """Calls of one target; cheap to add to, quantiles are worked out when asked for."""

    __slots__ = ("_recent", "calls", "failures", "running")

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float | None, float]] = deque(maxlen=KEPT)
        self.calls = self.running = 0
        self.failures: Counter[str] = Counter()

    def passed(self, now: float, first: float | None, total: float) -> None:
        """A call was answered; seconds to the first byte and to the last."""
        self._recent.append((now, first, total))

    def failed(self, reason: str) -> None:
        """A call failed."""
        self.failures[reason] += 1

    def row(self, now: float) -> dict[str, Any]:
        """Numbers of the dashboard; quantiles over the last five minutes."""
        rows = [row for row in self._recent if row[0] >= now - WINDOW_SECONDS]
        firsts = [first for _, first, _ in rows if first is not None]
        totals = [total for _, _, total in rows]
        return {
            "calls": self.calls,
            "running": self.running,
            "failures": dict(self.failures),
            "recent": len(rows),
            "first_byte_p50": quantile(firsts, 0.50),
            "first_byte_p95": quantile(firsts, 0.95),
            "seconds_p50": quantile(totals, 0.50),
            "seconds_p95": quantile(totals, 0.95),
        }


def quantile(values: Sequence[float], q: float) -> float | None:
    """The smallest value that at least a share ``q`` of the values do not exceed; of none, ``None``."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(ceil(q * len(ordered)) - 1, 0)]
