"""Matplotlib's list of the system's fonts, made once: without it each jail looks at every font anew, half a second.

Programs get a copy at the start (`environments/python/fonts.py`), since Matplotlib wants its folder for itself. A font
that is gone since makes it look anew, so an old list costs time and no program its picture.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from homespun.sandbox.environments.types import FONTS

SECONDS = 120.0


def make(packages: Path) -> None:
    """Puts the list beside the packages, unless it is there or Matplotlib is not; its failure is nobody's."""
    wanted = packages / FONTS
    if wanted.exists() or not (packages / "matplotlib").is_dir():
        return
    with tempfile.TemporaryDirectory(dir=packages.parent, prefix=".fonts-") as scratch:
        made = Path(scratch, "made")
        made.mkdir()
        variables = {"PATH": os.defpath, "HOME": scratch, "MPLCONFIGDIR": str(made), "PYTHONPATH": str(packages)}
        # nobody's own fonts: a jail sees those of the system alone; -P and -S: nor anybody's own packages
        command = [sys.executable, "-P", "-S", "-B", "-c", "import matplotlib.font_manager"]
        try:
            subprocess.run(command, env=variables, cwd=scratch, capture_output=True, timeout=SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return
        if any(made.glob("fontlist-*.json")):
            made.rename(wanted)
