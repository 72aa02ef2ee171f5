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


@pytest.fixture(autouse=True)
def runs_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a folder of runs of its own."""
    folder = tmp_path_factory.mktemp("runs")
    monkeypatch.setenv("HOMESPUN_RUNS", str(folder))
    return folder
