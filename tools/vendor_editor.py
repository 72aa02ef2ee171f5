"""Rebuilds what the battle room's page ships of others: the editor (CodeMirror) and the Markdown lexer (marked).

The sources are pinned by ``tools/editor/package-lock.json``; esbuild bundles each entry into one minified ES module
under ``static/vendor/``, with the licences of everything that went in. With ``--check`` nothing is written and the exit
status tells whether what is there is what the lock makes.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "tools" / "editor"
VENDOR = ROOT / "src" / "homespun" / "serve" / "battle_room" / "static" / "vendor"
ENTRIES = {"entry.js": "editor.js", "markdown.js": "marked.js"}
FLAGS = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none", "--charset=utf8")


def build(folder: Path) -> dict[str, bytes]:
    """The files of the vendor folder by name.

    Args:
        folder: A scratch folder in which npm installs the sources.

    Raises:
        subprocess.CalledProcessError: npm or esbuild failed.
    """
    for name in ("package.json", "package-lock.json", *ENTRIES):
        shutil.copy(SOURCE / name, folder / name)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True
    )
    made: dict[str, bytes] = {}
    packages: set[str] = set()
    for entry, name in ENTRIES.items():
        command = ["node_modules/.bin/esbuild", entry, *FLAGS, f"--outfile=out/{name}", "--metafile=meta.json"]
        subprocess.run([*command, "--log-level=warning"], cwd=folder, check=True)
        inputs = json.loads((folder / "meta.json").read_text())["inputs"]
        packages |= {_package(path) for path in inputs if path.startswith("node_modules/")}
        made[name] = (folder / "out" / name).read_bytes()
    return made | {"LICENCES": _licences(folder, sorted(packages)).encode()}


def _package(path: str) -> str:
    parts = path.removeprefix("node_modules/").split("/")
    return "/".join(parts[:2]) if parts[0].startswith("@") else parts[0]


def _licences(folder: Path, packages: list[str]) -> str:
    texts: dict[str, list[str]] = {}
    for name in packages:
        home = folder / "node_modules" / name
        about = json.loads((home / "package.json").read_text())
        text = next(path for path in sorted(home.iterdir()) if path.name.upper().startswith(("LICENSE", "LICENCE")))
        texts.setdefault(text.read_text().strip(), []).append(f"{name} {about['version']} ({about['license']})")
    parts = ["\n".join(names) + "\n\n" + text for text, names in texts.items()]
    return ("\n\n" + "-" * 80 + "\n\n").join(parts) + "\n"


def main() -> None:
    """Writes the vendor folder, or checks it."""
    parser = argparse.ArgumentParser(description="Rebuild the battle room's vendored modules.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something differs")
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        made = build(Path(scratch))
    if check:
        differs = [name for name, content in made.items() if (VENDOR / name).read_bytes() != content]
        raise SystemExit(f"differs from what the lock makes: {', '.join(differs)}" if differs else 0)
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (VENDOR / name).write_bytes(content)


if __name__ == "__main__":
    main()
