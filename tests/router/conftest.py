"""A small world of outcomes: two kinds of question, four arms, honest votes."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homespun.router import fit as stage

ARMS = {"cheap/a": (0.70, 0.001), "cheap/b": (0.70, 0.001), "strong/a": (0.92, 0.030), "odd/a": (0.55, 0.010)}


def world(num: int = 300, seed: int = 0) -> pl.DataFrame:
    """Long outcomes; sums are open-ended, claims are true or false."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(num):
        kind = ("sums", "claims")[i % 2]
        prompt = f"Add {i} apples and {i * 3} pears, how many?" if kind == "sums" else f"Would actor number {i} swim?"
        gold = str(4 * i) if kind == "sums" else ("yes", "no")[int(rng.integers(2))]
        for arm, (skill, cost) in ARMS.items():
            right = rng.random() < skill - (0.05 if kind == "claims" else 0.0)
            wrong = str(4 * i + int(rng.integers(1, 40))) if kind == "sums" else {"yes": "no", "no": "yes"}[gold]
            answer = None if rng.random() < 0.05 else gold if right else wrong
            model, strategy = arm.split("/")
            score = float(answer == gold)
            row = {"id": f"{kind}/{i}", "dataset": kind, "prompt": prompt, "model": model, "strategy": strategy}
            rows.append(row | {"score": score, "cost": cost, "answer": answer})
    return pl.DataFrame(rows, infer_schema_length=None)


@pytest.fixture(scope="session")
def outcomes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outcomes") / "outcomes.parquet"
    world().write_parquet(path)
    return path


@pytest.fixture(scope="session")
def fitted(outcomes_file: Path, tmp_path_factory: pytest.TempPathFactory) -> stage.RouterFolder:
    return stage.fit(outcomes_file, tmp_path_factory.mktemp("router") / "r")


@pytest.fixture(scope="session")
def evaluated(
    fitted: stage.RouterFolder, outcomes_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[stage.EvalResult, Path]:
    root = tmp_path_factory.mktemp("runs")
    return stage.evaluate(fitted.path, outcomes_file, root=root, num_resamples=200), root
