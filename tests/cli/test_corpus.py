"""`homespun corpus robots`: rows in, verdicts out."""

import json
from pathlib import Path

import pytest

from homespun.cli import main as cli

ROWS = [
    {"robots_txt": "User-agent: GPT\nDisallow: /a", "url": "https://x.example/a/b", "agent": "GPTBot"},
    {"robots_txt": None, "url": "https://y.example/", "agent": "GPTBot"},
]


def run(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    code = cli.run(["corpus", "robots", *tokens])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_modes_decide_and_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    said = {}
    for mode in ("paper", "rfc", "lenient"):
        code, out, err = run(capsys, str(cases), "--mode", mode, "--json")
        assert (code, err) == (0, "")
        rows = json.loads(out)["rows"]
        assert [list(row) for row in rows] == [["url", "agent", "allowed", "rule", "reason"]] * 2
        said[mode] = [row["allowed"] for row in rows]
        assert rows[1]["reason"] == "no robots file"
        if not rows[0]["allowed"]:
            assert rows[0]["rule"] == "line 2: Disallow: /a"
    assert said == {"paper": [False, True], "rfc": [True, True], "lenient": [False, True]}
    code, out, _ = run(capsys, str(cases))
    assert "1 of 2 refused, mode lenient" in out


@pytest.mark.parametrize(
    ("content", "word"),
    [("", "empty"), ('{"url": "x", "agent": "y"}\n', "robots_txt"), ('{"robots_txt": "x", "url": "y"}\n', "agent")],
)
def test_bad_tables_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, word: str) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text(content)
    code, out, err = run(capsys, str(cases))
    assert (code, out) == (2, "")
    assert word in err
    assert len(err.splitlines()) == 1
