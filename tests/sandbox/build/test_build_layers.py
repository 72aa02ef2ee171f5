"""What the warm layers lack, and what becomes of the folders that an installer leaves."""

import json
import os
import socket
from pathlib import Path

import pytest

from homespun.sandbox.build import own
from homespun.sandbox.build.lacking import lacking
from homespun.sandbox.environments.types import Layers
from homespun.sandbox.reply.types import Dependency, Kind


@pytest.fixture
def warm(tmp_path: Path) -> Layers:
    for name in ("numpy-2.4.6", "opencv_python_headless-4.14.0.94", "pygame_ce-2.5.8", "uvicorn-0.54.0"):
        (tmp_path / "python" / f"{name}.dist-info").mkdir(parents=True)
    for name, version in {"react": "18.3.1", "@vue/shared": "3.5.13"}.items():
        (tmp_path / "node" / name).mkdir(parents=True)
        (tmp_path / "node" / name / "package.json").write_text(json.dumps({"version": version}))
    (tmp_path / "node" / "odd").mkdir()
    (tmp_path / "node" / "odd" / "package.json").write_text("[]")
    return Layers(python=tmp_path / "python", node=tmp_path / "node")


@pytest.mark.parametrize(
    ("kind", "name", "version", "extras", "argument"),
    [
        ("python", "numpy", "latest", (), None),
        ("python", "numpy", ">=2,<3", (), None),
        ("python", "numpy", "==1.26.4", (), "numpy==1.26.4"),
        ("python", "opencv-python", "==4.5.0", (), None),
        ("python", "pygame", "==2.5.2", (), None),
        ("python", "psycopg2", "latest", (), "psycopg2-binary"),
        ("python", "uvicorn", "latest", ("standard",), "uvicorn[standard]"),
        ("python", "emoji", "~=2.0", (), "emoji~=2.0"),
        ("npm", "react", "latest", (), None),
        ("npm", "react", "@18", (), None),
        ("npm", "react", "@^18.2.0", (), None),
        ("npm", "react", "@17.0.2", (), "react@17.0.2"),
        ("npm", "react", "@next", (), "react@next"),
        ("npm", "@vue/shared", "@3.5", (), None),
        ("npm", "odd", "latest", (), "odd@latest"),
        ("npm", "left-pad", "latest", (), "left-pad@latest"),
    ],
)
def test_only_what_is_lacking_is_installed(
    warm: Layers, kind: Kind, name: str, version: str, extras: tuple[str, ...], argument: str | None
) -> None:
    found = lacking([Dependency(kind=kind, name=name, version=version, extras=extras)], warm)
    assert (found.python if kind == "python" else found.npm) == ((argument,) if argument else ())
    assert (found.npm if kind == "python" else found.python) == ()


@pytest.mark.parametrize(
    ("kind", "name", "version"),
    [
        ("npm", "../node/react", "latest"),
        ("npm", "react", "@file:../x"),
        ("npm", "--registry=http://x.invalid", "latest"),
        ("npm", "react", "@npm:other@1"),
        ("python", "--index-url", "latest"),
        ("python", "numpy", "@ https://x.invalid/numpy.whl"),
        ("python", "numpy", "===junk"),
        ("python", "./numpy", "latest"),
    ],
)
def test_what_is_no_package_never_becomes_an_argument(warm: Layers, kind: Kind, name: str, version: str) -> None:
    found = lacking([Dependency(kind=kind, name=name, version=version)], warm)
    assert len(found.refused) == 1
    assert found.python == found.npm == ()


def test_two_names_for_one_package_are_installed_once(warm: Layers) -> None:
    names = ("psycopg2", "psycopg2-binary")
    assert lacking([Dependency(kind="python", name=name) for name in names], warm).python == ("psycopg2-binary",)


def test_links_go_and_rights_are_made_plain(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "a" / "tool").write_text("x")
    (tmp_path / "a" / "tool").chmod(0o4777)
    (tmp_path / "a" / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    own.clean(tmp_path, most_bytes=100)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "tool"]
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "a" / "tool").stat().st_mode & 0o7777 == 0o755
    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize("kind", ["pipe", "socket", "large", "many"])
def test_what_is_no_folder_of_packages_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "x")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "x"))
    for number in range(4):
        (tmp_path / f"f{number}").write_bytes(b"x" * (90 if kind == "large" else 1))
    with pytest.raises(own.Unfit):
        own.clean(tmp_path, most_bytes=300, most_files=3 if kind == "many" else 10)


def test_layers_are_kept_by_name_and_the_oldest_go_first(tmp_path: Path) -> None:
    shelf = own.Shelf(tmp_path / "layers", most_bytes=250, keep_seconds=5)
    for age, key in enumerate("abcd"):
        packages = tmp_path / "made"
        packages.mkdir()
        (packages / "file").write_bytes(b"x" * 100)
        assert shelf.find(key) is None
        assert shelf.keep(key, packages) == shelf.find(key)
        os.utime(tmp_path / "layers" / key / own.STAMP, (age, age))
    assert shelf.find("a") is None or shelf.find("b") is not None
    again = tmp_path / "made"
    again.mkdir()
    assert (shelf.keep("d", again) / "file").exists()  # another was first: theirs stays


def test_a_layer_in_use_is_never_removed(tmp_path: Path) -> None:
    shelf = own.Shelf(tmp_path / "layers", most_bytes=1)
    for key in "ab":
        packages = tmp_path / "made"
        packages.mkdir()
        (packages / "file").write_bytes(b"x")
        shelf.keep(key, packages)
    assert shelf.find("a")
    assert shelf.find("b")
    os.utime(tmp_path / "layers" / "a" / own.STAMP, (0, 0))
    (tmp_path / "made").mkdir()
    shelf.keep("c", tmp_path / "made")
    assert shelf.find("a") is None
    assert shelf.find("b")
