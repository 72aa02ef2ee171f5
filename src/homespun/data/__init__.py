"""What ships with the package: recorded answers, problem sets, outcomes of routing and prices.

Each folder holds a ``SOURCE.md`` (where it comes from, what was changed, checksums) and the licence text that
lets it ship.
"""

import re
from importlib import resources
from pathlib import Path

from homespun.errors import ConfigError, DataError
from homespun.runs.tables import sha256

_CHECKSUM = re.compile(r"[0-9a-f]{64}")


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


def verify() -> dict[str, int]:
    """Compares every shipped file with the checksum in its folder's SOURCE.md.

    Returns:
        Files checked, by folder.

    Raises:
        DataError: a file differs; the text names it.
    """
    checked: dict[str, int] = {}
    for notice in sorted(Path(str(resources.files(__name__))).glob("*/SOURCE.md")):
        rows = [[cell.strip() for cell in line.split("|")] for line in notice.read_text().splitlines()]
        wanted = {row[1]: row[-2] for row in rows if len(row) > 3 and _CHECKSUM.fullmatch(row[-2])}
        found = {name: notice.parent / name for name in wanted if (notice.parent / name).exists()}
        for name, file in found.items():
            if sha256(file) != wanted[name]:
                raise DataError(
                    "the file is not the one that was shipped", f"{notice.parent.name}/{name}", "reinstall homespun"
                )
        checked[notice.parent.name] = len(found)
    return checked
