"""Every code block in README and docs runs as it stands, in a scratch folder. A block of output is marked `text`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUNS = {"python": [sys.executable, "-"], "bash": ["bash", "-euo", "pipefail", "-s"]}
SHOWN = {"text", "json", "diff", "toml"}
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(language, code, id=f"{page.relative_to(ROOT)}:{page.read_text()[: match.start()].count(chr(10)) + 1}")
    for page in PAGES
    for match in FENCE.finditer(page.read_text())
    for language, code in [match.groups()]
]


@pytest.mark.slow
@pytest.mark.parametrize(("language", "code"), BLOCKS)
def test_block_runs(language: str, code: str, tmp_path: Path) -> None:
    if language in SHOWN:
        return
    assert language in RUNS, f"a block of {language} is neither run nor shown"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        RUNS[language],
        input=code,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_there_are_blocks_to_run() -> None:
    assert sum(block.values[0] in RUNS for block in BLOCKS) >= 8
