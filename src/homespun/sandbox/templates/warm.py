"""What is warm: the folders, and which version of which package they hold."""

import json
import re
from pathlib import Path
from typing import Any

from homespun.errors import SandboxError
from homespun.sandbox.environments.types import Layers
from homespun.sandbox.templates import place


def layers() -> Layers:
    """The warm layers that this code wants.

    Raises:
        SandboxError: they are not installed.
    """
    folder = place.template()
    if not (folder / place.STAMP).exists():
        raise SandboxError("the warm packages are not installed", str(folder), "homespun sandbox install")
    return Layers(python=folder / "python", node=folder / "node" / "node_modules")


def python_versions(folder: Path) -> dict[str, str]:
    """Version by name (PEP 503) of every package that lies in ``folder``."""
    found: dict[str, str] = {}
    for info in folder.glob("*.dist-info"):
        name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return found


def node_version(folder: Path, name: str) -> str | None:
    """Version of an npm package at the top of ``folder``; None if it is not there."""
    try:
        told: Any = json.loads((folder / name / "package.json").read_bytes())
    except (OSError, ValueError):
        return None
    version = told.get("version") if isinstance(told, dict) else None
    return version if isinstance(version, str) else None


def state() -> list[dict[str, Any]]:
    """Every template on this machine: its key, folder, whether it is whole, and whether this code uses it."""
    wanted = place.template()
    folders = {wanted, *(path for path in place.root().glob("[0-9a-f]*") if path.is_dir())}
    return [
        {
            "key": folder.name,
            "folder": str(folder),
            "installed": (folder / place.STAMP).exists(),
            "current": folder == wanted,
        }
        for folder in sorted(folders, key=lambda folder: (folder != wanted, folder.name))
    ]
