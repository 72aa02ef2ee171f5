"""How well the confidence that was told foretold whether the answer was right: the reliability diagram.

Labels of judges are left out: a judge's verdict is a part of the confidence, and would agree with itself.
"""

import math
from collections import Counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from homespun.serve.gateway.dashboard.savings import MOST_LABELS, Z95, best_scores
from homespun.serve.store import tables

BINS = 10
RIGHT = 0.5
"""Score from which an answer counts as right."""
CIRCULAR = "judge"


def reliability(connection: Connection, start: float) -> dict[str, Any]:
    """Bins of confidence with the share that was right, and ECE; ``n`` is 0 where nothing is labelled."""
    from homespun.confidence.scores import brier, ece
    from homespun.confidence.scores import reliability as curve

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
    told = {(row.request_id, row.arm): min(1.0, max(0.0, row.confidence)) for row in rows}
    scores = best_scores(rows)
    confidence = [told[key] for key in scores]
    right = [float(score >= RIGHT) for score in scores.values()]
    answer: dict[str, Any] = {"n": len(right), "bins": [], "ece": None, "brier": None}
    answer["sources"] = Counter(row.source for row in rows)
    if right:
        bins = curve(confidence, right, BINS).rows(named=True)
        answer["bins"] = [{**row, **_wilson(row["accuracy"], row["n"])} for row in bins]
        answer["ece"], answer["brier"] = ece(confidence, right, BINS), brier(confidence, right)
    return answer


def _wilson(share: float | None, n: int) -> dict[str, float | None]:
    """Wilson's 95 % interval of a share (Journal of the American Statistical Association, 1927)."""
    if share is None:
        return {"lower": None, "upper": None}
    spread = Z95 * Z95 / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return {"lower": middle - half, "upper": middle + half}
