import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from homespun.sandbox import templates
from homespun.sandbox.environments import python_program
from homespun.sandbox.environments.types import Layers, Ran, Work
from homespun.sandbox.jail import jail as jail_called
from homespun.sandbox.jail.types import Bounds, Jail
from homespun.sandbox.reply.types import Environment, Found, Taken


@pytest.fixture(scope="session")
def layers() -> Layers:
    return templates.layers()


@pytest.fixture(scope="session")
def jail() -> Jail:
    return jail_called("bubblewrap")


@pytest.fixture(scope="session")
def work(layers: Layers) -> Callable[..., Work]:
    def made(code: str, environment: Environment = "interpreter", **bounds: Any) -> Work:
        taken = Taken(index=0, line=1, tag="python")
        found = Found(code=code, filename="main.py", language="python", environment=environment, taken=taken)
        return Work(id="run", found=found, layers=layers, bounds=Bounds(**bounds))

    return made


@pytest.fixture(scope="session")
def run_python(work: Callable[..., Work], jail: Jail) -> Callable[..., Ran]:
    def run(code: str, **bounds: Any) -> Ran:
        return python_program.run(work(code, **bounds), jail)

    return run


@pytest.fixture(scope="session")
def keys_in_pygame(run_python: Callable[..., Ran]) -> Mapping[str, Any]:
    """What the real pygame makes of every key of the table, asked once inside."""
    code = """
import json, pygame
from inside import pygame_keys
every = [(code, "Shift") for code in pygame_keys.NAMED] + [(code, "") for code in pygame_keys.PRINTED]
told = {code: [pygame_keys.keycode(pygame, code, key), pygame_keys.scancode(pygame, code)] for code, key in every}
names = {code: pygame.key.name(pair[0]) for code, pair in told.items()}
constants = [getattr(pygame, name) for name in dir(pygame) if name.startswith("K_")]
print(json.dumps({"keys": told, "names": names, "constants": constants}))
"""
    return json.loads(run_python(code).stdout.splitlines()[-1])
