"""Tables of votes: written down, drawn from known strengths, and the ones that ship."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest

from homespun.arena import read_votes
from homespun.data import path

Votes = Callable[..., pl.DataFrame]


def table(rows: Sequence[tuple[str, str, str, int]]) -> pl.DataFrame:
    """model_a, model_b, winner, how often."""
    flat = [row[:3] for row in rows for _ in range(row[3])]
    return pl.DataFrame(flat, schema=["model_a", "model_b", "winner"], orient="row")


def simulated(strength: Sequence[float], count: int, *, ties: float = 0.0, seed: int = 0) -> pl.DataFrame:
    """Votes on models m00, m01 … of these strengths in log-odds; a share of votes is turned into ties."""
    generator = np.random.default_rng(seed)
    values = np.asarray(strength)
    a = generator.integers(0, len(values), count)
    b = (a + generator.integers(1, len(values), count)) % len(values)
    won = generator.random(count) < 1 / (1 + np.exp(values[b] - values[a]))
    winner = np.where(won, "model_a", "model_b")
    winner = np.where(generator.random(count) < ties, "tie", winner)
    names = np.array([f"m{index:02d}" for index in range(len(values))])
    return pl.DataFrame({"model_a": names[a], "model_b": names[b], "winner": winner})


@pytest.fixture(scope="session")
def write() -> Votes:
    return table


@pytest.fixture(scope="session")
def simulate() -> Votes:
    return simulated


@pytest.fixture(scope="session")
def llmfao() -> pl.DataFrame:
    extra = {f"{name}_{side}": "number" for name in ("characters", "lines") for side in "ab"}
    return read_votes(path("llmfao/votes.parquet"), extra | {"topic": "text"})
