"""Writes the lock files of the sandbox's warm packages; installs nothing.

requirements.lock pins every Python package with the hashes of all its wheels, so that the same file holds on other
machines; package-lock.json is npm's own, without addresses.
"""

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from homespun.sandbox.jail.system import node_folder
from homespun.sandbox.templates import place

PYTHON = "3.11.2"
INDEX = "https://pypi.org/simple"
HEAD = (
    f"# Made by tools/lock_templates.py from requirements.in for Python {PYTHON} on. Complete: install with --no-deps."
)
_LINK = re.compile(r"<a[^>]*href=\"[^\"#]*#sha256=([0-9a-f]{64})\"[^>]*>\s*([^<\s]+)\s*</a>")


def resolve() -> dict[str, str]:
    """Version by name, as pip would install them now."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "--quiet", "install", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--python-version", PYTHON, "--target", folder, "--report", report.name]
        subprocess.run([*command, "-r", str(place.REQUIREMENTS.with_suffix(".in"))], check=True)
        content = json.loads(Path(report.name).read_text())
    found = [item["metadata"] for item in content["install"]]
    return {canonicalize_name(item["name"]): item["version"] for item in found}


def hashes(name: str, version: str) -> list[str]:
    """SHA-256 of every wheel of one version, from the public index."""
    with urllib.request.urlopen(f"{INDEX}/{name}/", timeout=60) as answer:
        page = answer.read().decode()
    found: set[str] = set()
    for digest, filename in _LINK.findall(page):
        with suppress(InvalidWheelFilename):  # not a wheel, or one older than the rules for their names
            if str(parse_wheel_filename(filename)[1]) == version:
                found.add(digest)
    if not found:
        raise SystemExit(f"{name} {version}: the index names no wheel")
    return sorted(found)


def main() -> None:
    """Resolves and writes both."""
    lines = [HEAD]
    for name, version in sorted(resolve().items()):
        digests = hashes(name, version)
        lines += [f"{name}=={version} \\"]
        lines += [f"    --hash=sha256:{digest}" + (" \\" if digest != digests[-1] else "") for digest in digests]
    place.REQUIREMENTS.write_text("\n".join(lines) + "\n")
    node = node_folder()
    command = [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js"), "install"]
    command += ["--package-lock-only", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"]
    command += ["--omit-lockfile-registry-resolved"]
    subprocess.run(command, check=True, cwd=place.PACKAGES.parent)


if __name__ == "__main__":
    main()
