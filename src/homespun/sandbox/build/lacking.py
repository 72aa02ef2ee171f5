"""What a program wants beyond what is warm."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from homespun.errors import DataError
from homespun.sandbox.build.semver import satisfies
from homespun.sandbox.environments.react import PROVIDED
from homespun.sandbox.environments.types import Layers
from homespun.sandbox.reply.names import npm_requirement, python_requirement
from homespun.sandbox.reply.types import Dependency, Kind
from homespun.sandbox.templates.warm import node_version, python_versions

STANDS_FOR = {
    "opencv-python": "opencv-python-headless",
    "opencv-contrib-python": "opencv-python-headless",
    "opencv-contrib-python-headless": "opencv-python-headless",
    "pygame": "pygame-ce",
    "psycopg2": "psycopg2-binary",
    "python-opencv": "opencv-python-headless",
    "bs4": "beautifulsoup4",
    "sklearn": "scikit-learn",
    "pil": "pillow",
}
"""Python package → the one that is installed in its stead: the same modules without a window system, without a
compiler, or under the name that the index knows."""


@dataclass(frozen=True)
class Lacking:
    """Arguments for the installers, what cannot be one, and what was decided on the way (package → why)."""

    python: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict[str, str])


def lacking(dependencies: Sequence[Dependency], layers: Layers) -> Lacking:
    """Which of ``dependencies`` the warm layers do not satisfy."""
    python: set[str] = set()
    npm: set[str] = set()
    refused: list[str] = []
    notes: dict[str, str] = {}
    for wanted in dependencies:
        try:
            _check(wanted)
        except DataError as error:
            refused.append(str(error))
            continue
        if wanted.kind == "python":
            argument = _python(wanted, layers.python, notes)
            python |= {argument} if argument else set()
        else:
            argument = _npm(wanted, layers.node, notes)
            npm |= {argument} if argument else set()
    return Lacking(tuple(sorted(python)), tuple(sorted(npm)), tuple(refused), notes)


def _check(wanted: Dependency) -> None:
    """Names become arguments and paths: whoever made the list, they are checked here."""
    if wanted.kind == "python":
        extras = f"[{','.join(wanted.extras)}]" if wanted.extras else ""
        python_requirement(
            f"{wanted.name}{extras}{'' if wanted.version == 'latest' else wanted.version}", wanted.source
        )
    else:
        npm_requirement(wanted.name if wanted.version == "latest" else wanted.name + wanted.version, wanted.source)


def _python(wanted: Dependency, folder: Path, notes: dict[str, str]) -> str | None:
    name, version = STANDS_FOR.get(wanted.name, wanted.name), wanted.version
    if name != wanted.name:
        notes[wanted.name] = f"{name} stands in for it"
        version = "latest"
    warm = _warm(folder).get(name)
    if warm is not None and not wanted.extras and _within(warm, version):
        notes.setdefault(wanted.name, f"warm, {warm}")
        return None
    if warm is not None and version != "latest":
        notes[wanted.name] = f"{warm} is warm, {version} is wanted"
    extras = f"[{','.join(wanted.extras)}]" if wanted.extras else ""
    return f"{name}{extras}{'' if version == 'latest' else version}"


def _within(warm: str, wanted: str) -> bool:
    try:
        return wanted == "latest" or SpecifierSet(wanted).contains(warm, prereleases=True)
    except InvalidSpecifier:
        return False


def _npm(wanted: Dependency, folder: Path, notes: dict[str, str]) -> str | None:
    if wanted.name in PROVIDED:
        notes[wanted.name] = "what single files take from it is part of the build"
        return None
    warm, version = node_version(folder, wanted.name), wanted.version.removeprefix("@")
    if warm is not None and (version == "latest" or satisfies(warm, version)):
        notes[wanted.name] = f"warm, {warm}"
        return None
    if warm is not None:
        notes[wanted.name] = f"{warm} is warm, {version} is wanted"
    return f"{wanted.name}@{version}"


def name_of(kind: Kind, spec: str) -> str:
    """The package's name in an installer's argument."""
    if kind == "npm":
        return spec[:1] + spec[1:].partition("@")[0]
    return str(canonicalize_name(re.split(r"[^\w.-]", spec, maxsplit=1)[0]))


def warm_instead(kind: Kind, spec: str, layers: Layers) -> str | None:
    """The warm version of the package that ``spec`` wants in another one; None if it is not warm."""
    name = name_of(kind, spec)
    return _warm(layers.python).get(name) if kind == "python" else node_version(layers.node, name)


@lru_cache(maxsize=8)
def _warm(folder: Path) -> dict[str, str]:
    return python_versions(folder)
