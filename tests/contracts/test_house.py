"""Promises of the whole repository: small files, a light import, no path or word that belongs elsewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listing.splitlines() if (ROOT / name).is_file()]


def test_no_file_of_code_is_longer_than_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): n for path in tracked("*.py") if (n := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_import_is_light() -> None:
    script = "import homespun, sys, json; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    )
    heavy = {
        "torch",
        "transformers",
        "ray",
        "fastapi",
        "aiohttp",
        "openai",
        "sklearn",
        "scipy",
        "matplotlib",
        "xllamacpp",
    }
    assert heavy.isdisjoint(loaded)


def test_help_needs_no_heavy_library() -> None:
    script = (
        "import sys, json; from homespun.cli.main import run; code = run(['--help']);"
        "print(json.dumps([code, sorted(sys.modules)]))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    code, loaded = json.loads(out.splitlines()[-1])
    assert code == 0
    assert {"torch", "sklearn", "scipy", "matplotlib", "polars", "duckdb"}.isdisjoint(loaded)


def test_public_names_are_what_is_exported() -> None:
    import homespun

    assert len(homespun.__all__) == len(set(homespun.__all__))
    assert all(getattr(homespun, name) is not None for name in homespun.__all__)
    assert set(homespun.__all__) <= set(dir(homespun))
    with pytest.raises(AttributeError):
        _ = homespun.no_such_name  # type: ignore[attr-defined]


def test_repository_names_no_machine_and_no_registry_host() -> None:
    forbidden = re.compile(
        r"/work/(?:main/|shared|\.library)|/root/(?!\.bashrc)|/opt/(?:wheels|pypi)|pypi\.org|files\.pythonhosted|registry\.npmjs|deb\.debian"
    )
    # The registries' own public addresses are the default of whoever has set none.
    allowed = {"tests/contracts/test_house.py", ".gitignore", "tools/lock_templates.py"}
    allowed |= {"src/homespun/sandbox/build/registries.py", "tests/sandbox/build/test_build_registries.py"}
    found: dict[str, str] = {}
    for path in tracked():
        name = str(path.relative_to(ROOT))
        if name in allowed or "/data/" in name:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if match := forbidden.search(text):
            found[name] = match.group()
    assert found == {}


def test_every_shipped_folder_has_a_notice_and_right_checksums() -> None:
    from homespun import data

    root = ROOT / "src/homespun/data"
    folders = {path.relative_to(root).parts[0] for path in tracked("src/homespun/data/*/*")}
    assert folders == {path.parent.name for path in tracked("src/homespun/data/*/SOURCE.md")}
    checked = data.verify()
    assert sum(checked.values()) > 15


def test_the_two_commands_are_in_readme_and_ci() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme
    assert "make test" in readme
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_a_shipped_file_that_was_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from homespun import data
    from homespun.errors import DataError
    from homespun.runs.tables import sha256

    monkeypatch.setattr(data, "sha256", lambda path: "0" * 64 if path.name == "greedy.parquet" else sha256(path))
    with pytest.raises(DataError, match=r"recorded/greedy\.parquet"):
        data.verify()
