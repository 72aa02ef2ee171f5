"""`route fit` and `route eval`: learn a router from a table of outcomes, and prove it on prompts it never saw.

Prompts are split by hash into train, validation and test (60/20/20). A first router is fitted on train; the presets of
the dial are fixed by what it does on validation; the final one is fitted on train and validation together and saved.
Test prompts are not looked at before `evaluate`, which leaves out every prompt the router was fitted on: given the
table of the fit it evaluates the test split, given other prompts all of them.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from homespun.errors import DataError
from homespun.router.dial import DIAL, Point, presets
from homespun.router.evaluation import EvalResult, evaluate
from homespun.router.judges import calibration_error
from homespun.router.learn import Learned, RouterConfig, best_single, learn
from homespun.router.outcomes import Outcomes, prompt_id, read_outcomes, split
from homespun.router.policy import policies
from homespun.router.replay import Replay, replay, table_codes
from homespun.router.store import RouterFolder, fingerprint, load, save
from homespun.router.thresholds import Bound, accepted_bounds
from homespun.runs.run import code_hash, package_versions
from homespun.runs.tables import sha256

Progress = Callable[[int, int], None]

MIN_PROMPTS = 60
"""Fewest prompts worth fitting a router on."""
NUM_STEPS = 9

__all__ = ["EvalResult", "RouterFolder", "evaluate", "fit", "plan"]


def plan(outcomes: Path | str, *, seed: int = 0) -> dict[str, Any]:
    """What `fit` would do: configuration, sizes of the splits, arms; nothing is written.

    Raises:
        DataError: the table is wrong.
    """
    table = read_outcomes(outcomes)
    parts = split(table)
    return {
        "outcomes": str(outcomes),
        "config": asdict(_config(seed)),
        "prompts": {name: len(part) for name, part in zip(parts._fields, parts, strict=True)},
        "arms": table.arms,
        "answers": table.answers is not None,
        "dollars": 0.0,
    }


def fit(
    outcomes: Path | str,
    out: Path | str,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    salt: str = "homespun",
) -> RouterFolder:
    """Fits a router and writes it; the same fit again returns what lies there.

    Args:
        outcomes: Table of `outcomes.read_outcomes`.
        out: Folder of the router.
        seed: Of folds and features.
        progress: Called with (steps done, steps in all).
        salt: Another salt gives another split into train, validation and test.

    Raises:
        DataError: the table is wrong or too small.
        ConfigError: ``out`` is taken by something that is no router.
    """
    out = Path(out)
    table = read_outcomes(outcomes)
    if len(table) < MIN_PROMPTS or table.num_arms < 2:
        size = f"{len(table)} prompts and {table.num_arms} models"
        raise DataError(size, str(outcomes), f"at least {MIN_PROMPTS} prompts and 2 models")
    mark = _fingerprint(outcomes, seed, salt)
    if fingerprint(out) == mark:
        return load(out)
    steps = iter(range(1, NUM_STEPS + 1))

    def tick() -> None:
        if progress is not None:
            progress(next(steps, NUM_STEPS), NUM_STEPS)

    with threadpool_limits(limits=1):  # the same sums in the same order, however many cores there are
        router = _fitted(table, out, mark, seed, salt, tick)
    save(router)
    tick()
    return router


def _fitted(table: Outcomes, out: Path, mark: str, seed: int, salt: str, tick: Callable[[], None]) -> RouterFolder:
    config = _config(seed)
    parts = split(table, salt=salt)
    first = learn(parts.train, config, tick=tick)
    tried = _try_on(first, parts.validation)
    reference = float(np.nanmean(parts.validation.cost[:, best_single(parts.train)]))
    chosen = {name: presets([Point(*point) for point in points], reference) for name, (points, _) in tried.items()}
    tick()
    final = learn(_joined(table, parts.train, parts.validation), config, tick=tick)
    fused = tried["fusion"][1][chosen["fusion"]["balanced"]]
    return RouterFolder(
        path=out,
        knowledge=final.knowledge,
        plain=final.plain,
        bounds=_bounds(first, chosen, parts.validation),
        presets=chosen,
        validation={name: points for name, (points, _) in tried.items()},
        calibration=calibration_error(fused.confidence, fused.score),
        fitted=frozenset(prompt_id(text) for part in (parts.train, parts.validation) for text in part.prompts),
        origin={
            "fingerprint": mark,
            "seed": seed,
            "salt": salt,
            "prompts": len(parts.train) + len(parts.validation),
            "held_out": len(parts.test),
        },
    )


def _config(seed: int) -> RouterConfig:
    return RouterConfig(seed=seed)


def _fingerprint(outcomes: Path | str, seed: int, salt: str) -> str:
    content = [sha256(Path(outcomes)), seed, salt, code_hash(), package_versions()]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _joined(table: Outcomes, train: Outcomes, validation: Outcomes) -> Outcomes:
    """Train and validation in the order of the table."""
    kept = {*train.ids, *validation.ids}
    return table.take([row for row, name in enumerate(table.ids) if name in kept])


def _try_on(
    first: Learned, validation: Outcomes
) -> dict[str, tuple[list[tuple[float, float, float]], dict[float, Replay]]]:
    """Every policy at every setting on the validation prompts."""
    codes = table_codes(validation)
    tried: dict[str, tuple[list[tuple[float, float, float]], dict[float, Replay]]] = {}
    for mu in DIAL:
        for name, policy in policies(first.knowledge, first.plain, mu).items():
            result = replay(policy, validation, codes=codes)
            points, results = tried.setdefault(name, ([], {}))
            points.append((mu, float(result.score.mean()), float(result.cost.mean())))
            results[mu] = result
    return tried


def _bounds(first: Learned, chosen: dict[str, dict[str, float]], validation: Outcomes) -> list[Bound]:
    if not first.plain:
        return []
    plain = first.plain[chosen["cascade"]["balanced"]]
    return accepted_bounds(plain.tiers, table_codes(validation), validation.score, plain.weights)
