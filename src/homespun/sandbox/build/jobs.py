"""What the installers are told, and what they say when it fails."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from homespun.errors import SandboxError
from homespun.sandbox.build.proxy import BASE, PORT, Budget
from homespun.sandbox.environments.types import PYTHON_PACKAGES, Layers
from homespun.sandbox.jail import system
from homespun.sandbox.jail.types import Bind, Bounds, Gate, Job, Outcome
from homespun.sandbox.reply.types import Kind

BOUNDS = Bounds(seconds=180.0, cpu_seconds=180, memory_mb=1536, processes=256, disk_mb=768)
_DEPS = "/deps"
_INSTALL = Path(__file__).parent / "inside" / "install_python.py"
_NPM = {
    "npm_config_registry": f"{BASE}/npm/",
    "npm_config_cache": "/tmp/npm",
    "npm_config_update_notifier": "false",
    "npm_config_fetch_retries": "1",
}
_NPM_OPTIONS = ("--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--no-bin-links", "--no-save")
_MISSING = re.compile(
    r"No matching distribution found for (?P<python>[^\s(]{1,200})"
    r"|404 +Not Found - GET \S*/npm/(?P<npm>\S{1,214})"
    r"|No matching version found for (?P<version>[^\s(]{1,200}?)\.?(?=\s|$)"
)


def install(kind: Kind, specs: tuple[str, ...], output: Path, socket: Path, layers: Layers, bounds: Bounds) -> Job:
    """The job that installs ``specs`` into ``output`` by way of the proxy at ``socket``.

    Raises:
        SandboxError: pip is not there.
    """
    return (_python_job if kind == "python" else _npm_job)(specs, output, socket, layers, bounds)


def _python_job(specs: tuple[str, ...], output: Path, socket: Path, layers: Layers, bounds: Bounds) -> Job:
    pip = find_spec("pip")
    if pip is None or pip.origin is None:
        raise SandboxError("pip is not installed, so no package can be added", "sandbox", "python -m ensurepip")
    return Job(
        argv=(system.PYTHON, "install.py", f"{BASE}/pypi/simple", "/out/python", *specs),
        files={"install.py": _INSTALL.read_bytes()},
        binds=(
            Bind(outside=layers.python, inside=PYTHON_PACKAGES),
            Bind(outside=Path(pip.origin).parent, inside=f"{_DEPS}/pip"),
        ),
        variables={"PYTHONPATH": f"{_DEPS}:{PYTHON_PACKAGES}", "PIP_CONFIG_FILE": "/dev/null"},
        bounds=bounds,
        gate=Gate(socket=socket, port=PORT, direction="out"),
        output=output,
    )


def _npm_job(specs: tuple[str, ...], output: Path, socket: Path, layers: Layers, bounds: Bounds) -> Job:
    return Job(
        argv=(system.NODE, system.NPM, "install", "--prefix", "/out", *_NPM_OPTIONS, "--", *specs),
        variables=_NPM,
        bounds=bounds,
        gate=Gate(socket=socket, port=PORT, direction="out"),
        output=output,
    )


class Failure(NamedTuple):
    """Why there is no layer, in a line, and the package that cannot be had if that is why."""

    text: str
    missing: str | None = None


def failure(kind: Kind, specs: tuple[str, ...], outcome: Outcome, budget: Budget) -> Failure | None:
    """Why an install has failed, in a line; None if it has not.

    Raises:
        SandboxError: the jail did not start.
    """
    if outcome.status == "ok":
        return None
    if outcome.status == "unavailable":
        raise SandboxError(f"the build's jail did not start: {outcome.stderr.strip()[-300:]}", "sandbox")
    if outcome.status != "failed":
        return Failure(f"{kind}: the install met its bound on {'time' if outcome.status == 'timeout' else 'memory'}")
    said = f"{outcome.stdout}\n{outcome.stderr}"
    found = _MISSING.search(said)
    if found is not None:
        missing = next(part for part in found.groups() if part)
        return Failure(f"{kind}: there is no {missing} that can be installed", missing)
    refused = next((line for line in budget.refusals if not line.startswith("404")), None)
    last = next((line for line in reversed(said.splitlines()) if line.strip()), f"exit code {outcome.exit_code}")
    wanted = " ".join(specs)[:200]
    return Failure(f"{kind}: {wanted} could not be installed: {(refused or last).strip()[:300]}")
