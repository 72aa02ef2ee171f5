"""Makes the pictures of the battle room's guide: plays the browser tests and saves what they see.

Each environment's battle is seen while it is played with, in light; the page's own pictures are of the start, the code
editor, the vote's end and the leaderboard, some of them dark, one narrow. Takes a minute or two.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "docs" / "assets" / "arena"


def main() -> None:
    """Runs the tests with a place for pictures."""
    PLACE.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "tests/serve/battle_room/browser"]
    raise SystemExit(
        subprocess.run(command, cwd=ROOT, env=os.environ | {"ARENA_PICTURES": str(PLACE)}, check=False).returncode
    )


if __name__ == "__main__":
    main()
