"""Installs what a program wants beyond the warm packages, in a jail whose only way out is the registry proxy."""

import hashlib
import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from homespun.errors import SandboxError
from homespun.sandbox.build import own
from homespun.sandbox.build.cache import sweep
from homespun.sandbox.build.lacking import lacking
from homespun.sandbox.build.proxy import BASE, PORT, Budget, Outlet
from homespun.sandbox.build.registries import Registries
from homespun.sandbox.environments.types import PYTHON_PACKAGES, Layers
from homespun.sandbox.jail import system
from homespun.sandbox.jail.types import Bind, Bounds, Gate, Jail, Job, Outcome, Running
from homespun.sandbox.reply.types import Dependency, Kind

BOUNDS = Bounds(seconds=180.0, cpu_seconds=180, memory_mb=1536, processes=256, disk_mb=768)
LAYER_BYTES = 500 << 20
"""Largest layer."""
POLL_SECONDS = 0.5
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


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a program can use beside the warm layers."""

    own_python: Path | None = None
    own_node: Path | None = None
    log: str = ""
    """What the installers said."""
    seconds: float = 0.0
    notes: dict[str, str] = field(default_factory=dict[str, str])
    """Package → what was decided about it."""
    failed: str | None = None
    """Why it could not be built, in one line; the program may still be run on what there is."""


class Builder:
    """Builds layers, one job each, and keeps them: the same wish again costs nothing.

    Args:
        layers: The warm layers.
        cache: Folder for what was fetched and built; made if it is not there.
        jail: What isolates the installers.
        registries: Where packages come from; what pip and npm are set to, by default.
        bounds: Of one job.
        layer_bytes: Largest layer.
        budget: Makes the budget of one build.
    """

    def __init__(
        self,
        layers: Layers,
        *,
        cache: Path,
        jail: Jail,
        registries: Registries | None = None,
        bounds: Bounds = BOUNDS,
        layer_bytes: int = LAYER_BYTES,
        budget: Callable[[], Budget] = Budget,
    ) -> None:
        self._layers, self._jail, self._bounds, self._most = layers, jail, bounds, layer_bytes
        self._registries, self._budget, self._cache = registries, budget, cache.resolve()
        self._scratch = self._cache / "building"
        self._scratch.mkdir(parents=True, exist_ok=True)
        sweep(self._scratch)
        self._shelf = own.Shelf(self._cache / "layers")
        self._outlet: Outlet | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Ends the proxy."""
        with self._lock:
            if self._outlet is not None:
                self._outlet.close()
            self._outlet = None

    def _way_out(self) -> Outlet:
        """The proxy; made when the first build wants it, for most programs lack nothing, and pip and npm are slow."""
        with self._lock:
            if self._outlet is None:
                self._registries = self._registries or Registries.configured()
                self._outlet = Outlet(self._registries, self._cache / "registry")
            return self._outlet

    def build(self, dependencies: Sequence[Dependency]) -> Built:
        """Installs what the warm layers lack of ``dependencies``. Blocks; may be called from several threads.

        A package that does not exist, or cannot be installed, is told in ``failed``.

        Raises:
            SandboxError: the jail, pip or npm is not there.
        """
        started = time.monotonic()
        wanted = lacking(dependencies, self._layers)
        notes, logs, failures = dict(wanted.notes), list[str](), list(wanted.refused)
        made: dict[Kind, Path | None] = {"python": None, "npm": None}
        wishes: tuple[tuple[Kind, tuple[str, ...]], ...] = (("python", wanted.python), ("npm", wanted.npm))
        for kind, specs in wishes:
            if not specs:
                continue
            outlet = self._way_out()
            name = [outlet.scope, str(self._layers.python), str(self._layers.node), kind, specs]
            key = hashlib.sha256(json.dumps(name).encode()).hexdigest()[:24]
            layer = self._shelf.find(key)
            notes |= dict.fromkeys(specs, "installed for this program" + (", kept from before" if layer else ""))
            if layer is None:
                layer, log, failed = self._install(kind, specs, key, outlet)
                logs.append(log)
                failures += [failed] if failed else []
            made[kind] = layer
        return Built(
            own_python=made["python"],
            own_node=made["npm"],
            log="\n".join(log for log in logs if log),
            seconds=time.monotonic() - started,
            notes=notes,
            failed="; ".join(failures) or None,
        )

    def _install(
        self, kind: Kind, specs: tuple[str, ...], key: str, outlet: Outlet
    ) -> tuple[Path | None, str, str | None]:
        budget = self._budget()
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        sockets = Path(tempfile.mkdtemp(prefix="homespun-build-"))  # short: a socket's path has at most 107 bytes
        try:
            output = folder / "out"
            output.mkdir()
            output.chmod(0o777)
            socket = sockets / "registry"
            job = (_python_job if kind == "python" else _npm_job)(specs, output, socket, self._layers, self._bounds)
            with outlet.serve(socket, budget):
                outcome, large = self._watched(self._jail.start(job), output)
            log = "\n".join(part.strip() for part in (outcome.stdout, outcome.stderr, *budget.refusals) if part.strip())
            failed = large or _failure(kind, specs, outcome, budget)
            layer = None if failed else self._kept(kind, output, key)
            return layer, log, failed
        except own.Unfit as error:
            return None, str(error), f"{kind}: {error}"
        finally:
            shutil.rmtree(sockets, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)

    def _watched(self, running: Running, output: Path) -> tuple[Outcome, str | None]:
        """Waits for the job, and ends it when what it installs grows too large."""
        done = threading.Event()
        large: list[str] = []

        def watch() -> None:
            while not done.wait(POLL_SECONDS):
                if own.size_of(output) > self._most:
                    large.append(f"the packages are larger than {self._most >> 20} MiB")
                    running.kill()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            outcome = running.wait()
        finally:
            done.set()
            watcher.join()
        return outcome, large[0] if large else None

    def _kept(self, kind: Kind, output: Path, key: str) -> Path:
        packages = output / ("python" if kind == "python" else "node_modules")
        if packages.is_symlink():
            raise own.Unfit("the packages are a link to somewhere else")
        packages.mkdir(exist_ok=True)  # nothing was lacking after all: next time we know
        for name in ("bin", ".bin", ".package-lock.json"):
            place = packages / name
            place.unlink() if place.is_symlink() or place.is_file() else shutil.rmtree(place, ignore_errors=True)
        packages.chmod(0o755)
        own.clean(packages, most_bytes=self._most)
        return self._shelf.keep(key, packages)


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


def _failure(kind: Kind, specs: tuple[str, ...], outcome: Outcome, budget: Budget) -> str | None:
    if outcome.status == "ok":
        return None
    if outcome.status == "unavailable":
        raise SandboxError(f"the build's jail did not start: {outcome.stderr.strip()[-300:]}", "sandbox")
    if outcome.status != "failed":
        return f"{kind}: the install met its bound on {'time' if outcome.status == 'timeout' else 'memory'}"
    said = f"{outcome.stdout}\n{outcome.stderr}"
    missing = _MISSING.search(said)
    if missing is not None:
        return f"{kind}: there is no {next(part for part in missing.groups() if part)} that can be installed"
    refused = next((line for line in budget.refusals if not line.startswith("404")), None)
    last = next((line for line in reversed(said.splitlines()) if line.strip()), f"exit code {outcome.exit_code}")
    return f"{kind}: {' '.join(specs)[:200]} could not be installed: {(refused or last).strip()[:300]}"
