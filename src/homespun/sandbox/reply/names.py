"""Names and versions of packages, checked: what comes from a reply or a reader's table is hostile until here.

Python follows PEP 508 (names, extras) and PEP 440 (versions) by the library ``packaging``; npm follows the
registry's rules for names and the common forms of versions. Nothing that passes can be read as an option,
a path or an address by an installer that gets it as one argument.
"""

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from homespun.errors import DataError
from homespun.sandbox.reply.types import Dependency, Kind, Source

LONGEST = 214
"""Longest name or version that is looked at; npm's own limit for names."""
_PYTHON_NAME = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_NPM_NAME = re.compile(r"(?:@[a-z0-9~][a-z0-9._~-]*/)?[A-Za-z0-9~][A-Za-z0-9._~-]*", re.ASCII)
_NPM_VERSION = re.compile(
    r"(?:\*|[A-Za-z][\w.-]*|(?:[\^~]|[<>]=?|=)?v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}(?:-[\w.-]+)?(?:\+[\w.-]+)?)",
    re.ASCII,
)
_ODD = re.compile(r"://|^[./~\\]|[`$;&|(){}\\\"'\s]|\.\.")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else f"{text[:60]}…")


def python_requirement(word: str, source: Source) -> Dependency:
    """Read one argument of ``pip install``.

    Raises:
        DataError: It is an address, a path, an option, or no requirement at all.
    """
    text = word.strip()
    if len(text) > LONGEST or text.startswith(("-", ".", "/", "~")) or "@" in text or "://" in text:
        raise DataError("not a package from the index but an option, path or address", _shown(text))
    try:
        read = Requirement(text)
    except InvalidRequirement:
        raise DataError("not a requirement by PEP 508", _shown(text)) from None
    if read.marker is not None:
        raise DataError("a requirement with a condition", _shown(text), "the name and version alone")
    version = re.sub(r"\s+", "", text.split("]")[-1])
    version = version[len(read.name) :] if not read.extras else version
    return _python(read.name, version or "latest", tuple(sorted(read.extras)), source)


def _python(name: str, version: str, extras: tuple[str, ...], source: Source) -> Dependency:
    if len(name) > LONGEST or not _PYTHON_NAME.fullmatch(name):
        raise DataError("not a name by PEP 508", _shown(name), "letters, digits, and . _ - between them")
    if version != "latest":
        _check_specifier(version.removeprefix("(").removesuffix(")"))
        version = version.removeprefix("(").removesuffix(")")
    return Dependency(kind="python", name=str(canonicalize_name(name)), version=version, extras=extras, source=source)


def _check_specifier(version: str) -> None:
    try:
        valid = len(version) <= LONGEST and "===" not in version and bool(SpecifierSet(version))
    except InvalidSpecifier:
        valid = False
    if not valid or version[0] not in "=<>!~":
        raise DataError(
            "not a version by PEP 440", _shown(version), "an operator first, as in ==1.2 or >=1,<2, or latest"
        )


def npm_requirement(word: str, source: Source) -> Dependency:
    """Read one argument of ``npm install``: ``name``, ``name@version``, ``@scope/name@version``.

    Raises:
        DataError: It is an address, a path, an option, an alias, or no package at all.
    """
    text = word.strip()
    if len(text) > LONGEST or text.startswith("-") or _ODD.search(text) or ":" in text:
        raise DataError("not a package from the registry but an option, path or address", _shown(text))
    name, at, version = text[1:].partition("@")
    return _npm(text[:1] + name, at + version if version not in ("", "latest") else "latest", source)


def _npm(name: str, version: str, source: Source) -> Dependency:
    if len(name) > LONGEST or not _NPM_NAME.fullmatch(name) or name.endswith(".tgz"):
        raise DataError("not a name by the registry's rules", _shown(name), "name or @scope/name")
    if version != "latest" and not (version.startswith("@") and _NPM_VERSION.fullmatch(version[1:])):
        raise DataError("not a version of an npm package", _shown(version), "@ first, as in @18.2.0 or @^18, or latest")
    return Dependency(kind="npm", name=name, version=version, source=source)


def check_edit(kind: str, name: str, version: str) -> Dependency:
    """One row of the dependency table as a reader edited it.

    Args:
        kind: ``python`` or ``npm``.
        name: The package; for Python extras may follow, as in ``uvicorn[standard]``.
        version: Python: an operator first, or ``latest``. npm: ``@`` first, or ``latest``.

    Raises:
        DataError: The kind, the name or the version is not one of these.
    """
    name, version = name.strip(), version.strip()
    if kind == "npm":
        return _npm(name, "latest" if version == "@latest" else version, "edit")
    if kind != "python":
        raise DataError(f"no kind of dependency: {_shown(kind)}", "type", "python or npm")
    if version != "latest":
        _check_specifier(version)
    read = python_requirement(name, "edit")
    if read.version != "latest":
        raise DataError("a version inside the name", _shown(name), "the version in its own column")
    return read.model_copy(update={"version": re.sub(r"\s+", "", version)})


def identity(dependency: Dependency) -> tuple[Kind, str]:
    """What makes two dependencies the same package: PEP 503 for Python, the name itself for npm."""
    python = dependency.kind == "python"
    return dependency.kind, str(canonicalize_name(dependency.name)) if python else dependency.name
