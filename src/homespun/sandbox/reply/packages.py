"""From what a program imports to what an index calls it.

The map lies in ``data/replies/packages.json``: import name (dotted for parts of a namespace) to the
distributions that provide it, the usual one first; what the standard library once had; what a host
provides; Node's own modules; and cdnjs's names where npm has another.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from packaging.utils import canonicalize_name

from homespun.errors import DataError
from homespun.sandbox.reply.names import npm_requirement, python_requirement
from homespun.sandbox.reply.types import Dependency, Dropped, Source


@dataclass(frozen=True, slots=True)
class Packages:
    """The map, as read from the data file."""

    imports: dict[str, tuple[str, ...]]
    standard: frozenset[str]
    distributions: frozenset[str]
    mistaken: dict[str, str]
    provided: dict[str, str]
    builtins: frozenset[str]
    cdnjs: dict[str, str]


@cache
def known_packages() -> Packages:
    """The shipped map; the standard library is the running Python's and what older ones had."""
    text = resources.files("homespun.data").joinpath("replies/packages.json").read_text(encoding="utf-8")
    raw: dict[str, dict[str, Any]] = json.loads(text)
    python, npm = raw["python"], raw["npm"]
    return Packages(
        imports={name: tuple(packages) for name, packages in python["imports"].items()},
        distributions=frozenset(
            str(canonicalize_name(package)) for packages in python["imports"].values() for package in packages
        ),
        mistaken={str(canonicalize_name(name)): packages[0] for name, packages in python["imports"].items()},
        standard=frozenset(python["standard"]) | sys.stdlib_module_names,
        provided=python["provided"],
        builtins=frozenset(npm["builtins"]),
        cdnjs=npm["cdnjs"],
    )


def python_packages(
    imports: Iterable[str], installed: Iterable[Dependency], local: frozenset[str]
) -> tuple[list[Dependency], list[Dropped]]:
    """The distributions that provide these imports.

    Args:
        imports: Dotted names; ``from a.b import c`` is ``a.b.c``.
        installed: What install lines name: an alternative that is named there provides the import.
        local: Modules that the reply brings along itself.
    """
    known = known_packages()
    named = {str(canonicalize_name(dependency.name)) for dependency in installed if dependency.kind == "python"}
    found: dict[str, Dependency] = {}
    dropped: list[Dropped] = []
    for dotted in sorted(set(imports)):
        top = dotted.split(".")[0]
        if top in known.standard or not top:
            continue
        parts = dotted.split(".")[:4]
        prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        why = next((known.provided[prefix] for prefix in prefixes if prefix in known.provided), None)
        if top in local:
            why = "a module of the reply itself"
        if why is not None:
            dropped.append(Dropped(what=f"import {top}", why=why))
            continue
        packages = next((known.imports[prefix] for prefix in prefixes if prefix in known.imports), (top,))
        if not any(str(canonicalize_name(package)) in named for package in packages):
            _add(packages[0], top, found, dropped)
    return list(found.values()), dropped


def _add(package: str, top: str, found: dict[str, Dependency], dropped: list[Dropped]) -> None:
    try:
        found[package] = python_requirement(package, "import")
    except DataError as error:
        dropped.append(Dropped(what=f"import {top[:60]}", why=error.what))


def npm_package(specifier: str, source: Source) -> Dependency | str | None:
    """The package behind what a script imports: two parts of a scoped name, else one; subpaths are cut.

    Returns:
        The package; the reason why it is none; or None for Node's own modules and files of the program.
    """
    known = known_packages()
    name = specifier.split("?")[0].split("#")[0] if not specifier.startswith("#") else specifier
    if name.startswith((".", "/", "@/", "~", "#", "$")) or not name:
        return None
    scheme, colon, rest = name.partition(":")
    if colon and scheme == "npm":
        name = rest.lstrip("/")
    elif colon:
        return None if scheme in ("node", "bun", "virtual") else "an address, not a package"
    parts = name.split("/")
    name = "/".join(parts[: 2 if name.startswith("@") else 1])
    if name in known.builtins:
        return None
    try:
        return npm_requirement(name, source)
    except DataError as error:
        return error.what


def mended_install(dependency: Dependency) -> Dependency | str:
    """An install line's package as the index calls it, or why it is none.

    ``pip install cv2`` means opencv-python; ``pip install tkinter`` asks an index for the standard library.
    """
    known = known_packages()
    if dependency.kind == "npm":
        return "part of Node itself" if dependency.name in known.builtins else dependency
    name = dependency.name
    if name in known.standard:
        return "part of the standard library"
    meant = known.mistaken.get(name)
    if meant is None or name in known.distributions:
        return dependency
    return dependency.model_copy(update={"name": str(canonicalize_name(meant))})
