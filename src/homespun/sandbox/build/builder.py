"""Installs what a program wants beyond the warm packages, in a jail whose only way out is the registry proxy."""

import hashlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from homespun.sandbox.build import jobs, own
from homespun.sandbox.build.cache import sweep
from homespun.sandbox.build.lacking import lacking, name_of, warm_instead
from homespun.sandbox.build.proxy import Budget, Outlet
from homespun.sandbox.build.registries import Registries
from homespun.sandbox.environments.types import Layers
from homespun.sandbox.jail.types import Bounds, Jail, Outcome, Running
from homespun.sandbox.reply.types import Dependency, Kind

LAYER_BYTES = 500 << 20
"""Largest layer."""
POLL_SECONDS = 0.5


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
        bounds: Bounds = jobs.BOUNDS,
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
            left = specs
            while left:
                made[kind], log, failure = self._layer(kind, left)
                logs.append(log)
                missing = failure.missing if failure else None
                warm = warm_instead(kind, missing, self._layers) if missing else None
                if failure is None or missing is None or warm is None:
                    failures += [failure.text] if failure else []
                    break
                notes[missing] = f"cannot be installed; the warm {warm} is used"
                left = tuple(spec for spec in left if name_of(kind, spec) != name_of(kind, missing))
            notes |= dict.fromkeys(left, "installed for this program")
        return Built(
            own_python=made["python"],
            own_node=made["npm"],
            log="\n".join(log for log in logs if log),
            seconds=time.monotonic() - started,
            notes=notes,
            failed="; ".join(failures) or None,
        )

    def _layer(self, kind: Kind, specs: tuple[str, ...]) -> tuple[Path | None, str, jobs.Failure | None]:
        """The layer, what the installer said, and why there is no layer."""
        outlet = self._way_out()
        name = [outlet.scope, str(self._layers.python), str(self._layers.node), kind, specs]
        key = hashlib.sha256(json.dumps(name).encode()).hexdigest()[:24]
        layer = self._shelf.find(key)
        if layer is not None:
            return layer, f"kept from before: {' '.join(specs)}", None
        budget = self._budget()
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        sockets = Path(tempfile.mkdtemp(prefix="homespun-build-"))  # short: a socket's path has at most 107 bytes
        try:
            output = folder / "out"
            output.mkdir()
            output.chmod(0o777)
            socket = sockets / "registry"
            job = jobs.install(kind, specs, output, socket, self._layers, self._bounds)
            with outlet.serve(socket, budget):
                outcome, large = self._watched(self._jail.start(job), output)
            log = "\n".join(part.strip() for part in (outcome.stdout, outcome.stderr, *budget.refusals) if part.strip())
            failure = jobs.Failure(f"{kind}: {large}") if large else jobs.failure(kind, specs, outcome, budget)
            return None if failure else self._kept(kind, output, key), log, failure
        except own.Unfit as error:
            return None, str(error), jobs.Failure(f"{kind}: {error}")
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
