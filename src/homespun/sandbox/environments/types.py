"""What an environment is given, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from homespun.sandbox.jail.types import Bounds, Jail, Running, Status
from homespun.sandbox.reply import Found

if TYPE_CHECKING:
    from homespun.sandbox.jail.inlet import Inlet

PYTHON_PACKAGES = "/deps/packages"
"""Where the warm Python packages are inside; on PYTHONPATH, after the job's own. Gradio wants two folders above it."""
FONTS = ".matplotlib"
"""Folder among the warm Python packages with Matplotlib's list of the system's fonts."""
NODE_MODULES = "/node_modules"
"""Where the warm npm packages are inside: at the root, so that every file finds them by Node's own rule."""
OWN_PYTHON = "/deps/python"
"""Where packages are that this program asked for beyond the warm ones; first on PYTHONPATH."""
OWN_NODE = "/work/node_modules"


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Folders of the host with installed packages."""

    python: Path
    """Warm Python packages (a ``site-packages`` folder)."""
    node: Path
    """Warm npm packages (a ``node_modules`` folder)."""
    own_python: Path | None = None
    own_node: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Work:
    """A program to be run. ``found.code`` has its placeholder images filled in already."""

    id: str
    found: Found
    layers: Layers
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that the program drew, as PNG."""

    name: str
    png: bytes


@dataclass(frozen=True, kw_only=True)
class Site:
    """An app that is files alone: path (no leading slash) → content. The browser does the rest."""

    files: Mapping[str, bytes]
    start: str = "index.html"


@dataclass(frozen=True, kw_only=True)
class Service:
    """An app that a running job serves over HTTP, reached through its ``inlet``. Whoever takes it closes both."""

    inlet: "Inlet"
    running: Running
    shipped: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Folders of the warm packages with what its library ships for browsers, by the start of their addresses."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What came of a program. An ``app`` with status ``ok`` is there to be played with until it is closed."""

    status: Status
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    pictures: tuple[Picture, ...] = ()
    files: tuple[str, ...] = ()
    """Names of the files that it left."""
    app: Site | Service | None = None
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was done to the program on the way, for the log."""


class Environment(Protocol):
    """Runs programs of one kind. Blocks; call it in a thread."""

    def __call__(self, work: Work, jail: Jail, **options: Any) -> Ran:
        """Builds and starts the program; returns when it has ended, or when its app answers or has failed.

        Never raises for what the program does.

        Raises:
            SandboxError: the jail, or what the environment needs, is not there.
        """
        ...
