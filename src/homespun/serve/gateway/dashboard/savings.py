"""What routing saved against the strongest model, and whether the answers were as good.

Dollars. Over the requests for which it is known what the strongest target would have cost, saved = Σ reference − Σ
spent, every attempt, judge and sample counted as spent; as a sum over all of them it is exact. The interval is for
traffic like this: the share r = Σ spent / Σ reference is a ratio of means of n independent requests, so by
linearisation (Cochran, Sampling Techniques, 1977, §6.4) Var r is about
Σ (spent − r · reference)² / (n (n − 1) mean(reference)²).

Quality. Over the requests on which more than one arm was labelled, as shadow traffic is: the mean difference of the
score of the answer that was given and of the strongest arm's, zero where that is the same answer, with the normal
interval of a mean of independent differences. Of several labels on one answer the best source counts.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from homespun.serve.gateway.dashboard.rollup import Group
from homespun.serve.gateway.types import NANO
from homespun.serve.store import tables

Z95 = 1.959963984540054
LEAST = 30
"""Requests or pairs from which on an interval is given."""
MARGIN = 0.02
"""Loss of mean score up to which answers count as equally good."""
MOST_LABELS = 10_000
"""Labels looked at: the newest of the window."""
SOURCES = ("validator", "feedback", "regeneration", "judge", "shadow")
"""Of labels, the most telling first."""


class Interval(NamedTuple):
    """A mean with its 95 % interval; bounds are ``None`` where too little is known."""

    mean: float
    low: float | None
    high: float | None
    n: int


def saved(groups: Iterable[Group]) -> dict[str, Any]:
    """Dollars spent, what the strongest would have cost, and the share saved with its interval (``None``: unknown)."""
    n, spent, reference, xx, rr, xr = 0, 0, 0, 0.0, 0.0, 0.0
    for group in groups:
        n, spent, reference = n + group.compared, spent + group.spent, reference + group.reference
        xx, rr, xr = xx + group.spent_squares, rr + group.reference_squares, xr + group.products
    share = _share(n, spent, reference, xx, rr, xr) if reference > 0 else None
    return {
        "requests": n,
        "spent": spent / NANO,
        "reference": reference / NANO,
        "saved": (reference - spent) / NANO,
        "share": share and share._asdict(),
    }


def _share(n: int, spent: int, reference: int, xx: float, rr: float, xr: float) -> Interval:
    ratio = spent / reference
    if n < LEAST:
        return Interval(1 - ratio, None, None, n)
    residual = max(0.0, xx - 2 * ratio * xr + ratio * ratio * rr)
    half = Z95 * math.sqrt(residual / (n * (n - 1))) / (reference / n)
    return Interval(1 - ratio, 1 - ratio - half, 1 - ratio + half, n)


def best_scores(rows: Iterable[Any]) -> dict[tuple[str, str], float]:
    """Score by (request, arm): the mean of the labels of the best source there is."""
    by_source: defaultdict[tuple[str, str], dict[str, list[float]]] = defaultdict(dict)
    for row in rows:
        by_source[row.request_id, row.arm].setdefault(row.source, []).append(row.score)
    best = {key: min(found, key=_rank) for key, found in by_source.items()}
    return {key: math.fsum(by_source[key][source]) / len(by_source[key][source]) for key, source in best.items()}


def _rank(source: str) -> int:
    return SOURCES.index(source) if source in SOURCES else len(SOURCES)


def quality(connection: Connection, strongest: str | None, start: float) -> dict[str, Any]:
    """The difference of quality from the strongest arm; ``difference`` is ``None`` where nothing tells."""
    labels, decisions = tables.labels.c, tables.decisions.c
    query = (
        sa.select(labels.request_id, labels.arm, labels.source, labels.score, decisions.answered)
        .join_from(tables.labels, tables.decisions, labels.request_id == decisions.request_id)
        .where(labels.time >= start)
        .order_by(labels.time.desc())
        .limit(MOST_LABELS)
    )
    rows = connection.execute(query).all()
    answered = {row.request_id: row.answered for row in rows if row.answered is not None}
    differences = paired(best_scores(rows), answered, strongest)
    return {
        "strongest": strongest,
        "margin": MARGIN,
        "difference": mean(differences)._asdict() if differences else None,
        "labels": len(rows),
    }


def paired(scores: Mapping[tuple[str, str], float], answered: Mapping[str, str], strongest: str | None) -> list[float]:
    """Score of the answer given less that of the strongest arm, per request on which more than one arm was labelled."""
    arms: defaultdict[str, set[str]] = defaultdict(set)
    for request, arm in scores:
        arms[request].add(arm)
    return [
        scores[request, given] - scores[request, strongest]
        for request, given in answered.items()
        if strongest is not None and len(arms[request]) > 1 and {given, strongest} <= arms[request]
    ]


def mean(values: list[float]) -> Interval:
    """Mean of independent values with its normal 95 % interval."""
    n = len(values)
    middle = math.fsum(values) / n
    if n < LEAST:
        return Interval(middle, None, None, n)
    variance = math.fsum((value - middle) ** 2 for value in values) / (n - 1)
    half = Z95 * math.sqrt(variance / n)
    return Interval(middle, middle - half, middle + half, n)
