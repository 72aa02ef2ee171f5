"""`homespun run-code`: replies and files in, one Execution out; bad input is one line."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homespun import data
from homespun.cli import main as cli

HOMESPUN = [sys.executable, "-m", "homespun.cli.main", "run-code"]


def call(folder: Path, *tokens: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """The command in a folder of its own."""
    environment = {**os.environ, "HOMESPUN_RUNS": str(folder / "runs")}
    return subprocess.run(
        [*HOMESPUN, *tokens], capture_output=True, text=True, input=stdin, cwd=folder, env=environment, timeout=120
    )


def execution(folder: Path, *tokens: str, stdin: str = "") -> dict[str, Any]:
    done = call(folder, *tokens, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.slow
def test_reply_is_read_run_and_kept(tmp_path: Path) -> None:
    reply = "Here it is:\n\n```python\nimport sys\nprint(6 * 7)\nprint('oh', file=sys.stderr)\nsys.exit(4)\n```\n"
    (tmp_path / "reply.md").write_text(reply)
    row = execution(tmp_path, "reply.md")
    keys = ["environment", "language", "dependencies", "status", "exit_code", "stdout", "stderr", "seconds"]
    assert list(row)[:8] == keys
    assert "screenshots" in row
    assert (row["environment"], row["language"], row["status"], row["exit_code"]) == (
        "interpreter",
        "python",
        "failed",
        4,
    )
    assert row["stdout"] == "42\n"
    assert "oh" in row["stderr"]
    (kept,) = (tmp_path / "runs" / "run-code").glob("reply-*/execution.json")
    assert json.loads(kept.read_text()) == row


@pytest.mark.slow
def test_page_is_looked_at(tmp_path: Path) -> None:
    row = execution(tmp_path, str(data.path("battles/replies/clock.loom.1.md")))
    assert (row["environment"], row["status"]) == ("core_web", "ok")
    assert len(row["screenshots"]) == 3
    assert row["blank"] == [False] * 3
    for place in row["screenshots"]:
        head = (tmp_path / place).read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", head[16:24]) == (1024, 1024)


@pytest.mark.slow
def test_standard_input_time_limit_and_check(tmp_path: Path) -> None:
    loop = "```c\nint main(void) { for (;;); }\n```"
    row = execution(tmp_path, "-", "--timeout", "1", stdin=loop)
    assert (row["status"], row["language"]) == ("timeout", "c")
    assert call(tmp_path, "-", "--timeout", "1", "--check", stdin=loop).returncode == 1


@pytest.mark.slow
def test_dry_run_tells_what_would_be_run(tmp_path: Path) -> None:
    (tmp_path / "plot.py").write_text("import cv2\nimport numpy as np\nprint(np.zeros(2))\n")
    done = call(tmp_path, "plot.py", "--dry")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {item["name"] for item in told["dependencies"]} == {"opencv-python", "numpy"}
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "tokens", "words"),
    [
        (None, [], ["No such file", "missing.md"]),
        (b"Just prose, nothing to run.", [], ["no program in it"]),
        (b"", [], ["no program in it"]),
        (b"\xff\xfe\x00print", [], ["not UTF-8 at byte 0"]),
        (b"print(1)\n" * 200_000, [], ["more than 1 MiB"]),
        (b"```python\nprint(1)\n```", ["--timeout", "0"], ["0 seconds", "--timeout"]),
        (b"```python\nprint(1)\n```", ["--memory", "1"], ["1 MiB", "--memory"]),
        (b"```python\nprint(1)\n```", ["--environment", "desktop"], ["desktop"]),
        (b"```python\nprint(1)\n```", ["--jail", "none"], ["none"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    content: bytes | None,
    tokens: list[str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMESPUN_RUNS", str(tmp_path / "runs"))
    if content is not None:
        Path("missing.md").write_bytes(content)
    assert cli.run(["run-code", "missing.md", *tokens]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert all(word in said.err for word in words), said.err
    assert not (tmp_path / "runs").exists()
