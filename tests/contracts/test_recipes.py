"""Every recipe builds: a function without arguments that gives a frozen configuration which can be told as JSON."""

import dataclasses
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

from homespun import recipes

MODULES = [importlib.import_module(f"homespun.recipes.{info.name}") for info in pkgutil.iter_modules(recipes.__path__)]


def found() -> list[Any]:
    """Public functions of the recipes that need no argument."""
    return [
        pytest.param(value, id=f"{module.__name__.rpartition('.')[2]}.{name}")
        for module in MODULES
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if value.__module__ == module.__name__ and not name.startswith("_") and not inspect.signature(value).parameters
    ]


def test_there_are_recipes() -> None:
    assert len(found()) >= 1


@pytest.mark.parametrize("recipe", found())
def test_a_recipe_builds_and_can_be_told(recipe: Callable[[], Any]) -> None:
    config = recipe()
    assert dataclasses.is_dataclass(config)
    assert dataclasses.replace(config) == config == recipe()
    assert json.loads(json.dumps(config.plan(), allow_nan=False))
    first = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, first, "changed")
