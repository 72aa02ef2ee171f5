"""The warm packages: the lock files are whole, an install is all or nothing, and everything in it can be used."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from homespun.cli.main import run
from homespun.errors import SandboxError
from homespun.sandbox import templates
from homespun.sandbox.environments.types import NODE_MODULES, PYTHON_PACKAGES
from homespun.sandbox.jail import jail, system
from homespun.sandbox.jail.types import Bind, Bounds, Job
from homespun.sandbox.templates import make, place, warm

PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+) \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)
MODULES = {
    **{name: name for name in ("altair", "gradio", "lxml", "networkx", "numpy", "openpyxl", "pandas", "pydantic")},
    **{name: name for name in ("requests", "rich", "scipy", "seaborn", "streamlit", "sympy", "tabulate", "tqdm")},
    "beautifulsoup4": "bs4",
    "matplotlib": "matplotlib.pyplot",
    "opencv-python-headless": "cv2",
    "pillow": "PIL.Image",
    "plotly": "plotly.express",
    "pygame-ce": "pygame",
    "python-dateutil": "dateutil",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn.linear_model",
}


def pins() -> dict[str, str]:
    return {found["name"]: found["version"] for found in PIN.finditer(place.REQUIREMENTS.read_text())}


def wanted() -> list[Requirement]:
    lines = place.REQUIREMENTS.with_suffix(".in").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_every_python_package_is_pinned_with_hashes() -> None:
    named = re.findall(r"^[\w.-]+==", place.REQUIREMENTS.read_text(), re.M)
    assert len(named) == len(pins()) == make.count("python")
    for requirement in wanted():
        assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_every_npm_package_is_pinned_with_a_hash_and_no_address() -> None:
    lock = json.loads(place.PACKAGES.read_text())
    asked = json.loads(place.PACKAGES.with_name("package.json").read_text())["dependencies"]
    packages = {path: row for path, row in lock["packages"].items() if path}
    assert lock["packages"][""]["dependencies"] == asked
    assert all(row["integrity"].startswith("sha512-") for row in packages.values() if not row.get("inBundle"))
    assert "://" not in json.dumps([row.get("resolved", "") for row in packages.values()])
    assert {f"node_modules/{name}" for name in asked} <= packages.keys()
    for name, version in {"react": "18.3.1", "vue": "3.5.13", "typescript": "5.6.3", "tailwindcss": "3.4.17"}.items():
        assert packages[f"node_modules/{name}"]["version"] == version  # as bigcodearena's templates have them


@pytest.mark.slow
def test_a_missing_template_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOMESPUN_TEMPLATES", str(tmp_path))
    with pytest.raises(SandboxError, match="homespun sandbox install"):
        templates.layers()
    assert run(["sandbox", "status", "--json"]) == 1


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Lock files of one tiny package each, fetched from a folder; nothing here reaches a network."""
    wheel = tmp_path / "wheels" / "tiny-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    files = {"tiny/__init__.py": "x = 1", "tiny/tests/test_x.py": "", "tiny/page.js.map": "{}"}
    files |= {"tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"}
    files |= {
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    }
    files |= {"tiny-1.0.dist-info/RECORD": "".join(f"{path},,\n" for path in files)}
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    locks = tmp_path / "locks"
    (locks / "node").mkdir(parents=True)
    (locks / "requirements.lock").write_text(f"tiny==1.0 \\\n    --hash=sha256:{digest}\n")
    (locks / "node" / "package.json").write_text('{"name": "t", "version": "1.0.0"}')
    lock = {"name": "t", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "t", "version": "1.0.0"}}}
    (locks / "node" / "package-lock.json").write_text(json.dumps(lock))
    monkeypatch.setattr(place, "REQUIREMENTS", locks / "requirements.lock")
    monkeypatch.setattr(place, "PACKAGES", locks / "node" / "package-lock.json")
    monkeypatch.setenv("HOMESPUN_TEMPLATES", str(tmp_path / "templates"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return wheel


@pytest.mark.slow
def test_an_install_is_all_or_nothing_and_goes_on_where_it_stopped(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[str] = []

    def node(scratch: Path) -> tuple[Path, tuple[str, ...]]:  # npm writes no folder for no packages
        made.append("node")
        (scratch / "node_modules" / "a").mkdir(parents=True)
        return scratch / "node_modules", make.NODE_WITHOUT

    monkeypatch.setattr(make, "_node", node)
    content = small.read_bytes()
    small.write_bytes(content + b"forged")
    with pytest.raises(SandboxError, match="HASHES"):
        templates.install(made.append)
    assert not [row for row in templates.state() if row["installed"]]
    small.write_bytes(content)
    folder = templates.install(made.append)
    assert made.count("node") == 1  # that half was whole
    layers = templates.layers()
    assert layers.python == folder / "python"
    names = {str(path.relative_to(layers.python)) for path in layers.python.rglob("*")}
    assert "tiny/__init__.py" in names
    assert any(name.endswith(".pyc") for name in names)
    assert not {"tiny/tests", "tiny/page.js.map"} & names
    assert warm.python_versions(layers.python) == {"tiny": "1.0"}
    shutil.rmtree(small.parent)
    capsys.readouterr()
    assert run(["sandbox", "install", "--json"]) == 0  # it is there: nothing is fetched
    assert json.loads(capsys.readouterr().out) == {"folder": str(folder), "installed": True}
    assert [path.name for path in place.root().iterdir() if not path.name.startswith(".")] == [folder.name]


@pytest.mark.slow
def test_no_network_is_told_in_a_line_without_the_password(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setattr(make, "_node", lambda scratch: (scratch, ()))
    with pytest.raises(SandboxError) as raised:
        templates.install(lambda _: None)
    assert "secret" not in str(raised.value)
    assert "network" in str(raised.value)


def test_a_full_disk_is_told_before_anything_is_fetched(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "NEEDED_MB", 1 << 40)
    with pytest.raises(SandboxError, match=r"only \d+ MB are free"):
        templates.install(lambda _: None)


@pytest.mark.slow
def test_all_that_is_warm_can_be_used_in_a_jail() -> None:
    assert MODULES.keys() == {canonicalize_name(requirement.name) for requirement in wanted()}
    layers = templates.layers()
    asked = json.loads(place.PACKAGES.with_name("package.json").read_text())["dependencies"]
    node = f"const names = {json.dumps(list(asked))};"
    node += "for (const name of names) require('fs').statSync('/node_modules/' + name + '/package.json');"
    node += "console.log(require('esbuild').transformSync('let a: number = 1', {loader: 'ts'}).code)"
    source = "import importlib, subprocess, json\n"
    source += f"for name in {sorted(MODULES.values())!r}: importlib.import_module(name)\n"
    source += "import cv2, numpy, matplotlib.pyplot as plt, pandas\n"
    source += "assert cv2.GaussianBlur(numpy.ones((9, 9)), (3, 3), 0).shape == (9, 9)\n"
    source += "plt.plot([1, 2]); plt.savefig('x.png'); pandas.DataFrame({'a': [1]}).to_html()\n"
    source += f"print(subprocess.check_output([{system.NODE!r}, 'main.cjs'], text=True))\n"
    job = Job(
        argv=(system.PYTHON, "main.py"),
        files={"main.py": source.encode(), "main.cjs": node.encode()},
        binds=(Bind(outside=layers.python, inside=PYTHON_PACKAGES), Bind(outside=layers.node, inside=NODE_MODULES)),
        variables={
            "PYTHONPATH": PYTHON_PACKAGES,
            "MPLBACKEND": "Agg",
            "MPLCONFIGDIR": "/tmp",
            "SDL_VIDEODRIVER": "dummy",
        },
        bounds=Bounds(memory_mb=2_048, seconds=120.0),
    )
    outcome = jail("bubblewrap").start(job).wait()
    assert outcome.status == "ok", outcome.stderr
    assert "let a = 1;" in outcome.stdout
