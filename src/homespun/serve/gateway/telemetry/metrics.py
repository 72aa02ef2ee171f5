"""What is counted, under which name, and how one finished request adds to it.

Counts are whole numbers (money in nanodollars), so that sums over workers and restarts are exact; the exposition turns
them into base units. `Tally.request` is on the path of every request and costs a few microseconds: plain dictionaries,
no lock, no string built. Names follow Prometheus: base units, ``_total`` on counters.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from homespun.serve.gateway.types import NANO, Attempt

Labels = tuple[str | int, ...]
Cells = list[float]
"""Of a histogram: how many fell under each bound and above the last, then their sum."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Bounds of the histograms of time."""
NOBODY = "none"
"""Target of a request that no target answered."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it is exposed."""

    name: str
    """Without ``_total``, which the exposition adds to counters."""
    kind: Literal["counter", "histogram", "gauge"]
    labels: tuple[str, ...]
    help: str
    scale: float = 1.0
    """What the whole number kept is divided by."""
    merge: Callable[[Iterable[float]], float] = sum
    """How a gauge's values of several workers become one."""

    @property
    def exposed(self) -> str:
        """The name that a query uses."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


REQUESTS = Metric("homespun_requests", "counter", ("target", "route", "outcome"), "Requests that ended.")
RESPONSES = Metric("homespun_responses", "counter", ("endpoint", "status"), "Requests by HTTP status sent.")
CACHE_HITS = Metric("homespun_cache_hits", "counter", ("cache",), "Requests answered from the cache.")
ESCALATIONS = Metric("homespun_escalations", "counter", ("route",), "Tiers asked after the first.")
REFERENCE = Metric(
    "homespun_reference_dollars", "counter", (),
    "What the strongest target would have cost, over the requests for which that is known.", NANO,
)  # fmt: skip
COMPARED = Metric(
    "homespun_compared_dollars", "counter", (), "What those same requests cost: reference less this is saved.", NANO
)
ATTEMPTS = Metric("homespun_attempts", "counter", ("target", "purpose", "outcome"), "Calls of upstreams that ended.")
TOKENS = Metric(
    "homespun_tokens", "counter", ("target", "purpose", "type"),
    "Tokens of upstream calls; cached is a part of input.",
)  # fmt: skip
SPENT = Metric(
    "homespun_spent_dollars", "counter", ("target", "purpose"), "Dollars of upstream calls, judges and samples too.",
    NANO,
)  # fmt: skip
ESTIMATED = Metric("homespun_estimated_usage", "counter", ("target",), "Calls whose tokens were estimated.")
SECONDS_OF_REQUEST = Metric(
    "homespun_request_seconds", "histogram", ("target", "route"), "From request to the last byte of its answer."
)
FIRST_CHUNK = Metric(
    "homespun_first_chunk_seconds", "histogram", ("target", "route"), "From request to the first byte of its answer."
)
SECONDS_OF_ATTEMPT = Metric("homespun_attempt_seconds", "histogram", ("target", "purpose"), "Of one upstream call.")

IN_FLIGHT = Metric("homespun_requests_in_flight", "gauge", (), "Requests at work.")
WORKERS = Metric("homespun_workers", "gauge", (), "Worker processes of this machine that share these numbers.")
BREAKER = Metric(
    "homespun_breaker_state", "gauge", ("target",), "0 closed, 1 half open, 2 open; the worst of the workers.",
    merge=max,
)  # fmt: skip
LIMIT_LEFT = Metric(
    "homespun_limit_left_ratio", "gauge", ("subject_kind", "subject", "unit", "period"),
    "Share of a limit that is neither spent nor reserved in its current window.", merge=min,
)  # fmt: skip
DISAGREEMENT = Metric(
    "homespun_judge_disagreement_ratio", "gauge", (),
    "Share of judged answers of the last day on which a validator or a person said otherwise; absent if none.",
    merge=max,
)  # fmt: skip
ALARMS = Metric("homespun_alarms_open", "gauge", ("kind",), "Alarms raised and not cleared.", merge=max)
DROPPED = Metric("homespun_telemetry_dropped", "gauge", (), "Requests left out of OpenTelemetry's export since start.")

METRICS: tuple[Metric, ...] = (
    REQUESTS, RESPONSES, CACHE_HITS, ESCALATIONS, REFERENCE, COMPARED, ATTEMPTS, TOKENS, SPENT, ESTIMATED,
    SECONDS_OF_REQUEST, FIRST_CHUNK, SECONDS_OF_ATTEMPT,
    IN_FLIGHT, WORKERS, BREAKER, LIMIT_LEFT, DISAGREEMENT, ALARMS, DROPPED,
)  # fmt: skip
COUNTERS = tuple(metric for metric in METRICS if metric.kind == "counter")
HISTOGRAMS = tuple(metric for metric in METRICS if metric.kind == "histogram")


def _cells() -> Cells:
    return [0] * (len(SECONDS) + 1) + [0.0]


class Tally:
    """Counts of one or more workers."""

    def __init__(self) -> None:
        self.counts: dict[str, defaultdict[Labels, int]] = {m.name: defaultdict(int) for m in COUNTERS}
        self.times: dict[str, defaultdict[Labels, Cells]] = {m.name: defaultdict(_cells) for m in HISTOGRAMS}
        counts, times = self.counts, self.times
        self._requests, self._responses = counts[REQUESTS.name], counts[RESPONSES.name]
        self._cache, self._escalations = counts[CACHE_HITS.name], counts[ESCALATIONS.name]
        self._reference, self._compared = counts[REFERENCE.name], counts[COMPARED.name]
        self._attempts, self._tokens = counts[ATTEMPTS.name], counts[TOKENS.name]
        self._spent, self._estimated = counts[SPENT.name], counts[ESTIMATED.name]
        self._request_seconds, self._first_chunk = times[SECONDS_OF_REQUEST.name], times[FIRST_CHUNK.name]
        self._attempt_seconds = times[SECONDS_OF_ATTEMPT.name]

    def request(self, row: Mapping[str, Any], attempts: Sequence[Attempt]) -> None:
        """Adds one finished request: its row of the table ``requests``, and its attempts."""
        target, route = row["target"] or NOBODY, row["route"]
        self._requests[target, route, row["outcome"]] += 1
        self._responses[row["endpoint"], row["status"]] += 1
        _observe(self._request_seconds[target, route], row["seconds"])
        if (first := row.get("first_byte_seconds")) is not None:
            _observe(self._first_chunk[target, route], first)
        if cache := row.get("cache"):
            self._cache[(cache,)] += 1
        if (further := len(row["tiers"]) - 1) > 0:
            self._escalations[(route,)] += further
        if (reference := row.get("reference_nanodollars")) is not None:
            self._reference[()] += reference
            self._compared[()] += row["nanodollars"]
        for attempt in attempts:
            self._attempt(attempt)

    def _attempt(self, attempt: Attempt) -> None:
        target, purpose, usage = attempt.target, attempt.purpose, attempt.usage
        self._attempts[target, purpose, attempt.outcome] += 1
        self._tokens[target, purpose, "input"] += usage.input
        self._tokens[target, purpose, "output"] += usage.output
        if usage.cached:
            self._tokens[target, purpose, "cached"] += usage.cached
        self._spent[target, purpose] += attempt.nanodollars
        if usage.estimated:
            self._estimated[(target,)] += 1
        _observe(self._attempt_seconds[target, purpose], attempt.seconds)

    def dump(self) -> dict[str, Any]:
        """As JSON; may be called beside `request` in another thread."""
        counts = {name: [[list(key), value] for key, value in dict(d).items()] for name, d in self.counts.items()}
        times = {name: [[list(key), list(cells)] for key, cells in dict(d).items()] for name, d in self.times.items()}
        return {"counts": counts, "times": times}

    def add(self, dumped: Mapping[str, Any]) -> None:
        """Adds what `dump` gave. Metrics of another version, which are not known here, are left out."""
        for name, rows in dumped["counts"].items():
            for key, value in rows if name in self.counts else ():
                self.counts[name][tuple(key)] += value
        for name, rows in dumped["times"].items():
            for key, cells in rows if name in self.times else ():
                mine = self.times[name][tuple(key)]
                if len(mine) == len(cells):
                    mine[:] = [a + b for a, b in zip(mine, cells, strict=True)]


def _observe(cells: Cells, seconds: float) -> None:
    cells[bisect_left(SECONDS, seconds)] += 1
    cells[-1] += seconds
