"""Files that go into a workspace and come back from it, whatever is there."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.errors import SandboxError
from homespun.sandbox.jail import files

NAME = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="/"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and name.isprintable()
)
PATHS = st.lists(NAME, min_size=1, max_size=4).map("/".join)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    number = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield number
    os.close(number)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@given(contents=st.dictionaries(PATHS, st.binary(max_size=50), max_size=6))
def test_what_goes_in_comes_back(contents: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("work")
    number = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    before = descriptors()
    try:
        files.write_all(number, contents)
    except SandboxError:  # one path is a folder of another
        parents = {"/".join(path.split("/")[:n]) for path in contents for n in range(1, path.count("/") + 1)}
        assert parents & set(contents)
    else:
        assert files.collect(number, ["*"]) == contents
    assert descriptors() == before
    os.close(number)


@pytest.mark.parametrize("path", ["", ".", "..", "/a", "a/", "a//b", "../a", "a/../../b", "./a", "a\0b"])
def test_no_path_leaves_the_workspace(folder: int, path: str) -> None:
    with pytest.raises(SandboxError, match="workspace"):
        files.write_all(folder, {path: b"x"})


def test_nothing_is_written_through_a_link(
    folder: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "file").symlink_to(elsewhere / "file")
    for path in ("link/a", "file"):
        with pytest.raises(SandboxError):
            files.write_all(folder, {path: b"x"})
    assert list(elsewhere.iterdir()) == []


def test_only_regular_files_within_bounds_come_back(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    (tmp_path / "a.txt").write_bytes(b"x" * 60)
    (tmp_path / "b.txt").write_bytes(b"x" * 60)
    (tmp_path / "c.txt").write_bytes(b"x" * 40)
    (tmp_path / "d.bin").write_bytes(b"x")
    os.mkfifo(tmp_path / "fifo.txt")
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "e.txt").touch()
    (tmp_path / "bad\n.txt").touch()
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.txt", os.O_CREAT))
    with open(tmp_path / "sparse.txt", "wb") as sparse:
        sparse.truncate(1 << 40)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "s.txt"))
    before = descriptors()
    assert sorted(files.collect(folder, ["*.txt"])) == ["a.txt", "c.txt"]
    assert files.collect(folder, []) == {}
    assert descriptors() == before


def test_a_large_or_deep_workspace_takes_bounded_work(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_ENTRIES", 50)
    for n in range(200):
        (tmp_path / f"{n:03d}").touch()
    assert len(files.collect(folder, ["*"])) <= 50
    monkeypatch.undo()
    at = tmp_path / "deep"
    for _ in range(20):
        at.mkdir()
        (at / "f.png").touch()
        at = at / "d"
    assert len(files.collect(folder, ["*.png"])) == files.MOST_DEPTH


def test_a_jail_that_was_never_made_has_no_workspace() -> None:
    read, write = os.pipe()
    os.close(write)
    assert files.told_pid(read) is None
    os.close(read)
    with subprocess.Popen(["true"]) as gone:
        pass
    assert files.open_work(gone.pid, "marker") is None
