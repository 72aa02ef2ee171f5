"""Builds in a real jail, from a registry of our own: hostile packages stay harmless, good ones are kept."""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homespun.sandbox.build import Builder
from homespun.sandbox.build.proxy import Budget
from homespun.sandbox.environments.types import Layers
from homespun.sandbox.jail import jail
from homespun.sandbox.reply.types import Dependency

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, registry: Any) -> Layers:
    """A warm layer with one package of each kind, which the registry does not have."""
    folder = tmp_path_factory.mktemp("warm")
    info = folder / "python" / "warmth-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: warmth\nVersion: 1.5\n")
    (info / "INSTALLER").write_text("pip\n")
    (info / "RECORD").write_text("")
    (folder / "node" / "@warm" / "node").mkdir(parents=True)
    (folder / "node" / "@warm" / "node" / "package.json").write_text('{"version": "8.0.0"}')
    folder.chmod(0o755)
    return Layers(python=folder / "python", node=folder / "node")


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory, registry: Any, warm: Layers) -> Iterator[Builder]:
    made = Builder(
        warm,
        cache=tmp_path_factory.mktemp("cache"),
        jail=jail("bubblewrap"),
        registries=registry.registries,
        layer_bytes=1 << 20,
    )
    yield made
    made.close()


def python(name: str, version: str = "latest") -> Dependency:
    return Dependency(kind="python", name=name, version=version)


def npm(name: str, version: str = "latest") -> Dependency:
    return Dependency(kind="npm", name=name, version=version)


def test_a_package_comes_with_what_it_needs_but_not_with_what_is_warm(builder: Builder, registry: Any) -> None:
    registry.add_wheel("leaf", "1.0", registry.wheel("leaf", "1.0", {"leaf.py": b"x = 1"}))
    branch = registry.wheel("branch", "2.0", {"branch.py": b"import leaf"}, ("leaf", "warmth>=1"))
    registry.add_wheel("branch", "2.0", branch)
    built = builder.build([python("branch"), python("warmth")])
    assert built.failed is None
    assert built.own_node is None
    assert built.own_python is not None
    names = {path.name for path in built.own_python.iterdir()}
    assert {"leaf.py", "branch.py"} <= names
    assert not any("warmth" in name for name in names)
    registry.asked.clear()
    again = builder.build([python("warmth"), python("branch")])
    assert again.own_python == built.own_python
    assert registry.asked == []


def test_no_install_script_runs_and_no_link_stays(builder: Builder, registry: Any) -> None:
    link = tarfile.TarInfo("package/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    out = tarfile.TarInfo("../../outside")
    device = tarfile.TarInfo("package/device")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
    script = "touch /out/node_modules/hostile/ran"
    package = b'{"name": "hostile", "version": "1.0.0", "scripts": {"postinstall": "%s"}}' % script.encode()
    files = {"package/package.json": package, "package/index.js": b"1"}
    content = registry.tarball(files, (link, out, device))
    registry.add_npm("hostile", "1.0.0", content, scripts={"postinstall": script}, hasInstallScript=True)
    built = builder.build([npm("hostile")])
    assert built.failed is None
    assert built.own_node is not None
    left = sorted(str(path.relative_to(built.own_node)) for path in built.own_node.rglob("*"))
    assert left == ["hostile", "hostile/index.js", "hostile/package.json"]


def test_a_wheel_that_leaves_its_folder_is_refused(builder: Builder, registry: Any) -> None:
    registry.add_wheel("climber", "1.0", registry.wheel("climber", "1.0", {"../../../out/evil.py": b"x = 1"}))
    built = builder.build([python("climber")])
    assert built.own_python is None
    assert built.failed is not None
    assert "climber" in built.failed


def test_nothing_of_a_source_package_runs(builder: Builder, registry: Any) -> None:
    registry.pages["/simple/source/"] = (
        "text/html",
        b'<a href="/files/source-1.0.tar.gz#sha256=00">source-1.0.tar.gz</a>',
    )
    built = builder.build([python("source")])
    assert built.failed == "python: there is no source that can be installed"


def test_a_version_that_cannot_be_had_gives_way_to_the_warm_one(builder: Builder, registry: Any) -> None:
    registry.add_npm("@warm/node", "9.0.0", registry.tarball({"package/package.json": b"{}"}))
    registry.add_npm("beside", "1.0.0", registry.tarball({"package/package.json": b"{}"}))
    built = builder.build([python("warmth", "==0.1"), npm("@warm/node", "@7.0.0"), npm("beside")])
    assert built.failed is None
    assert built.notes["warmth==0.1"] == "cannot be installed; the warm 1.5 is used"
    assert built.notes["@warm/node@7.0.0"] == "cannot be installed; the warm 8.0.0 is used"
    assert built.own_python is None
    assert built.own_node is not None
    assert [path.name for path in built.own_node.iterdir()] == ["beside"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (python("nowhere"), "there is no nowhere"),
        (python("leaf", "==9.9"), "there is no leaf==9.9"),
        (npm("nowhere"), "there is no nowhere"),
        (npm("--registry=http://127.0.0.1:1"), "registry"),
    ],
)
def test_what_does_not_exist_is_told_in_a_line(builder: Builder, registry: Any, wanted: Dependency, told: str) -> None:
    registry.add_wheel("leaf", "1.0", registry.wheel("leaf", "1.0", {"leaf.py": b"x = 1"}))
    built = builder.build([wanted])
    assert built.failed is not None
    assert told in built.failed
    assert "\n" not in built.failed


def test_a_forged_file_is_never_installed(builder: Builder, registry: Any) -> None:
    registry.add_wheel("forged", "1.0", registry.wheel("forged", "1.0", {"forged.py": b""}), sha="1" * 64)
    built = builder.build([python("forged")])
    assert built.own_python is None
    assert built.failed is not None
    assert "hash" in built.failed


def test_a_layer_that_grows_too_large_is_thrown_away(builder: Builder, registry: Any) -> None:
    registry.add_npm(
        "bloat", "1.0.0", registry.tarball({"package/package.json": b"{}", "package/x": b"\0" * (2 << 20)})
    )
    built = builder.build([npm("bloat")])
    assert built.own_node is None
    assert built.failed is not None
    assert "larger than 1 MiB" in built.failed


def test_the_budget_holds_inside_the_jail(registry: Any, warm: Layers, tmp_path: Path) -> None:
    registry.add_wheel("twig", "1.0", registry.wheel("twig", "1.0", {"twig.py": b"x = 1"}))
    registry.add_wheel("bough", "2.0", registry.wheel("bough", "2.0", {"bough.py": b""}, ("twig",)))
    made = Builder(
        warm, cache=tmp_path, jail=jail("bubblewrap"), registries=registry.registries, budget=lambda: Budget(names=1)
    )
    built = made.build([python("bough")])
    made.close()
    assert built.own_python is None
    assert "too many packages" in built.log
    assert not list((tmp_path / "building").iterdir())


def test_gvisor_builds_too(registry: Any, warm: Layers, tmp_path: Path) -> None:
    registry.add_npm("deep", "1.0.0", registry.tarball({"package/package.json": b"{}"}))
    made = Builder(warm, cache=tmp_path, jail=jail("gvisor"), registries=registry.registries)
    built = made.build([npm("deep")])
    made.close()
    assert built.failed is None
    assert built.own_node is not None
    assert (built.own_node / "deep" / "package.json").exists()
