"""Where the warm packages are: one folder for each set of lock files, made once by ``homespun sandbox install``."""

import hashlib
import os
import platform
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "python" / "requirements.lock"
PACKAGES = Path(__file__).parent / "node" / "package-lock.json"
STAMP = "complete"
"""Written last: a folder without it is none."""
LAYOUT = 1
"""Raised when a template is laid out differently, so that the older ones are made anew."""


def root() -> Path:
    """The folder of all templates: ``$HOMESPUN_TEMPLATES``, or ``share/homespun/templates`` of the environment."""
    given = os.environ.get("HOMESPUN_TEMPLATES")
    return Path(given) if given else Path(sys.prefix, "share", "homespun", "templates")


def key() -> str:
    """Names the template that this code wants: a hash of the lock files, the Python and the kind of machine."""
    digest = hashlib.sha256(f"{LAYOUT} {sys.version_info[:2]} {platform.machine()} {sys.platform}".encode())
    for file in (REQUIREMENTS, PACKAGES, PACKAGES.with_name("package.json")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def template() -> Path:
    """The folder of the template that this code wants, whether it is there or not."""
    return root() / key()
