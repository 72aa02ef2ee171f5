"""The drift experiment, small: the loop helps where the world moves, harms nowhere, and refuses what is bad."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow
PLACE = Path(__file__).resolve().parents[3] / "experiments" / "0008_drift.py"
SEEDS, REQUESTS, CHANGE = 3, 6000, 1000


@pytest.fixture(scope="module")
def drift() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("drift_experiment", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def world(drift: ModuleType) -> tuple[Any, Any]:
    pool = drift.pool()
    return pool, drift.version(pool, pool.knowledge, np.zeros(len(drift.ARMS)))


def test_utility_comes_back_after_a_change(drift: ModuleType, world: tuple[Any, Any]) -> None:
    found, _ = drift.moved(*world, "worse", SEEDS, REQUESTS, CHANGE)
    assert found["left alone"] < found["before"] - 0.1
    assert found["gain"]["mean"] > 0.03
    assert found["gain before the change"]["mean"] == 0.0
    assert found["promoted"] >= SEEDS


def test_a_still_world_is_left_alone(drift: ModuleType, world: tuple[Any, Any]) -> None:
    found, _ = drift.moved(*world, "still", SEEDS, REQUESTS, CHANGE)
    assert abs(found["gain"]["mean"]) < 0.005
    assert found["promoted"] <= 0.2 * found["refits"]


def test_the_mix_alarm_sounds(drift: ModuleType, world: tuple[Any, Any]) -> None:
    found, _ = drift.moved(*world, "mix", SEEDS, 3000, CHANGE)
    assert found["alarmed"] == SEEDS


def test_bad_routers_are_refused_or_rolled_back(drift: ModuleType, world: tuple[Any, Any]) -> None:
    refused = drift.refused(*world, SEEDS, 4000)
    assert refused["wrong labels, since mended"]["passed"] == 0
    assert refused["150 labels, half of them wrong"]["passed"] == 0
    bypassed = drift.bypassed(*world, SEEDS, 4500)
    assert bypassed["kept"] == 0
    assert bypassed["rolled back"] >= SEEDS - 1
