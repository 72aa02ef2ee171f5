"""What all tests share: a fixed seed for hypothesis, and runs that never land in the working folder."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile(
    "house", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


QUICK = "not slow"
"""The expression of `make quick`."""
NOT_QUICK = (
    "arena",
    "corpus",
    "sandbox/apps",
    "sandbox/browser",
    "sandbox/build",
    "sandbox/environments",
    "sandbox/escapes",
    "sandbox/jail",
    "sandbox/reply",
    "sandbox/templates",
    "serve/api",
    "serve/battle_room",
    "serve/clients",
    "serve/dashboard",
    "serve/learning",
    "serve/operations",
    "serve/routes",
    "serve/store",
    "serve/upstream",
)
"""Folders that `make quick` does not even look at: what they import takes longer than most tests."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out of the quick set what is slow to begin with."""
    if config.option.markexpr != QUICK or Path(__file__).parent not in collection_path.parents:
        return None
    place = collection_path.relative_to(Path(__file__).parent).as_posix()
    return True if place.startswith(NOT_QUICK) else None


@pytest.fixture(autouse=True)
def runs_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a folder of runs of its own."""
    folder = tmp_path_factory.mktemp("runs")
    monkeypatch.setenv("HOMESPUN_RUNS", str(folder))
    return folder
