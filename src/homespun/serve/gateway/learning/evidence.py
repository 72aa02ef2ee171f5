"""From decisions and labels to arrays: what the router saw, what it chose with which chance, and what came of it.

Two things are known of an answer: the arm's *own* score, from which tables are fitted, and the *reward* of having asked
that arm first, score of the answer that was given less μ times all that was spent, by which policies are judged. They
differ where a cascade went on. Only labels with a known chance are taken: of the arm that was asked first, whose chance
is the logged propensity, and of shadows, whose chance is that of their drawing; a request that was shadowed counts by
its shadows alone. Arms that a cascade asked later were asked because others failed: their labels would mislead.

Legend: n requests, k arms of the router, c cells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from homespun.errors import DataError
from homespun.router.offpolicy import Logged
from homespun.router.store import RouterFolder
from homespun.serve.gateway.learning.labels import Label, resolve
from homespun.serve.gateway.types import NANO

Floats = NDArray[np.float64]
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Labelled requests, by time."""

    ids: list[str]
    """Requests."""
    time: Floats
    """(n,) seconds since 1970."""
    group: NDArray[np.int64]
    """(n,) conversation."""
    cell: Floats
    """(n, c) probability of each cell."""
    learned: Floats
    """(n, k) ŝ, the predictor's expected score."""
    quality: Floats
    """(n, k) q̂, as it was when the request came."""
    cost: Floats
    """(n, k) expected cost then, over the reference cost."""
    allowed: NDArray[np.bool_]
    """(n, k) arms that could serve the request."""
    mu: Floats
    """(n,) price of money."""
    own: Floats
    """(n, k) score of the arm's own answer, NaN where unknown."""
    spent: Floats
    """(n, k) what that answer cost, over the reference cost."""
    reward: Floats
    """(n, k) utility of asking the arm first, NaN where unknown."""
    chance: Floats
    """(n, k) probability with which that came to be known; 1 where it did not."""

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: Any) -> Self:
        """Some of the requests."""
        index = np.arange(len(self))[rows]
        arrays = {name: getattr(self, name)[index] for name in ARRAYS}
        return type(self)(ids=[self.ids[i] for i in index], **arrays)

    def logged(self, model: Floats) -> Logged:
        """The requests for off-policy evaluation, with (n, k) expected rewards."""
        return Logged(reward=self.reward, chance=self.chance, model=model, group=self.group)

    def save(self, place: Path) -> None:
        """Writes the arrays; no text is among them."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ARRAYS}
        np.savez(place, ids=np.array(self.ids, dtype=np.str_), **arrays)

    @classmethod
    def load(cls, place: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            DataError: it is not there, or something else.
        """
        try:
            with np.load(place, allow_pickle=False) as arrays:
                return cls(ids=arrays["ids"].tolist(), **{name: arrays[name] for name in ARRAYS})
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"no evidence: {error}", str(place)) from None


ARRAYS = tuple(field.name for field in fields(Evidence) if field.name != "ids")


def gather(
    router: RouterFolder,
    decisions: Iterable[Row],
    labels: Iterable[Row],
    attempts: Iterable[Row],
    arm_of: Mapping[str, str],
    *,
    conversations: Mapping[str, str | None] | None = None,
    moves: Mapping[str, Floats] | None = None,
) -> Evidence:
    """Arrays of the requests of which something is known.

    Args:
        router: Whose arms and cells are meant; requests that were decided without a reading of them are left out.
        decisions: Rows of that table.
        labels: Rows of that table.
        attempts: Rows of that table, for what was really spent.
        arm_of: The arm of each target.
        conversations: Per request its conversation.
        moves: Per version (k,) what to add to its ŝ to have this router's; decisions of other versions are left out.
            All are taken as they are unless given.
    """
    arms, cells = router.knowledge.arms, tuple(router.knowledge.classifier.cells)
    settled = resolve(labels)
    spent = _spent(attempts, arm_of)
    of_request: dict[str, dict[str, Label]] = {}
    for (request_id, arm), label in settled.items():
        of_request.setdefault(request_id, {})[arm] = label
    found: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    for row in sorted(decisions, key=lambda row: (row["time"], row["request_id"])):
        if row["request_id"] not in of_request:
            continue
        if moves is not None and row["router"] not in moves:
            continue
        read = _read(router, row, arms, cells)
        known = None if read is None else _known(router, row, of_request[row["request_id"]], spent, read)
        if read is not None and known is not None:
            if moves is not None:
                read["learned"] = np.clip(read["learned"] + moves[row["router"]], 0.0, 1.0)
            talk = (conversations or {}).get(row["request_id"]) or row["request_id"]
            found.append({**read, **known, "group": names.setdefault(talk, len(names))})
    return _stacked(found, len(arms), len(cells))


def reading_arrays(reading: Any, arms: Sequence[str], cells: Sequence[str]) -> dict[str, Floats] | None:
    """Cells, learned, quality and cost as arrays, from what a decision kept of its reading; ``None`` for another's.

    ``reading`` holds dictionaries: ``quality`` and ``cost`` (dollars) and, where there is one, ``learned`` by arm,
    ``cells`` by cell. An arm that was not read is NaN.
    """
    if not isinstance(reading, dict) or not isinstance(reading.get("quality"), dict):
        return None
    quality = _row(reading["quality"], arms)
    weights = np.nan_to_num(_row(reading.get("cells") or {}, cells))
    if not np.isfinite(quality).any() or weights.sum() <= 0:
        return None
    learned = _row(reading.get("learned") or {}, arms)
    return {
        "cell": weights / weights.sum(),
        "quality": quality,
        "learned": np.where(np.isfinite(learned), learned, quality),
        "cost": _row(reading.get("cost") or {}, arms),
    }


def _read(router: RouterFolder, row: Row, arms: Sequence[str], cells: Sequence[str]) -> dict[str, Any] | None:
    read = reading_arrays(row["reading"], arms, cells)
    if read is None:
        return None
    presets = router.presets["fusion"]
    told = row["reading"].get("mu")
    mu = float(told) if isinstance(told, int | float) else presets.get(row["dial"], presets["balanced"])
    cost = read["cost"] / router.knowledge.reference
    allowed = np.isin(np.array(arms), row["arms"]) & np.isfinite(read["quality"]) & np.isfinite(cost)
    rest = {"quality": np.nan_to_num(read["quality"]), "learned": np.nan_to_num(read["learned"])}
    return {
        "id": row["request_id"],
        "time": row["time"],
        "cell": read["cell"],
        **rest,
        "cost": np.nan_to_num(cost),
        "allowed": allowed,
        "mu": mu,
    }


def _known(
    router: RouterFolder,
    row: Row,
    labels: Mapping[str, Label],
    spent: Mapping[tuple[str, str], float],
    read: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Own scores, costs, rewards and chances of one request; ``None`` where nothing usable is known."""
    arms = router.knowledge.arms
    own, reward = np.full(len(arms), np.nan), np.full(len(arms), np.nan)
    chance, paid = np.ones(len(arms)), np.array(read["cost"])
    request_id, reference = row["request_id"], router.knowledge.reference
    for j, arm in enumerate(arms):
        if (dollars := spent.get((request_id, arm))) is not None:
            paid[j] = dollars / reference
    shadows = {arm: label for arm, label in labels.items() if label.source == "shadow" and label.inclusion is not None}
    for arm, label in shadows.items():
        if arm in arms:
            j = arms.index(arm)
            own[j], chance[j] = label.score, label.inclusion
            reward[j] = label.score - read["mu"] * paid[j]
    chosen = row["chosen"]
    if not shadows and chosen in arms and 0.0 < row["propensity"] <= 1.0:
        j = arms.index(chosen)
        chance[j] = row["propensity"]
        if chosen in labels:
            own[j] = labels[chosen].score
        if (answered := row["answered"]) in labels:
            total = spent.get((request_id, ""), paid[j] * reference) / reference
            reward[j] = labels[answered].score - read["mu"] * total
    if not np.isfinite(reward).any():
        return None
    chance = np.where(np.isfinite(own) | np.isfinite(reward), chance, 1.0)
    return {"own": own, "spent": paid, "reward": reward, "chance": chance}


def _spent(attempts: Iterable[Row], arm_of: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Dollars per (request, arm) and, under the arm "", of all that the client's answer took."""
    found: dict[tuple[str, str], float] = {}
    for row in attempts:
        dollars = row["nanodollars"] / NANO
        if row["purpose"] in ("answer", "shadow") and row["target"] in arm_of:
            place = (row["request_id"], arm_of[row["target"]])
            found[place] = found.get(place, 0.0) + dollars
        if row["purpose"] != "shadow":
            found[row["request_id"], ""] = found.get((row["request_id"], ""), 0.0) + dollars
    return found


def _row(values: Any, names: Sequence[str]) -> Floats:
    """Numbers by name; NaN where there is none, or no number."""
    told = values if isinstance(values, dict) else {}
    numbers = (told.get(name) for name in names)
    return np.array([float(x) if isinstance(x, int | float) and np.isfinite(x) else np.nan for x in numbers])


def _stacked(found: list[dict[str, Any]], num_arms: int, num_cells: int) -> Evidence:
    shapes: dict[str, tuple[int, ...]] = {"time": (), "group": (), "mu": (), "cell": (num_cells,)}
    kinds: dict[str, Any] = {"group": np.int64, "allowed": np.bool_}
    arrays: dict[str, Any] = {}
    for name in ARRAYS:
        column = [each[name] for each in found]
        shape = (len(found), *shapes.get(name, (num_arms,)))
        arrays[name] = np.array(column, dtype=kinds.get(name, np.float64)).reshape(shape)
    return Evidence(ids=[each["id"] for each in found], **arrays)
