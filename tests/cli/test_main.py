"""The command line's manners: one line of error, the right exit code, nothing on stdout."""

import subprocess
import sys

import pytest

from homespun.cli import main as cli
from homespun.errors import BudgetError, DataError, HomespunError


def run(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    code = cli.run(list(tokens))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "tokens",
    [
        ["bogus"],
        ["grade"],
        ["grade", "--problems"],
        ["grade", "--problems", "no.parquet", "--completions", "no.parquet"],
        ["grade", "--problems", "a.parquet", "--completions", "b.parquet", "--mode", "guess"],
        ["calibrate", "--samples", "no.parquet"],
        ["calibrate", "--samples", "no.parquet", "--verdicts", "no.parquet"],
        ["route", "fit", "--outcomes", "no.parquet", "--out", "x"],
        ["route", "eval", "--router", "nowhere", "--outcomes", "no.parquet"],
        ["route", "fit", "--colour", "blue"],
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    tokens: list[str], capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *tokens)
    lines = err.splitlines()
    assert code == 2
    assert out == ""
    assert len(lines) == 1
    assert "try:" in lines[0]
    assert lines[0].startswith("homespun: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code"), [(DataError("bad"), 2), (BudgetError("dear"), 1), (RuntimeError("oops\nmore"), 1)]
)
def test_every_error_is_one_line(error: Exception, code: int, capsys, monkeypatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    got, out, err = run(capsys, "demo")
    assert (got, out, len(err.splitlines())) == (code, "", 1)


def test_error_text_names_where_and_what_to_try() -> None:
    assert str(HomespunError("no such\nfile", "a.csv", "check it")) == "a.csv: no such file; try: check it"


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in cli.VERBS:
        code, out, _ = run(capsys, verb, "--help")
        assert code == 0
        assert f"homespun {verb}" in out


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    command = f"{sys.executable} -m homespun.cli.main --help | head -c 1; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode == 0
