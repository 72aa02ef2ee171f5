"""Reads from the database what a refit and a canary's judgement need, in portions that hold nobody up for long."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, func, select

from homespun.router.store import RouterFolder
from homespun.serve.gateway.learning.evidence import Evidence, gather
from homespun.serve.gateway.learning.labels import resolve
from homespun.serve.gateway.learning.versions import Version
from homespun.serve.gateway.types import NANO
from homespun.serve.store.database import Database
from homespun.serve.store.tables import attempts, decisions, labels, requests

Floats = NDArray[np.float64]
Rows = list[dict[str, Any]]

CHUNK = 400
"""Ids in one query."""


async def fetch(database: Database, query: Select[*tuple[Any, ...]]) -> Rows:
    """Rows of a query, as dictionaries."""

    def read(connection: Connection) -> Rows:
        return [dict(row) for row in connection.execute(query).mappings()]

    return await database.run(read, read_only=True)


async def of_requests(
    database: Database, query: Callable[[Sequence[str]], Select[*tuple[Any, ...]]], ids: Sequence[str]
) -> Rows:
    """Rows that belong to these requests, in portions."""
    found: Rows = []
    for start in range(0, len(ids), CHUNK):
        found += await fetch(database, query(ids[start : start + CHUNK]))
    return found


async def evidence(
    database: Database,
    router: RouterFolder,
    known: Mapping[str, Version],
    arm_of: Mapping[str, str],
    *,
    most: int,
    since: float = 0.0,
    versions: Sequence[str] | None = None,
) -> tuple[Evidence, list[str] | None]:
    """The latest labelled requests, and their prompts if every one of them was kept.

    Args:
        database: Where to read.
        router: Whose arms are meant.
        known: All versions.
        arm_of: The arm of each target.
        most: Requests at most.
        since: Labels from then on.
        versions: Decisions of these routers only.
    """
    last = func.max(labels.c.time).label("last")
    query = select(labels.c.request_id, last).where(labels.c.time >= since).group_by(labels.c.request_id)
    ids = [row["request_id"] for row in await fetch(database, query.order_by(last.desc()).limit(most))]
    decided = await of_requests(database, lambda part: select(decisions).where(decisions.c.request_id.in_(part)), ids)
    if versions is not None:
        decided = [row for row in decided if row["router"] in versions]
    ids = [row["request_id"] for row in decided]
    spoken = await of_requests(database, lambda part: select(labels).where(labels.c.request_id.in_(part)), ids)
    columns = (attempts.c.request_id, attempts.c.target, attempts.c.purpose, attempts.c.nanodollars)
    paid = await of_requests(database, lambda part: select(*columns).where(attempts.c.request_id.in_(part)), ids)
    talk = (requests.c.id, requests.c.conversation)
    talks = await of_requests(database, lambda part: select(*talk).where(requests.c.id.in_(part)), ids)
    found = gather(
        router,
        decided,
        spoken,
        paid,
        arm_of,
        conversations={row["id"]: row["conversation"] for row in talks},
        moves=moves(router, known),
    )
    prompts = {row["request_id"]: row["prompt"] for row in decided}
    kept = [prompts[name] for name in found.ids]
    return found, kept if kept and all(kept) else None


async def utilities(database: Database, router: RouterFolder, version: str, since: float) -> list[tuple[float, float]]:
    """(time of the label, utility) of the requests that a version decided since then and that somebody labelled.

    Utility is the label of the answer that was given, less μ times all that the request cost.
    """
    chosen = (decisions.c.router == version) & (decisions.c.time >= since)
    columns = (decisions.c.request_id, decisions.c.dial, decisions.c.answered, requests.c.nanodollars)
    join = decisions.join(requests, requests.c.id == decisions.c.request_id)
    decided = {
        row["request_id"]: row for row in await fetch(database, select(*columns).select_from(join).where(chosen))
    }
    ids = list(decided)
    spoken = await of_requests(database, lambda part: select(labels).where(labels.c.request_id.in_(part)), ids)
    spoken = [row for row in spoken if row["source"] != "shadow"]
    last: dict[str, float] = {}
    for row in spoken:
        last[row["request_id"]] = max(row["time"], last.get(row["request_id"], 0.0))
    presets, reference = router.presets["fusion"], router.knowledge.reference
    found: list[tuple[float, float]] = []
    for (request_id, arm), label in resolve(spoken).items():
        row = decided[request_id]
        if arm == row["answered"]:
            mu = presets.get(row["dial"], presets["balanced"])
            found.append((last[request_id], label.score - mu * row["nanodollars"] / NANO / reference))
    return sorted(found)


def moves(router: RouterFolder, known: Mapping[str, Version]) -> dict[str, Floats]:
    """Per version with the same predictor, what to add to its ŝ to have this router's."""
    own = base_and_shift(router.origin, len(router.knowledge.arms))
    found: dict[str, Floats] = {}
    for version in known.values():
        try:
            origin = json.loads((Path(version.path) / "router.json").read_text())["origin"]
        except (OSError, ValueError, KeyError):
            continue
        base, shift = base_and_shift(origin, len(router.knowledge.arms))
        if base == own[0]:
            found[version.version] = own[1] - shift
    return found


def base_and_shift(origin: Mapping[str, Any], num_arms: int) -> tuple[str, Floats]:
    """Which fit the predictor is of, and how far its calibration was moved since; a new arm's by nothing."""
    shift = [float(x) for x in origin.get("shift") or ()][:num_arms]
    return str(origin.get("base") or origin["fingerprint"]), np.array(shift + [0.0] * (num_arms - len(shift)))
