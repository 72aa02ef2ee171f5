"""A router's folder: JSON, arrays and a table, no pickle; written whole or not at all, hostile until checked.

``router.json`` (arms, dial, presets, the plain cascades, where it comes from), ``arrays.npz`` (classifier, plans),
``cells.parquet`` (the taxonomy's table), ``fitted.parquet`` (hashes of the prompts it has seen), ``predictor/``.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homespun.errors import ConfigError, DataError
from homespun.router.arrays import DAMAGE, read_arrays
from homespun.router.cascade import Node, Plan
from homespun.router.classifier import Classifier
from homespun.router.learned import Predictor
from homespun.router.policy import Knowledge
from homespun.router.taxonomy import CellTable, taxonomy_version
from homespun.router.thresholds import Bound, PlainCascade, Tiers

Floats = NDArray[np.float64]
VERSION = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class RouterFolder:
    """A fitted router as it lies on disk."""

    path: Path
    knowledge: Knowledge
    plain: dict[float, PlainCascade]
    bounds: list[Bound]
    """Per tier of the balanced plain cascade, what it accepted on validation prompts."""
    presets: dict[str, dict[str, float]]
    """Per policy (fusion, taxonomy, learned, cascade) the μ of each preset, fixed on validation prompts."""
    validation: dict[str, list[tuple[float, float, float]]]
    """Per policy (μ, score, dollars) on the validation prompts, before the final fit."""
    calibration: float
    """Expected calibration error of the fused confidence on validation prompts, ten bins."""
    fitted: frozenset[str]
    """`outcomes.prompt_id` of every prompt that was learned from."""
    origin: dict[str, Any]
    """Fingerprint, seed and sizes of the fit."""

    def summary(self) -> dict[str, Any]:
        """What `homespun route fit` prints."""
        points = {mu: (score, cost) for mu, score, cost in self.validation["fusion"]}
        chosen = {name: points[mu] for name, mu in self.presets["fusion"].items()}
        return {
            "router": str(self.path),
            "prompts": self.origin["prompts"],
            "held_out": self.origin["held_out"],
            "arms": len(self.knowledge.arms),
            "cells": len(self.knowledge.classifier.cells),
            "taxonomy": taxonomy_version(),
            **{name: {"mu": self.presets["fusion"][name], "validation_score": s, "validation_cost": c}
               for name, (s, c) in chosen.items()},
        }  # fmt: skip


def save(router: RouterFolder) -> None:
    """Writes the folder beside its place and moves it there; an older router at that place is replaced.

    Raises:
        ConfigError: the place is taken by something that is no router.
    """
    place = router.path
    if place.exists() and not (place / "router.json").is_file() and (place.is_file() or any(place.iterdir())):
        raise ConfigError("is there already and is no router", str(place), "another --out")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be written", str(place), "another --out") from None
    try:
        _write(router, temporary)
        temporary.chmod(0o755)
        if place.exists():
            shutil.rmtree(place)
        temporary.replace(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load(folder: Path | str) -> RouterFolder:
    """Reads a router's folder; nothing in it is executed.

    Raises:
        DataError: no router, a damaged one, or one of another version.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / "router.json").read_text())
        if content["version"] != VERSION or content["taxonomy_version"] != taxonomy_version():
            raise ValueError(f"made by version {content['version']}, taxonomy {content['taxonomy_version']}")
        return _restored(folder, content, read_arrays(folder / "arrays.npz"))
    except (*DAMAGE, AttributeError, IndexError, pl.exceptions.PolarsError) as error:
        raise _damaged(folder, error) from None


def fingerprint(folder: Path) -> str | None:
    """The fingerprint of the fit that lies there, if one does."""
    try:
        return json.loads((folder / "router.json").read_text())["origin"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _damaged(folder: Path, error: Exception) -> DataError:
    if isinstance(error, DataError):
        return error
    return DataError(f"not a fitted router: {error}", str(folder), "homespun route fit")


def _write(router: RouterFolder, folder: Path) -> None:
    knowledge = router.knowledge
    knowledge.predictor.save(folder / "predictor")
    index, values = _packed(knowledge.plans)
    classifier = {f"classifier.{name}": array for name, array in knowledge.classifier.arrays().items()}
    arrays: dict[str, Any] = {**classifier, "centre": knowledge.centre, "plans": values}
    np.savez(folder / "arrays.npz", **arrays)
    knowledge.table.frame(knowledge.arms).write_parquet(folder / "cells.parquet")
    pl.DataFrame({"prompt": sorted(router.fitted)}).write_parquet(folder / "fitted.parquet")
    content = {
        "version": VERSION,
        "taxonomy_version": taxonomy_version(),
        "arms": knowledge.arms,
        "reference": knowledge.reference,
        "cells": knowledge.classifier.cells,
        "plans": index,
        "plain": {
            repr(mu): [*plain.tiers, [weights.tolist() for weights in plain.weights]]
            for mu, plain in router.plain.items()
        },
        "bounds": router.bounds,
        "presets": router.presets,
        "validation": router.validation,
        "calibration": router.calibration,
        "origin": router.origin,
    }
    (folder / "router.json").write_text(json.dumps(content))


def _restored(folder: Path, content: Mapping[str, Any], arrays: Mapping[str, Any]) -> RouterFolder:
    arms, cells = tuple(content["arms"]), content["cells"]
    table = CellTable.from_frame(pl.read_parquet(folder / "cells.parquet"), cells, len(arms))
    state = {name: arrays[f"classifier.{name}"] for name in ("weights", "bias")}
    knowledge = Knowledge(
        arms=arms,
        reference=float(content["reference"]),
        predictor=Predictor.load(folder / "predictor"),
        classifier=Classifier.restored(cells, state),
        table=table,
        centre=np.asarray(arrays["centre"], dtype=np.float64),
        plans=_unpacked(content["plans"], np.asarray(arrays["plans"], dtype=np.float64)),
    )
    if knowledge.read(["probe"]).blend.shape != (1, len(arms)):
        raise ValueError("its parts do not fit together")
    return RouterFolder(
        path=folder,
        knowledge=knowledge,
        plain={float(mu): _plain(*fields) for mu, fields in content["plain"].items()},
        bounds=[Bound(*bound) for bound in content["bounds"]],
        presets=content["presets"],
        validation={name: [(p[0], p[1], p[2]) for p in points] for name, points in content["validation"].items()},
        calibration=float(content["calibration"]),
        fitted=frozenset(pl.read_parquet(folder / "fitted.parquet")["prompt"].to_list()),
        origin=content["origin"],
    )


def _plain(arms: list[int], thresholds: list[float], utility: float, weights: list[list[float]]) -> PlainCascade:
    return PlainCascade(Tiers(tuple(arms), tuple(thresholds), utility), [np.array(w) for w in weights])


def _packed(plans: Mapping[float, Sequence[Plan]]) -> tuple[dict[str, Any], Floats]:
    """Plans as an index of shapes and one long array."""
    index: dict[str, Any] = {}
    values: list[Floats] = []
    for mu, cells in plans.items():
        index[repr(mu)] = [
            [[paid, len(node.weights), node.nexts.tolist(), len(node.worth)] for paid, node in plan.items()]
            for plan in cells
        ]
        values += [part.ravel() for plan in cells for node in plan.values() for part in (node.weights, node.worth)]
    return index, np.concatenate(values) if values else np.zeros(0)


def _unpacked(index: Mapping[str, Any], values: Floats) -> dict[float, list[Plan]]:
    place = 0

    def take(num: int) -> Floats:
        nonlocal place
        place += num
        if place > len(values):
            raise ValueError("plans are cut short")
        return values[place - num : place]

    plans: dict[float, list[Plan]] = {}
    for mu, cells in index.items():
        plans[float(mu)] = []
        for nodes in cells:
            plan: Plan = {}
            for paid, num_weights, nexts, depth in nodes:
                weights, worth = take(num_weights), take(depth * len(nexts))
                ways = np.array(nexts, dtype=np.int64)
                plan[tuple(paid)] = Node(weights, ways, worth.reshape(depth, len(nexts)))
            plans[float(mu)].append(plan)
    return plans
