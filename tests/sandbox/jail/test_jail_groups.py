"""Control groups of both versions, found by looking; the second against a tree of plain files."""

import os
import subprocess
from pathlib import Path

import pytest

from homespun.sandbox.jail import groups
from homespun.sandbox.jail.types import Bounds

BOUNDS = Bounds(memory_mb=64, processes=10)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A unified hierarchy with our process in /service, whose controllers its parent has turned on."""
    (tmp_path / "fs" / "service").mkdir(parents=True)
    for folder, enabled in ((tmp_path / "fs", "cpu memory pids"), (tmp_path / "fs" / "service", "")):
        (folder / "cgroup.controllers").write_text("cpu io memory pids\n")
        (folder / "cgroup.subtree_control").write_text(enabled)
    (tmp_path / "mountinfo").write_text(
        f"30 23 0:26 / {tmp_path}/fs rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n24 1 8:1 / / rw - ext4 /dev/vda rw\n"
    )
    (tmp_path / "cgroup").write_text("0::/service\n")
    return tmp_path


def test_version_two_is_used_beside_us_where_we_may_not_divide(second: Path) -> None:
    (second / "fs" / "service" / "cgroup.controllers").write_text("")
    found = groups.parents(second)
    assert sorted(found) == ["cpu", "memory", "pids"]
    assert {(one.folder, one.version) for one in found.values()} == {(second / "fs", 2)}


def test_version_two_is_used_below_us_where_we_may(second: Path) -> None:
    (second / "fs" / "service" / "cgroup.subtree_control").write_text("memory pids cpu")
    assert {one.folder for one in groups.parents(second).values()} == {second / "fs" / "service"}


def test_a_group_of_version_two(second: Path) -> None:
    (second / "fs" / "service" / "cgroup.controllers").write_text("")
    group = groups.Group(groups.parents(second), BOUNDS)
    assert group.limits_memory
    (made,) = (second / "fs").glob("homespun-*")
    (made / "cgroup.procs").touch()  # a kernel's tree has its files from the beginning
    group.add(4711)
    group.enter()  # of version one only
    assert (made / "cgroup.procs").read_text() == "4711"
    (made / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n")
    assert not group.ran_out()
    (made / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n")
    assert group.ran_out()
    (made / "memory.peak").write_text(f"{32 << 20}\n")
    assert group.peak_mb() == 32
    (made / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    assert group.used_seconds() == 1.5


def test_settings_of_version_two() -> None:
    said = {file: value for name in ("memory", "pids", "cpu") for file, value in groups.settings(name, 2, BOUNDS)}
    assert said == {
        "memory.max": str(64 << 20),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": str(10 + groups.OURS),
        "cpu.weight": "100",
    }


def test_no_hierarchy_no_group(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("24 1 8:1 / / rw - ext4 /dev/vda rw\n")
    (tmp_path / "cgroup").write_text("0::/\n")
    assert groups.parents(tmp_path) == {}


def test_version_one_of_a_container(tmp_path: Path) -> None:
    """The mounted part of the hierarchy begins at our own group; two controllers share one."""
    for name in ("memory", "cpu,cpuacct"):
        (tmp_path / name).mkdir()
    (tmp_path / "mountinfo").write_text(
        f"30 23 0:26 /docker/1 {tmp_path}/memory rw - cgroup cgroup rw,memory\n"
        f"31 23 0:27 /docker/1 {tmp_path}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    )
    (tmp_path / "cgroup").write_text("4:cpu,cpuacct:/docker/1\n3:memory:/docker/1\n2:pids:/elsewhere\n")
    assert {name: one.folder.name for name, one in groups.parents(tmp_path).items()} == {
        "memory": "memory",
        "cpu": "cpu,cpuacct",
        "cpuacct": "cpu,cpuacct",
    }


def test_what_a_dead_process_left_is_swept(second: Path) -> None:
    (second / "fs" / "service" / "cgroup.controllers").write_text("")
    with subprocess.Popen(["true"]) as process:
        dead = process.pid
    left, live = second / "fs" / f"homespun-{dead}-aa", second / "fs" / f"homespun-{os.getpid()}-aa"
    left.mkdir()
    live.mkdir()
    groups.parents(second)
    assert not left.exists()
    assert live.exists()


@pytest.mark.skipif("memory" not in groups.parents(), reason="no control group may be made here")
def test_a_real_group_comes_and_goes() -> None:
    group = groups.make(BOUNDS, time=True)
    assert group is not None
    folders = [one for p in groups.parents().values() for one in p.folder.glob(f"homespun-{os.getpid()}-*")]
    assert folders
    group.enter()
    group.leave()
    assert not group.ran_out()
    group.remove()
    assert not any(folder.exists() for folder in folders)
