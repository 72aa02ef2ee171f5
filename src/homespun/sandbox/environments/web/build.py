"""Builds a program into files, in the jail, by the Node scripts beside this module."""

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from homespun.errors import SandboxError
from homespun.records import JSON
from homespun.sandbox.environments.types import NODE_MODULES, OWN_NODE, Layers, Ran, Work
from homespun.sandbox.environments.web.snapshots import snapshot
from homespun.sandbox.jail.system import NODE
from homespun.sandbox.jail.types import Bind, Bounds, Jail, Job, Outcome

MOST_BYTES = 20 << 20
"""Size of a whole site."""
MOST_FILES = 500
MOST_TEXT = 8_000
"""Characters of a build's error text that are kept, and of all notes together."""
BUILD_SECONDS = 30.0
# Node reserves address space far beyond what it uses; esbuild's threads count as processes.
_MEMORY_MB = 1024
_PATH = re.compile(r"(?:[\w@~+-][\w@~+.-]{0,100}/){0,12}[\w@~+-][\w@~+.-]{0,150}")
_WARM = {"react": "apps", "vue": "apps", "page": "apps", "diagram": "diagram"}
_FOREIGN_SNAPSHOT = 14
"""Node's exit code where a snapshot comes from another processor or build of Node: then it starts without."""
_PACK = "site.pack"


class PackError(ValueError):
    """What a build left is no site; says why."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build gave: files, or the reason why there are none (``failed``)."""

    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    data: JSON = field(default_factory=dict[str, Any])
    """What the script tells besides; as hostile as the program."""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    failed: Ran | None = None
    seconds: float = 0.0


def build(work: Work, jail: Jail, order: JSON, sources: Mapping[str, bytes]) -> Built:
    """Runs one build.

    Args:
        work: The program's packages and bounds.
        jail: Where the build runs.
        order: What to build, for ``web/build.mjs``: its ``kind`` and what that takes.
        sources: Files of /work/src.

    Raises:
        SandboxError: the jail cannot be had.
    """
    warm = _snapshot(work.layers, jail, str(order["kind"]))
    outcome = jail.start(_job(work.layers, work.bounds, order, sources, warm)).wait()
    if outcome.exit_code == _FOREIGN_SNAPSHOT:
        outcome = jail.start(_job(work.layers, work.bounds, order, sources, None)).wait()
    if outcome.status != "ok":
        return Built(failed=_failed(outcome), seconds=outcome.seconds)
    try:
        files, notes, data = unpack(outcome.files.get(_PACK, b""))
    except PackError as error:
        return Built(failed=_failed(replace(outcome, status="failed", stderr=str(error))), seconds=outcome.seconds)
    return Built(files=files, notes=notes, data=data, seconds=outcome.seconds)


def prepare(layers: Layers, jail: Jail) -> None:
    """Makes the snapshots that builds start from, where they are not there yet; seconds each.

    Raises:
        SandboxError: one cannot be made.
    """
    for kind in ("react", "diagram"):
        _snapshot(layers, jail, kind)


def _snapshot(layers: Layers, jail: Jail, kind: str) -> Path | None:
    """The snapshot of Node that a kind of build starts from, made at its first use; None where it needs none."""
    if kind not in _WARM:
        return None
    return snapshot(layers.node, _WARM[kind], lambda: _make(layers, jail, _WARM[kind]))


def _make(layers: Layers, jail: Jail, name: str) -> bytes:
    """A snapshot, made of the warm packages alone."""
    bare = replace(layers, own_node=None)
    outcome = jail.start(_job(bare, Bounds(), {"kind": "warm", "name": name}, {}, None)).wait()
    if outcome.status != "ok":
        raise SandboxError(f"no snapshot of Node could be made: {outcome.stderr[-500:]}", "sandbox")
    return unpack(outcome.files.get(_PACK, b""))[0]["warm.blob"]


def _job(layers: Layers, bounds: Bounds, order: JSON, sources: Mapping[str, bytes], warm: Path | None) -> Job:
    binds = [Bind(outside=Path(__file__).parent, inside="/web"), Bind(outside=layers.node, inside=NODE_MODULES)]
    if layers.own_node is not None:
        binds.append(Bind(outside=layers.own_node, inside=OWN_NODE))
    argv = (NODE, "/web/build.mjs")
    if warm is not None:
        binds.append(Bind(outside=warm, inside="/warm.blob"))
        argv = (NODE, "--snapshot-blob", "/warm.blob", "/web/build.mjs")
    files = {f"src/{name}": content for name, content in sources.items()}
    bounds = replace(
        bounds,
        seconds=min(BUILD_SECONDS, bounds.seconds),
        memory_mb=max(_MEMORY_MB, bounds.memory_mb),
        disk_mb=max(64, bounds.disk_mb),
        output_bytes=1 << 18,
    )
    return Job(
        argv=argv,
        files={**files, "order.json": json.dumps(order).encode()},
        binds=tuple(binds),
        bounds=bounds,
        collect=(_PACK,),
    )


def _failed(outcome: Outcome) -> Ran:
    text = outcome.stderr.strip()
    if len(text) > MOST_TEXT:
        text = text[:MOST_TEXT] + f"\n… {len(text) - MOST_TEXT} more characters"
    return Ran(status=outcome.status, exit_code=outcome.exit_code, stderr=text, seconds=outcome.seconds)


def unpack(pack: bytes) -> tuple[dict[str, bytes], dict[str, str], JSON]:
    """Files, notes and data of a pack, each checked: the program may have written it itself.

    Raises:
        PackError: it is not what the build script writes, or too large.
    """
    if len(pack) < 4:
        raise PackError("the build left nothing")
    (size,) = struct.unpack_from(">I", pack)
    if size > len(pack) - 4 or size > 4 << 20:
        raise PackError("the build left a damaged pack")
    try:
        head = json.loads(pack[4 : 4 + size])
        entries = [(str(path), int(length)) for path, length in head["files"]]
        notes = _notes(head["notes"])
        data: JSON = dict(head["data"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PackError("the build left a damaged pack") from None
    return _files(entries, pack, 4 + size), notes, data


def _files(entries: list[tuple[str, int]], pack: bytes, at: int) -> dict[str, bytes]:
    if len(entries) > MOST_FILES:
        raise PackError(f"the app has {len(entries)} files; at most {MOST_FILES} are served")
    total = sum(length for _, length in entries)
    if any(length < 0 for _, length in entries) or total != len(pack) - at:
        raise PackError("the build left a damaged pack")
    if total > MOST_BYTES:
        raise PackError(f"the app has {total >> 20} MiB; at most {MOST_BYTES >> 20} MiB are served")
    files: dict[str, bytes] = {}
    for path, length in entries:
        if not _PATH.fullmatch(path) or path in files:
            raise PackError(f"the app has a file of an odd name: {path[:80]!r}")
        files[path] = pack[at : at + length]
        at += length
    return files


def _notes(raw: Mapping[str, Any]) -> dict[str, str]:
    notes: dict[str, str] = {}
    left = MOST_TEXT
    for key, value in raw.items():
        key, value = str(key)[:200], str(value)[:500]
        left -= len(key) + len(value)
        if left < 0:
            break
        notes[key] = value
    return notes
