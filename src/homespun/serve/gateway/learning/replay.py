"""A decision again, from what the books kept of it: the same reading, router and request give the same choice."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from homespun.errors import DataError
from homespun.router.exploration import Choice, choose, seeded
from homespun.router.store import RouterFolder
from homespun.serve.gateway.learning.evidence import reading_arrays


def replay(row: Mapping[str, Any], router: RouterFolder, *, epsilon: float) -> Choice:
    """Chooses anew; exact but for readings so near a tie that their fifth digit decides.

    Args:
        row: Of ``decisions``.
        router: The version that decided.
        epsilon: ``learning.explore`` as it was; 0 where nothing was explored.

    Raises:
        DataError: the row has no reading of this router, or the conversation decided and not the router.
    """
    knowledge = router.knowledge
    read = reading_arrays(row["reading"], knowledge.arms, knowledge.classifier.cells)
    if read is None:
        raise DataError("no reading of this router was kept", str(row["request_id"]), "a routed request")
    if any(step["subject"].startswith(("stay with", "change to")) for step in row["path"]):
        raise DataError("the conversation decided", str(row["request_id"]), "a first turn")
    quality, presets = read["quality"], router.presets["fusion"]
    cost = read["cost"] / knowledge.reference
    utility = quality - presets.get(row["dial"], presets["balanced"]) * cost
    able = np.isin(np.array(knowledge.arms), row["arms"]) & np.isfinite(utility)
    known = able & (knowledge.table.n[int(read["cell"].argmax())] > 0)
    able = known if known.any() else able
    utility = np.where(able, utility, -np.inf)
    if epsilon == 0.0 or (row["propensity"] == 1.0 and _alone(quality, able, epsilon)):
        return Choice(int(np.argmax(utility)), 1.0)
    quality = np.clip(np.nan_to_num(quality), 0.0, 1.0)
    spread = np.sqrt(quality * (1.0 - quality) / (read["cell"] @ knowledge.table.n[:-1] + 1.0))
    return choose(utility, quality, able, epsilon=epsilon, spread=spread, rng=seeded(str(row["request_id"])))


def _alone(quality: Any, able: Any, epsilon: float) -> bool:
    return int((able & (quality >= quality[able].max() - epsilon)).sum()) == 1
