"""How well the confidence that was told foretold whether the answer was right: the reliability diagram.

Labels of judges are left out: a judge's verdict is a part of the confidence, and would agree with itself.
"""

import math
from collections import Counter
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from homespun.serve.gateway.dashboard.savings import MOST_LABELS, Z95, best_scores
from homespun.serve.store import tables

BINS = 10
RIGHT = 0.5
"""Score from which an answer counts as right."""
CIRCULAR = "judge"


class Told(NamedTuple):
    """What was told of answers that somebody labelled."""

    confidence: list[float]
    right: list[float]
    """1 or 0, by the best label of each."""
    sources: dict[str, int]
    """Labels by where they came from."""


def told(connection: Connection, start: float) -> Told:
    """Reads the newest labelled answers that came with a confidence."""
    labels, decisions = tables.labels.c, tables.decisions.c
    query = (
        sa.select(labels.request_id, labels.arm, labels.source, labels.score, decisions.confidence)
        .join_from(tables.labels, tables.decisions, labels.request_id == decisions.request_id)
        .where(labels.time >= start, labels.arm == decisions.answered, decisions.confidence.is_not(None))
        .where(labels.source != CIRCULAR)
        .order_by(labels.time.desc())
        .limit(MOST_LABELS)
    )
    rows = connection.execute(query).all()
    confidence = {(row.request_id, row.arm): min(1.0, max(0.0, row.confidence)) for row in rows}
    scores = best_scores(rows)
    right = [float(score >= RIGHT) for score in scores.values()]
    return Told([confidence[key] for key in scores], right, dict(Counter(row.source for row in rows)))


def reliability(known: Told) -> dict[str, Any]:
    """Bins of confidence with the share that was right, ECE and Brier score; ``n`` is 0 where nothing is labelled."""
    from homespun.confidence.scores import brier, ece
    from homespun.confidence.scores import reliability as curve

    confidence, right, sources = known
    if not right:
        return {"n": 0, "bins": [], "ece": None, "brier": None, "sources": sources}
    bins = [{**row, **_wilson(row["accuracy"], row["n"])} for row in curve(confidence, right, BINS).rows(named=True)]
    found = {"n": len(right), "bins": bins, "ece": ece(confidence, right, BINS), "brier": brier(confidence, right)}
    return {**found, "sources": sources}


def _wilson(share: float | None, n: int) -> dict[str, float | None]:
    """Wilson's 95 % interval of a share (Journal of the American Statistical Association, 1927)."""
    if share is None:
        return {"lower": None, "upper": None}
    spread = Z95 * Z95 / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return {"lower": middle - half, "upper": middle + half}
