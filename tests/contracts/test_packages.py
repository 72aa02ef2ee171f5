"""The lock holds all that pyproject.toml asks for, pinned, and nothing that binds it to one machine."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINES = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
LOCK = dict(line.split("==") for line in LINES)


def wanted() -> list[Requirement]:
    project = PROJECT["project"]
    texts = [
        *project["dependencies"],
        *(text for group in project["optional-dependencies"].values() for text in group),
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["build-system"]["requires"],
    ]
    return [found for found in map(Requirement, texts) if found.name != "homespun"]


def test_every_line_is_one_exact_pin() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line)] == []
    assert list(LOCK) == sorted(LOCK, key=str.lower)


def test_the_lock_holds_what_is_asked_for() -> None:
    pinned = {canonicalize_name(name): version for name, version in LOCK.items()}
    absent = [str(each) for each in wanted() if canonicalize_name(each.name) not in pinned]
    assert absent == []
    wrong = [str(each) for each in wanted() if not each.specifier.contains(pinned[canonicalize_name(each.name)], True)]
    assert wrong == []


def test_the_environment_is_the_locked_one() -> None:
    from importlib.metadata import version

    for name in ("numpy", "polars", "scikit-learn", "scipy", "pydantic"):
        assert version(name) == LOCK[name]


def test_the_wheel_is_what_pyproject_says() -> None:
    import homespun

    assert PROJECT["project"]["version"] == homespun.__version__
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")
    [(name, place)] = PROJECT["project"]["scripts"].items()
    assert (name, place) == ("homespun", "homespun.cli.main:main")


def test_layers_name_every_package() -> None:
    folders = {path.parent.name for path in (ROOT / "src" / "homespun").glob("*/__init__.py")}
    contract = PROJECT["tool"]["importlinter"]["contracts"][0]
    layers = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    assert folders - layers == set(contract["exhaustive_ignores"])
