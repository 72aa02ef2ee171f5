"""Makes the template: pip and npm fetch what the lock files pin, with their hashes; no install script runs.

Each half is built beside its place and renamed when it is whole, then the stamp is written, then the folder gets its
name: an install that was killed goes on with the half that is missing, and nobody ever sees half a template.
"""

import compileall
import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from py_compile import PycInvalidationMode

from homespun.errors import SandboxError
from homespun.sandbox.environments.types import PYTHON_PACKAGES
from homespun.sandbox.jail.system import node_folder
from homespun.sandbox.templates import fonts, place

NEEDED_MB = 3_000
"""Free space that an install needs at its height, MB."""
SECONDS = 1_800.0
PYTHON_WITHOUT = ("**/*.map", "**/tests", "bin", "share", "gradio/templates/node", "gradio/_frontend_code")
"""Taken away after the install: source maps, the packages' own tests, their commands, and Gradio's server in Node."""
NODE_WITHOUT = ("**/*.map", ".bin", "phaser/types", "phaser/plugins", "phaser/src")
_SAYS = re.compile(r"^(?:ERROR:|npm (?:error|ERR!))\s*(?P<text>(?!code |A complete log|Could not find a v).+)$", re.M)
_SECRET = re.compile(r"//[^/@\s]+@")
Progress = Callable[[str], None]


def install(progress: Progress) -> Path:
    """Makes the template unless it is there, and returns its folder.

    Args:
        progress: Is told each step as one line.

    Raises:
        SandboxError: the disk is too full, a package could not be fetched, or Node is missing.
    """
    wanted = place.template()
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        with open(wanted.parent / f".{wanted.name}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("another install is at work; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not (wanted / place.STAMP).exists():
                _make(wanted, progress)
            fonts.make(wanted / "python")
    except OSError as error:
        raise _failure(error.strerror or str(error), wanted.parent, error.errno == errno.ENOSPC) from error
    progress(f"ready: {wanted}")
    return wanted


def _make(wanted: Path, progress: Progress) -> None:
    free = shutil.disk_usage(wanted.parent).free // 1_000_000
    if free < NEEDED_MB:
        raise _failure(f"only {free} MB are free", wanted.parent, full=True)
    building = wanted.parent / f".{wanted.name}.building"
    building.mkdir(exist_ok=True)
    halves = {"python": _python, "node/node_modules": _node}
    left = {name: make for name, make in halves.items() if not (building / name).exists()}
    with ThreadPoolExecutor(len(halves)) as pool:
        for done in [pool.submit(_half, building, name, make, progress) for name, make in left.items()]:
            done.result()
    (building / place.STAMP).touch()
    shutil.rmtree(wanted, ignore_errors=True)
    building.rename(wanted)


def _half(building: Path, name: str, make: Callable[[Path], tuple[Path, tuple[str, ...]]], progress: Progress) -> None:
    kind = name.split("/")[0]
    started = time.monotonic()
    progress(f"{kind}: fetching {count(kind)} packages")
    scratch = building / f".{kind}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    made, without = make(scratch)
    for pattern in without:
        for found in list(made.glob(pattern)):
            shutil.rmtree(found) if found.is_dir() and not found.is_symlink() else found.unlink(missing_ok=True)
    if kind == "python":
        progress("python: compiling")
        _compile(made)
    (building / name).parent.mkdir(exist_ok=True)
    made.rename(building / name)
    shutil.rmtree(scratch)
    progress(f"{kind}: done in {time.monotonic() - started:.0f} s")


def count(kind: str) -> int:
    """How many packages the lock file of ``kind`` (python or node) pins."""
    if kind == "python":
        return len(re.findall(r"^[\w.-]+==", place.REQUIREMENTS.read_text(), re.M))
    return place.PACKAGES.read_text().count('"node_modules/')


def _python(scratch: Path) -> tuple[Path, tuple[str, ...]]:
    target = scratch / "packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--root-user-action", "ignore", "--only-binary", ":all:", "--no-deps", "--require-hashes"]
    command += ["--no-compile", "--target", str(target), "-r", str(place.REQUIREMENTS)]
    _run(command, scratch, dict(os.environ))
    return target, PYTHON_WITHOUT


def _node(scratch: Path) -> tuple[Path, tuple[str, ...]]:
    node = node_folder()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(place.PACKAGES.with_name(name), scratch)
    command = [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js"), "ci"]
    command += ["--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error"]
    _run(command, scratch, {**os.environ, "PATH": f"{node / 'bin'}:{os.environ.get('PATH', '')}"})
    return scratch / "node_modules", NODE_WITHOUT


def _run(command: list[str], folder: Path, variables: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise _failure(f"it took more than {SECONDS:g} s", folder.parent, full=False) from error
    if done.returncode != 0:
        said = done.stderr + done.stdout
        lines = _SAYS.findall(said) or said.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise _failure(
            _SECRET.sub("//", str(lines[0]))[:300], folder.parent, "No space left" in said or "ENOSPC" in said
        )


def _compile(folder: Path) -> None:
    """Byte code for what runs from a folder that nobody can write: without it every start would compile anew."""
    compileall.compile_dir(
        folder,
        quiet=2,
        workers=2,
        stripdir=str(folder),
        prependdir=PYTHON_PACKAGES,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def _failure(what: str, folder: Path, full: bool) -> SandboxError:
    where = f"free {NEEDED_MB} MB there, or set HOMESPUN_TEMPLATES to a folder with more room"
    hint = (
        where if full else "look at the network and at pip's and npm's registry settings, then homespun sandbox install"
    )
    return SandboxError(f"the warm packages could not be installed: {what}", str(folder), hint)
