"""Control groups, version 1 or 2, where we may make them: memory, processes and weight of one job as a whole.

What is there is found by looking. Each controller that can be had is used; without the one for memory the job has
limits for each of its processes only (``limits.py``).
"""

import errno
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from homespun.sandbox.jail.types import Bounds

CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
"""The last one (version 1; version 2 counts time always) only where a driver asks for it."""
NAME = "homespun-"
OURS = 3
"""Processes of bwrap in the group beside the job's own."""
REMOVE_SECONDS = 2.0


@dataclass(frozen=True)
class Parent:
    """A folder below which we may make groups."""

    folder: Path
    home: Path
    """The group that we are in ourselves."""
    version: int


class Group:
    """The groups of one job: one folder per controller in version 1, one for all in version 2."""

    def __init__(self, parents: Mapping[str, Parent], bounds: Bounds) -> None:
        self._parents = parents
        name = f"{NAME}{os.getpid()}-{secrets.token_hex(6)}"
        self._folders = {controller: parent.folder / name for controller, parent in parents.items()}
        for folder in self._made():
            folder.mkdir(exist_ok=True)
        for controller, parent in parents.items():
            for file, value in settings(controller, parent.version, bounds):
                _write(self._folders[controller] / file, value)

    @property
    def limits_memory(self) -> bool:
        """Whether it bounds the job's memory."""
        return "memory" in self._folders

    def enter(self) -> None:
        """Moves the calling thread in, so that what it starts is in from the first instant (version 1).

        Moving another process costs a grace period of the kernel, some 10 ms; moving oneself costs nothing.
        """
        self._move("tasks", "0", 1)

    def leave(self) -> None:
        """Moves the calling thread back to where it came from."""
        for parent in self._parents.values():
            if parent.version == 1:
                _write(parent.home / "tasks", "0")

    def add(self, pid: int) -> None:
        """Moves a process in that has done nothing yet (version 2, which knows no threads apart)."""
        self._move("cgroup.procs", str(pid), 2)

    def ran_out(self) -> bool:
        """Whether the kernel has killed a process of the job for want of memory."""
        file = "memory.oom_control" if self._version("memory") == 1 else "memory.events"
        said = dict(line.split() for line in self._read("memory", file).splitlines() if len(line.split()) == 2)
        return int(said.get("oom_kill", "0")) > 0

    def peak_mb(self) -> float | None:
        """Most memory that the job had in use at once, MiB."""
        text = self._read("memory", "memory.max_usage_in_bytes" if self._version("memory") == 1 else "memory.peak")
        return int(text) / 2**20 if text.strip().isdigit() else None

    def used_seconds(self) -> float:
        """Processor time of the whole job so far; 0 where it is not counted."""
        if self._version("cpuacct") == 1:
            return int(self._read("cpuacct", "cpuacct.usage") or 0) / 1e9
        said = dict(line.split() for line in self._read("cpu", "cpu.stat").splitlines())
        return int(said.get("usage_usec", 0)) / 1e6

    def remove(self) -> None:
        """Removes the folders; the job has ended, but the kernel may take a moment to see it."""
        for folder in self._made():
            deadline = time.monotonic() + REMOVE_SECONDS
            while not _removed(folder) and time.monotonic() < deadline:
                time.sleep(0.002)

    def _made(self) -> set[Path]:
        return set(self._folders.values())

    def _version(self, controller: str) -> int:
        return self._parents[controller].version if controller in self._parents else 2

    def _move(self, file: str, who: str, version: int) -> None:
        for controller, folder in self._folders.items():
            if self._version(controller) == version:
                _write(folder / file, who)

    def _read(self, controller: str, file: str) -> str:
        try:
            return (self._folders[controller] / file).read_text()
        except (KeyError, OSError):
            return ""


def make(bounds: Bounds, *, time: bool = False) -> Group | None:
    """A group for one job, or None where we may make none; ``time``: whether it is to tell processor time."""
    usable = {name: parent for name, parent in parents().items() if time or name != "cpuacct"}
    return Group(usable, bounds) if usable else None


@cache
def parents(root: Path = Path("/proc/thread-self")) -> Mapping[str, Parent]:
    """Controller → where groups for it can be made; looked up once."""
    mounted = _mounted((root / "mountinfo").read_text())
    found: dict[str, Parent] = {}
    for line in (root / "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for kind, top, place in mounted:
            if names and kind != "cgroup2" and set(names.split(",")) <= set(kind.split(",")):
                home = place / os.path.relpath(path, top)
                found |= {
                    name: Parent(home, home, 1) for name in names.split(",") if name in CONTROLLERS and _usable(home)
                }
            elif not names and kind == "cgroup2":
                found = _second(place / os.path.relpath(path, top), place) | found
    for parent in found.values():
        _sweep(parent.folder)
    return found


def _mounted(table: str) -> list[tuple[str, str, Path]]:
    """(``cgroup2`` or the controllers, top of the hierarchy that is mounted, where) for each line of mountinfo."""
    rows: list[tuple[str, str, Path]] = []
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        top, place = before.split(" ")[3:5]
        if kind in ("cgroup", "cgroup2"):
            rows.append((options.split(" ")[-1] if kind == "cgroup" else kind, top, Path(place)))
    return rows


def _second(home: Path, mount: Path) -> dict[str, Parent]:
    """Version 2: below our own group if it may be divided, else beside it, where the controllers are on already."""
    for folder in (home, home.parent) if home != mount else (home,):
        try:
            offered = set((folder / "cgroup.controllers").read_text().split()) & set(CONTROLLERS)
            enabled = set((folder / "cgroup.subtree_control").read_text().split())
            if folder == home:
                for name in sorted(offered - enabled):
                    _write(folder / "cgroup.subtree_control", f"+{name}")
                enabled = set((folder / "cgroup.subtree_control").read_text().split())
        except OSError:
            continue
        if "memory" in offered & enabled and _usable(folder):
            return {name: Parent(folder, home, 2) for name in CONTROLLERS if name in offered & enabled}
    return {}


def _usable(folder: Path) -> bool:
    trial = folder / f"{NAME}{os.getpid()}-{secrets.token_hex(6)}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True


def _sweep(folder: Path) -> None:
    """Removes what processes left behind that were killed before they could."""
    for left in folder.glob(f"{NAME}*-*"):
        pid = left.name.removeprefix(NAME).split("-")[0]
        if not Path("/proc", pid).exists():
            _removed(left)


def settings(controller: str, version: int, bounds: Bounds) -> list[tuple[str, str]]:
    """(file, value) in the order of writing."""
    memory, processes = str(bounds.memory_mb << 20), str(bounds.processes + OURS)
    first: dict[str, list[tuple[str, str]]] = {
        "memory": [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)],
        "pids": [("pids.max", processes)],
        "cpu": [("cpu.shares", "1024")],
        "cpuacct": [],
    }
    second = {
        "memory": [("memory.max", memory), ("memory.swap.max", "0"), ("memory.oom.group", "1")],
        "pids": [("pids.max", processes)],
        "cpu": [("cpu.weight", "100")],
    }
    return (first if version == 1 else second)[controller]


def _write(file: Path, value: str) -> None:
    """Writes a setting; one that this kernel does not know (swap, where it does not count it) is passed over."""
    try:
        with open(file, "r+") as setting:
            setting.write(value)
    except FileNotFoundError:
        return


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        return error.errno != errno.EBUSY
    return True
