"""A small fitted router without votes, and books that only remember."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from homespun.router import fit as stage
from homespun.router.store import RouterFolder

ARMS = {"cheap": (0.85, 0.55, 0.001), "middle": (0.70, 0.72, 0.008), "strong": (0.92, 0.92, 0.030)}
"""Chance of a right answer on sums and on claims, and dollars."""


class Notes:
    """What was noted, by table."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def note(self, table: str, row: dict[str, Any]) -> None:
        self.rows.setdefault(table, []).append(row)

    def __getitem__(self, table: str) -> list[dict[str, Any]]:
        return self.rows.get(table, [])


def prompt(i: int) -> str:
    if i % 2:
        return f"Would actor number {i} swim across the bay, true or false?"
    return f"Add {i} apples and {i * 3} pears, how many are there?"


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> RouterFolder:
    rng = np.random.default_rng(0)
    rows = [
        {"id": str(i), "dataset": ("sums", "claims")[i % 2], "prompt": prompt(i), "model": arm, "cost": ARMS[arm][2],
         "score": float(rng.random() < ARMS[arm][i % 2])}
        for i in range(400)
        for arm in ARMS
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("learning")
    pl.DataFrame(rows).write_parquet(folder / "outcomes.parquet")
    return stage.fit(folder / "outcomes.parquet", folder / "router")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"
