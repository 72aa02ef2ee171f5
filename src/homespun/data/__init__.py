"""What ships with the package: recorded answers, problem sets, outcomes of routing and prices.

Each folder holds a ``SOURCE.md`` (where it comes from, what was changed, checksums) and the licence text that
lets it ship.
"""

from importlib import resources
from pathlib import Path

from homespun.errors import ConfigError


def path(name: str) -> Path:
    """Path of a shipped file or folder, such as ``"recorded/greedy.parquet"``.

    Args:
        name: Path below ``homespun/data``, with forward slashes.

    Raises:
        ConfigError: nothing of that name ships.
    """
    root = Path(str(resources.files(__name__)))
    found = (root / name).resolve()
    if not found.is_relative_to(root.resolve()) or not found.exists():
        folders = ", ".join(sorted(item.name for item in root.iterdir() if (item / "SOURCE.md").exists()))
        raise ConfigError(f"nothing called {name!r} ships", "homespun.data", f"a path in one of: {folders}")
    return found
