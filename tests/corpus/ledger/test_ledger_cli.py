"""`homespun corpus why|report|opt-out`: answers for people, JSON for programs, one line for mistakes."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from homespun.cli import main as cli
from homespun.runs.run import open_run


def run(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    code = cli.run(["corpus", *tokens])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_why_in_words_and_as_json(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "why", "https://c.example/2")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "web/0.jsonl#2 left at robots: its site's robots file refuses GPTBot, CCBot"
    assert f"run          corpus/{corpus.name}" in out
    code, out, _ = run(capsys, "why", "0.jsonl#5", "--run", corpus.name, "--json")
    said = json.loads(out)
    assert (code, said["id"], said["kept"], said["tokens"]["file"]) == (0, "web/0.jsonl#5", True, "tokens/00000.bin")
    _, out, _ = run(capsys, "why", "0.jsonl#5")
    assert f"tokens       tokens/00000.bin, {said['tokens']['start']} to {said['tokens']['stop']}" in out


@pytest.mark.parametrize(
    ("tokens", "code", "words"),
    [
        (["why", "nothing"], 2, "no document is called"),
        (["why", "web/"], 2, "could be 11 documents"),
        (["why", "x", "--run", "nothing"], 2, "no run called"),
        (["report", "nothing"], 2, "no run called"),
        (["report", "web", "--plot", "x.pdf"], 2, "picture format"),
        (["opt-out", "web", "--robots", "no-such-file.parquet"], 2, "no-such-file.parquet"),
        (["opt-out", "web"], 2, "robots"),
    ],
)
def test_mistakes_are_one_line(
    corpus: Path, capsys: pytest.CaptureFixture[str], tokens: list[str], code: int, words: str
) -> None:
    said, out, err = run(capsys, *tokens)
    assert (said, out) == (code, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_report_as_tables_json_and_picture(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "report", corpus.name, "--plot", str(tmp_path / "r.png"))
    assert (code, err) == (0, "")
    assert out.startswith(f"corpus/{corpus.name}: 4 of 11 documents, ")
    lines = [line.split() for line in out.splitlines()]
    assert ["robots", "10", "2", "18.2%", "8"] in [line[:5] for line in lines]
    assert ["dedup", "near", "1", "9.09%", "5"] in lines
    assert ["GPTBot", "2", "20.00%", "1"] in lines
    assert ["lenient", "2", "20.00%", "at", "least"] in lines
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"
    _, out, _ = run(capsys, "report", corpus.name, "--json")
    said = json.loads(out)
    assert list(said) == [
        "run", "totals", "filters", "reasons", "languages", "filters_by_language", "agents", "agents_by_language",
        "modes",
    ]  # fmt: skip
    assert said["totals"]["kept"]["documents"] == 4


def test_opt_out_says_what_left_and_what_was_made_of_it(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    robots = tmp_path / "robots.parquet"
    refuses = "User-agent: CCBot\nDisallow: /\n"
    pl.DataFrame({"host": ["a.example", "d.example"], "content": [refuses, None]}).write_parquet(robots)
    with open_run("pretrain", "small", config={}, inputs=[corpus / "tokens" / "00000.bin"]) as model:
        model.write("losses", pl.DataFrame({"loss": [1.0]}))
        model.finish()
    code, out, err = run(capsys, "opt-out", corpus.name, "--robots", str(robots), "--dry")
    assert (code, err) == (0, "")
    plan = json.loads(out)
    assert plan["forecast"] == {"dollars": 0.0, "documents": 3, "shards": 1}
    assert plan["config"]["policy"]["mode"] == "rfc"
    code, out, err = run(capsys, "opt-out", corpus.name, "--robots", str(robots), "--workers", "1")
    assert code == 0
    assert out.startswith("3 documents left, 1 stay: corpus/web-opted-out-")
    assert f"pretrain/{model.path.name}" in out
    assert f"corpus/{corpus.name} still holds what left" in err
    code, out, _ = run(capsys, "opt-out", corpus.name, "--robots", str(robots), "--json")
    said: dict[str, Any] = json.loads(out)
    assert (said["opted_out"], said["kept"], said["again"]) == (3, 1, True)
    assert [item["run"] for item in said["made"]] == [f"pretrain/{model.path.name}"]
    code, out, _ = run(capsys, "opt-out", corpus.name, "--robots", str(robots), "--agents", "AI2Bot, GPTBot", "--json")
    assert json.loads(out)["opted_out"] == 0


def test_nothing_from_the_web_steers_the_terminal(make: Any, doc: Any, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "a\x1b[2J\x9b31m\u202e\r\n"
    make([[doc(f"{nasty}{n}", url=f"https://x/{nasty}", lang=nasty, left=(nasty, nasty, nasty)) for n in range(2)]])
    for tokens in (["why", f"{nasty}1"], ["why", "a"], ["why", "b"], ["report", "web"]):
        _, out, err = run(capsys, *tokens)
        assert out or err
        assert all(letter.isprintable() or letter == "\n" for letter in out + err)
