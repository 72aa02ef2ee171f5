"""Labels that a route leaves behind by itself: what its validators refused, and what its judges made of each answer.

A check that fails is knowledge (score 0, source validator). One that passes, a well-formed JSON say, does not make an
answer right, so it is no label. The other judges of an answer, accepted or not, are weighed as the cascade weighs them
before outcomes have said better, and make one label of source judge.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from homespun.records import Step
from homespun.router.judges import NAMES
from homespun.serve.gateway.learning.labels import label_row
from homespun.serve.gateway.routes.jury import prior_panel


def path_labels(request_id: str, path: Iterable[Step], arm_of: Mapping[str, str], time: float) -> list[dict[str, Any]]:
    """Rows of ``labels`` from the path of a decision.

    Args:
        request_id: Of the request.
        path: Its steps: after each ``ask`` of a target the ``judge`` steps about its answer.
        arm_of: The arm of each target.
        time: Seconds since 1970.
    """
    spoken: dict[str, dict[str, float]] = {}
    subject: str | None = None
    for step in path:
        if step.stage == "ask":
            subject = arm_of.get(step.subject)
        elif step.stage == "judge" and subject is not None and step.score is not None and step.subject in NAMES:
            spoken.setdefault(subject, {})[step.subject] = min(max(step.score, 0.0), 1.0)
    rows: list[dict[str, Any]] = []
    for arm, scores in spoken.items():
        if scores.pop("validators", 1.0) == 0.0:
            rows.append(label_row(request_id, arm, "validator", 0.0, time, detail="a check failed"))
        if scores:
            value = weighed(scores)
            rows.append(label_row(request_id, arm, "judge", value, time, detail=", ".join(sorted(scores))))
    return rows


def weighed(scores: Mapping[str, float]) -> float:
    """What `prior_panel` predicts, without arrays: this is done for every judged answer."""
    weights = _weights()
    total = sum(weights[name] for name in scores)
    return sum(weights[name] * score for name, score in scores.items()) / total if total > 0 else 0.5


@cache
def _weights() -> dict[str, float]:
    return dict(zip(NAMES, prior_panel().weights.tolist(), strict=True))
