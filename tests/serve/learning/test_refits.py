"""Evidence from rows, what numbers alone can mend, the gate in the process that fits, and a new arm."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homespun.errors import ConfigError, DataError
from homespun.router.store import RouterFolder, load, save
from homespun.serve.gateway.learning import arms, numbers, refit
from homespun.serve.gateway.learning.evidence import Evidence, gather
from homespun.serve.gateway.learning.history import base_and_shift
from homespun.serve.gateway.learning.labels import inclusion_detail, label_row

pytestmark = pytest.mark.slow
NAMES = ("cheap", "middle", "strong")


def decision(fitted: RouterFolder, i: int, chosen: str, propensity: float, **more: Any) -> dict[str, Any]:
    knowledge = fitted.knowledge
    quality, cost = {"cheap": 0.6, "middle": 0.7, "strong": 0.9}, {"cheap": 0.001, "middle": 0.008, "strong": 0.03}
    cells = dict.fromkeys(knowledge.classifier.cells, 0.0) | {("sums", "claims")[i % 2]: 1.0}
    row = {"request_id": f"r{i}", "time": float(i), "router": "v1", "dial": "balanced", "cell": "sums",
           "arms": list(NAMES), "chosen": chosen, "answered": chosen, "propensity": propensity, "path": [],
           "reading": {"quality": quality, "cost": cost, "cells": cells, "learned": quality}}  # fmt: skip
    return row | more


def test_rows_become_arrays(fitted: RouterFolder) -> None:
    rows = [
        decision(fitted, 0, "cheap", 0.7),
        decision(fitted, 1, "cheap", 0.6, answered="strong"),  # a cascade went on
        decision(fitted, 2, "middle", 0.9),  # shadowed
        decision(fitted, 3, "middle", 0.9),  # nobody said anything
        decision(fitted, 4, "cheap", 0.5, reading=None),
    ]
    labels = [
        label_row("r0", "cheap", "feedback", 1.0, 0.0),
        label_row("r1", "cheap", "judge", 0.2, 1.0),
        label_row("r1", "strong", "judge", 0.8, 1.0),
        label_row("r2", "middle", "feedback", 1.0, 2.0),
        label_row("r2", "strong", "shadow", 0.9, 2.0, detail=inclusion_detail(1.0, "x")),
        label_row("r2", "cheap", "shadow", 0.1, 2.0, detail=inclusion_detail(0.5, "x")),
        label_row("r4", "cheap", "feedback", 1.0, 4.0),
    ]
    attempts = [
        {"request_id": "r1", "target": "t-cheap", "purpose": "answer", "nanodollars": 2_000_000},
        {"request_id": "r1", "target": "t-strong", "purpose": "answer", "nanodollars": 30_000_000},
        {"request_id": "r1", "target": "t-strong", "purpose": "judge", "nanodollars": 1_000_000},
    ]
    found = gather(fitted, rows, labels, attempts, {"t-cheap": "cheap", "t-strong": "strong"})
    reference, mu = fitted.knowledge.reference, fitted.presets["fusion"]["balanced"]
    assert found.ids == ["r0", "r1", "r2"]
    assert found.chance.tolist() == [[0.7, 1, 1], [0.6, 1, 1], [0.5, 1, 1]]
    np.testing.assert_array_equal(np.isfinite(found.own), [[1, 0, 0], [1, 0, 0], [1, 0, 1]])
    assert found.own[1, 0] == pytest.approx(0.2)
    assert found.reward[1, 0] == pytest.approx(0.8 - mu * 0.033 / reference)  # of having asked cheap first
    assert found.spent[1, 0] == pytest.approx(0.002 / reference)
    assert found.reward[2, 2] == pytest.approx(0.9 - mu * 0.03 / reference)


def test_versions_of_another_fit_are_left_out_and_shifts_are_undone(fitted: RouterFolder) -> None:
    rows = [decision(fitted, 0, "cheap", 0.7), decision(fitted, 1, "cheap", 0.7, router="other")]
    labels = [label_row(f"r{i}", "cheap", "feedback", 1.0, 0.0) for i in range(2)]
    found = gather(fitted, rows, labels, [], {}, moves={"v1": np.array([0.05, 0.0, -0.1])})
    assert found.ids == ["r0"]
    assert found.learned[0].tolist() == pytest.approx([0.65, 0.7, 0.8])
    assert gather(fitted, [], [], [], {}).own.shape == (0, 3)


def traffic(fitted: RouterFolder, num: int, truth: dict[str, tuple[float, float]], seed: int = 0) -> Evidence:
    """Requests that tried every arm alike, in a world of these scores on sums and on claims."""
    rng = np.random.default_rng(seed)
    cells = list(fitted.knowledge.classifier.cells)
    kind = rng.integers(0, 2, size=num)
    cell = np.eye(len(cells))[[cells.index(("sums", "claims")[k]) for k in kind]]
    read = fitted.knowledge.reading(cell, np.tile(fitted.knowledge.table.score().mean(axis=0), (num, 1)))
    own, arm = np.full((num, 3), np.nan), rng.integers(0, 3, size=num)
    for i in range(num):
        own[i, arm[i]] = float(rng.random() < truth[NAMES[arm[i]]][kind[i]])
    mu = np.full(num, 0.3)
    return Evidence(
        ids=[f"r{i}" for i in range(num)], time=np.arange(num, dtype=float), group=np.arange(num), cell=cell,
        learned=read.learned, quality=read.blend, cost=read.cost, allowed=np.ones((num, 3), bool), mu=mu, own=own,
        spent=read.cost, reward=own - mu[:, None] * read.cost, chance=np.where(np.isfinite(own), 1 / 3, 1.0),
    )  # fmt: skip


WORSE = {"cheap": (0.2, 0.2), "middle": (0.7, 0.72), "strong": (0.92, 0.92)}
AS_IT_WAS = {"cheap": (0.85, 0.55), "middle": (0.7, 0.72), "strong": (0.92, 0.92)}


def test_numbers_alone_find_the_new_world(fitted: RouterFolder) -> None:
    evidence = traffic(fitted, 3000, WORSE)
    found = numbers.correct(fitted.knowledge, evidence, numbers.Fade(0.03, np.inf))
    quality, _ = found.reading(evidence)
    for c, truth in enumerate(zip(*WORSE.values(), strict=True)):
        rows = evidence.cell[:, list(fitted.knowledge.classifier.cells).index(("sums", "claims")[c])] == 1
        assert quality[rows].mean(axis=0) == pytest.approx(truth, abs=0.06)


def test_selection_does_not_mislead(fitted: RouterFolder) -> None:
    """An arm that was mostly asked where it is good: inverse propensities undo that, for the parent's row."""
    evidence = traffic(fitted, 6000, {**AS_IT_WAS, "cheap": (1.0, 0.0)}, seed=3)
    sums = evidence.cell[:, list(fitted.knowledge.classifier.cells).index("sums")] == 1
    kept = sums | (np.random.default_rng(0).random(6000) < 0.2) | np.isnan(evidence.own[:, 0])
    chance = np.where(np.isfinite(evidence.own) & ~sums[:, None], evidence.chance * 0.2, evidence.chance)
    seen = replace(evidence, chance=chance).take(kept)
    fair = numbers.correct(fitted.knowledge, seen, numbers.Fade(0.0, np.inf)).knowledge.table
    naive = numbers.correct(fitted.knowledge, evidence.take(kept), numbers.Fade(0.0, np.inf)).knowledge.table
    cheap = fitted.knowledge.arms.index("cheap")
    assert fair.wins[-1, cheap] / fair.n[-1, cheap] == pytest.approx(0.5, abs=0.06)
    assert naive.wins[-1, cheap] / naive.n[-1, cheap] > 0.75


def test_prices_are_followed(fitted: RouterFolder) -> None:
    evidence = traffic(fitted, 900, AS_IT_WAS)
    dearer = replace(evidence, spent=evidence.cost * [1.0, 3.0, 1.0])
    found = numbers.correct(fitted.knowledge, dearer, numbers.Fade(1.0, np.inf))
    assert found.ratio == pytest.approx([1.0, 3.0, 1.0], rel=0.25)
    assert found.reading(evidence)[1] == pytest.approx(evidence.cost * found.ratio, rel=1e-6)


def test_a_changed_world_promotes_and_a_still_one_does_not(fitted: RouterFolder) -> None:
    changed = refit.propose(fitted.knowledge, traffic(fitted, 1500, WORSE))
    assert changed.gate.promote, changed.gate.reasons
    assert json.loads(json.dumps(changed.report))["how"] == "numbers"
    still = [refit.propose(fitted.knowledge, traffic(fitted, 600, AS_IT_WAS, seed)).gate.promote for seed in range(20)]
    assert sum(still) <= 2
    with pytest.raises(DataError, match="labelled requests"):
        refit.propose(fitted.knowledge, traffic(fitted, 50, WORSE))


def test_the_process_that_fits(fitted: RouterFolder, tmp_path: Path) -> None:
    traffic(fitted, 1500, WORSE).save(tmp_path / "evidence.npz")
    told = {"parent": str(fitted.path), "out": str(tmp_path / "out"), "version": "rtr-2"}
    (tmp_path / "job.json").write_text(json.dumps(told))
    subprocess.run([sys.executable, "-m", refit.__name__, str(tmp_path)], check=True, timeout=120)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["promote"]
    made = load(tmp_path / "out")
    assert made.origin["parent"] == fitted.origin["fingerprint"]
    expected = refit.propose(fitted.knowledge, Evidence.load(tmp_path / "evidence.npz")).corrected
    prompts = ["Add 3 apples and 9 pears, how many are there?"]
    assert made.knowledge.read(prompts).blend == pytest.approx(expected.knowledge.read(prompts).blend)
    base, shift = base_and_shift(made.origin, 3)
    assert base == fitted.origin["fingerprint"]
    assert shift == pytest.approx(expected.shift)
    before, after = fitted.knowledge.read(prompts).learned, made.knowledge.read(prompts).learned
    assert after == pytest.approx(np.clip(before + shift, 0, 1), abs=1e-9)
    done = subprocess.run([sys.executable, "-m", refit.__name__, str(tmp_path / "no")], capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1


# --- a new arm --------------------------------------------------------------------------------------------------


def test_a_new_arm_is_known_by_its_price_and_asked_only_after_shadows(fitted: RouterFolder, tmp_path: Path) -> None:
    prices = {"cheap": 1.0, "middle": 8.0, "strong": 30.0, "fresh": 10.0}
    save(arms.with_arm(fitted, "fresh", prices, tmp_path / "router", "rtr-3"))
    made = load(tmp_path / "router")
    assert made.knowledge.arms == (*fitted.knowledge.arms, "fresh")
    assert made.origin["like"] == "middle"
    prompts = ["Add 3 apples and 9 pears, how many are there?"]
    old, new = fitted.knowledge.read(prompts), made.knowledge.read(prompts)
    assert new.blend[:, :3] == pytest.approx(old.blend)
    assert new.cost[0, 3] == pytest.approx(new.cost[0, made.knowledge.arms.index("middle")] * 10 / 8, rel=0.2)
    assert not new.eligible[0, 3]
    assert made.knowledge.fusion(0.1).name == "fusion"
    shadows = traffic(fitted, 400, AS_IT_WAS)
    wide = {name: np.column_stack([getattr(shadows, name), getattr(shadows, name)[:, 1]])
            for name in ("learned", "quality", "cost", "allowed", "spent")}  # fmt: skip
    own = np.column_stack([np.full((400, 3), np.nan), np.ones(400)])
    evidence = replace(shadows, **wide, own=own, reward=own, chance=np.ones((400, 4)))
    after = numbers.correct(made.knowledge, evidence, numbers.Fade(1.0, np.inf)).knowledge.read(prompts)
    assert after.eligible[0, 3]
    assert after.taxonomy[0, 3] > 0.95


def test_a_new_arm_gets_its_queries_evenly_over_the_cells() -> None:
    assert arms.wanted({}, 4, "sums")
    assert not arms.wanted({"sums": 50}, 4, "sums")
    assert arms.wanted({"sums": 50}, 4, "claims")
    assert not arms.wanted({"sums": 100, "claims": 100}, 4, "other")


def test_a_new_arm_must_be_new_and_have_a_price(fitted: RouterFolder, tmp_path: Path) -> None:
    for arm, prices in (("cheap", {"cheap": 1.0}), ("fresh", {"cheap": 1.0}), ("fresh", {"fresh": 1.0})):
        with pytest.raises(ConfigError):
            arms.with_arm(fitted, arm, prices, tmp_path / "r", "v")
