"""`homespun doctor`: is everything here that the work needs, and what to do where it is not."""

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from homespun import __version__
from homespun.cli.output import Json, Runs, show_json, show_rows
from homespun.errors import HomespunError


class Check(NamedTuple):
    """One thing that was looked at. ``ok=None``: optional and absent."""

    name: str
    ok: bool | None
    found: str
    hint: str


def doctor(*, runs: Runs = None, as_json: Json = False) -> int:
    """Check this machine: sandbox, data, libraries, folders. Exit code 1 when something needed is missing.

    Args:
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        as_json: Print one JSON object.
    """
    checks = [_python(), _sandbox(), _data(), _folder(runs), *_optional()]
    rows: list[dict[str, Any]] = [check._asdict() for check in checks]
    healthy = all(check.ok is not False for check in checks)
    if as_json:
        show_json({"rows": rows, "ok": healthy, "version": __version__})
    else:
        marks = {True: "ok", False: "MISSING", None: "optional"}
        show_rows([row | {"ok": marks[row["ok"]]} for row in rows], {"name": "", "ok": "", "found": "", "hint": ""})
    return 0 if healthy else 1


def _python() -> Check:
    enough = sys.version_info >= (3, 11)
    return Check(
        "python",
        enough,
        f"{platform.python_version()}, {os.cpu_count()} cores",
        "" if enough else "Python 3.11 or newer",
    )


def _sandbox() -> Check:
    from homespun.sandbox import Pool, Program

    if shutil.which("bwrap") is None:
        return Check("sandbox", False, "bubblewrap is not installed", "apt install bubblewrap")

    def works() -> str:
        with Pool(workers=1) as pool:
            execution = pool.run(Program(id="doctor", source="answer = 6 * 7"))
        if execution.value != "42":
            raise HomespunError(f"a program that computes 42 came back {execution.status}", "bubblewrap")
        return "bubblewrap runs programs"

    return _attempt("sandbox", works, "unprivileged user namespaces, or root")


def _data() -> Check:
    from homespun import data

    def intact() -> str:
        checked = data.verify()
        return f"{sum(checked.values())} files of {len(checked)} data sets, checksums right"

    return _attempt("data", intact, "reinstall homespun")


def _folder(runs: Path | None) -> Check:
    from homespun.runs.run import root_folder

    folder = root_folder(runs).absolute()
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = os.access(nearest, os.W_OK)
    free = shutil.disk_usage(nearest).free / 2**30
    return Check(
        "runs", writable, f"{folder} ({free:.0f} GiB free)", "" if writable else "--runs DIR, or HOMESPUN_RUNS"
    )


def _optional() -> list[Check]:
    wanted = {
        "local model": ("xllamacpp", "pip install 'homespun[local]'"),
        "embeddings": ("transformers", "pip install 'homespun[embed]'"),
    }
    return [
        Check(
            name,
            True if importlib.util.find_spec(module) else None,
            module,
            "" if importlib.util.find_spec(module) else hint,
        )
        for name, (module, hint) in wanted.items()
    ]


def _attempt(name: str, action: Callable[[], str], hint: str) -> Check:
    try:
        return Check(name, True, action(), "")
    except (HomespunError, OSError) as error:
        return Check(name, False, str(error), hint)
