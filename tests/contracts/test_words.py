"""The repository speaks of the project alone, and no page goes out with a figure that was never filled in."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNFILLED = re.compile(r"\b(?:RESULT|NUMBER|FILL)_[A-Z0-9_]+\b|^RESULTS?$|\bTBD\b|\bLorem ipsum\b", re.MULTILINE)
FORBIDDEN = re.compile(r"\b(?:as an AI|AI assistant|language model assistant|copilot|helper agent|subagent)\b", re.I)


def pages() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "*.md", "*.py", "*.toml", "*.sh", "*.yml", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listing.splitlines() if "/data/" not in name and (ROOT / name).is_file()]


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in pages()
        if path != Path(__file__)
        for match in pattern.finditer(path.read_text())
    ]


def test_no_page_has_a_gap() -> None:
    assert found(UNFILLED) == []


def test_the_project_alone_is_spoken_of() -> None:
    assert found(FORBIDDEN) == []
