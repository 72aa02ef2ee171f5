"""What the page shows above its lists, made from a window's buckets."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

from homespun.serve.gateway.dashboard.rollup import Group, Rolled, quantile
from homespun.serve.gateway.dashboard.savings import saved
from homespun.serve.gateway.types import NANO

NOBODY = "none"


def overview(rolled: Rolled) -> dict[str, Any]:
    """Totals, curves, savings, and the mix of routes, tiers and targets."""
    everything = list(chain.from_iterable(rolled.buckets))
    return {
        "start": rolled.start,
        "step": rolled.window.bucket * rolled.window.shown,
        "counted": rolled.counted,
        "totals": _totals(everything),
        "curve": list(_curve(rolled)),
        "savings": saved(everything),
        "routes": _mix(everything, "route"),
        "targets": _mix(everything, "target"),
        "tiers": _mix([group for group in everything if group.tiers], "tiers"),
        "outcomes": _mix(everything, "outcome"),
    }


def _totals(groups: Iterable[Group]) -> dict[str, Any]:
    rows = list(groups)
    classes = _classes(rows)
    return {
        "requests": sum(g.requests for g in rows),
        "failed": sum(g.requests for g in rows if g.outcome != "ok"),
        "cached": sum(g.requests for g in rows if g.route == "cache"),
        "dollars": sum(g.nanodollars for g in rows) / NANO,
        "input_tokens": sum(g.input_tokens for g in rows),
        "output_tokens": sum(g.output_tokens for g in rows),
        "p50": quantile(classes, 0.5),
        "p95": quantile(classes, 0.95),
    }


def _classes(groups: Iterable[Group]) -> Counter[int]:
    """How many answered requests are in each class of seconds."""
    classes: Counter[int] = Counter()
    for group in groups:
        if group.outcome == "ok":
            classes[group.latency] += group.requests
    return classes


def _curve(rolled: Rolled) -> Iterable[dict[str, Any]]:
    shown = rolled.window.shown
    for at in range(0, len(rolled.buckets), shown):
        rows = list(chain.from_iterable(rolled.buckets[at : at + shown]))
        totals, compared = _totals(rows), saved(rows)
        yield {
            "time": rolled.start + at * rolled.window.bucket,
            "requests": totals["requests"],
            "failed": totals["failed"],
            "p50": totals["p50"],
            "p95": totals["p95"],
            "dollars": totals["dollars"],
            "spent": compared["spent"],
            "reference": compared["reference"],
        }


def _mix(groups: Iterable[Group], by: str) -> list[dict[str, Any]]:
    """Requests and dollars by one field of the groups, most requests first."""
    requests: Counter[str] = Counter()
    dollars: Counter[str] = Counter()
    for group in groups:
        value = getattr(group, by)
        name = NOBODY if value is None else str(value)
        requests[name] += group.requests
        dollars[name] += group.nanodollars
    return [{"name": n, "requests": count, "dollars": dollars[n] / NANO} for n, count in requests.most_common()]
