"""`homespun rank`: JSON with the promised keys, a table, a picture, errors of one line."""

import json
from pathlib import Path

import polars as pl
import pytest

from homespun.cli.main import run
from homespun.data import path

VOTES = str(path("llmfao/votes.parquet"))
KEYS = {"model", "rating", "low", "high", "rank", "votes"}


def told(capsys: pytest.CaptureFixture[str], *options: str) -> dict:
    assert run(["rank", VOTES, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_has_the_promised_rows(capsys) -> None:
    rows = told(capsys)["rows"]
    assert len(rows) == 59
    assert all(set(row) == KEYS for row in rows)
    assert [row["rank"] for row in rows] == list(range(1, 60))
    assert sum(row["votes"] for row in rows) == 2 * 8931
    assert sum(row["rating"] for row in rows) / 59 == pytest.approx(1000)


def test_groups_covariates_anchor_and_resamples(capsys) -> None:
    found = told(
        capsys, "--by", "topic", "--control", "characters,lines", "--anchor", "GPT 4=1200", "--bootstrap", "10"
    )
    assert {row["group"] for row in found["rows"]} == {"creativity", "instruct", "knowledge", "reflexion"}
    assert all(set(row) == KEYS | {"group", "median"} for row in found["rows"])
    assert {row["rating"] for row in found["rows"] if row["model"] == "GPT 4"} == {1200}
    assert [len(fit["style"]) for fit in found["fits"]] == [2] * 4


def test_the_table_tells_the_same(capsys) -> None:
    assert run(["rank", VOTES, "--method", "davidson", "--by", "topic"]) == 0
    out = capsys.readouterr().out
    assert out.split()[:7] == ["topic", "rank", "model", "rating", "low", "high", "votes"]
    assert "tie parameter of reflexion: " in out
    assert run(["rank", VOTES, "--control", "characters"]) == 0
    assert "covariate   points" in capsys.readouterr().out


@pytest.mark.slow
def test_the_picture_is_written_whole(capsys, tmp_path: Path) -> None:
    few = ["GPT 4", "GPT 3.5 Turbo", "Weaver 12k", "Koala (13B)", "command"]
    votes = pl.read_parquet(VOTES).filter(pl.col("model_a").is_in(few), pl.col("model_b").is_in(few))
    odd = votes.with_columns(pl.col("model_a", "model_b").replace({"GPT 4": "$\\frac{\n" + "x" * 99}))
    odd.write_parquet(tmp_path / "votes.parquet")
    for options in ([], ["--by", "topic"]):
        assert run(["rank", str(tmp_path / "votes.parquet"), "--plot", str(tmp_path / "deep" / "r.png"), *options]) == 0
        picture = (tmp_path / "deep" / "r.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 8_000
    assert [item.name for item in (tmp_path / "deep").iterdir()] == ["r.png"]


def test_dry_says_what_would_be_done(capsys) -> None:
    assert run(["rank", VOTES, "--dry"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["config"]["method"] == "bt"
    assert len(plan["inputs"]["votes"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--anchor", "GPT 4"], "homespun: --anchor: 'GPT 4' is not MODEL=VALUE"),
        (["--anchor", "GPT 4=much"], "homespun: --anchor: 'GPT 4=much' is not MODEL=VALUE"),
        (["--anchor", "GPT 9=1"], "homespun: --anchor: no vote has the model 'GPT 9'"),
        (["--by", "nothing"], "missing column 'nothing'"),
        (["--control", "nothing"], "missing column 'nothing_a', 'nothing_b'"),
        (["--control", "lines", "--method", "davidson"], "style control is not defined for davidson"),
        (["--setting", "environment"], "missing column 'environment_a', 'environment_b'"),
        (["--plot", "picture.gif"], "unknown picture format '.gif'"),
        (["--bootstrap", "2"], "2 resamples say nothing"),
        (["--method", "elo"], "elo"),
    ],
)
def test_every_error_is_one_line_and_exit_2(options, line, capsys) -> None:
    assert run(["rank", VOTES, *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert line in told.err
    assert len(told.err.splitlines()) == 1
