"""The verbs: from tables to a tokenizer to its report."""

import json
from pathlib import Path

import polars as pl
import pytest

from homespun.cli.corpus_tokenizer import app
from homespun.corpus.documents import documents
from homespun.corpus.shards import ShardWriter
from homespun.errors import ConfigError, DataError


def call(*words: str | Path) -> None:
    app([str(word) for word in words], result_action="return_value")


@pytest.fixture
def tables(texts: list[tuple[str, str]], dev: list[tuple[str, str]], tmp_path: Path) -> tuple[Path, Path]:
    train, parallel = tmp_path / "train.jsonl", tmp_path / "dev.csv"
    pl.DataFrame(texts, schema=["lang", "text"], orient="row").write_ndjson(train)
    pl.DataFrame(dev, schema=["lang", "text"], orient="row").write_csv(parallel)
    return train, parallel


def test_the_fair_one_is_fairer(tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, dev = tables
    call("train", train, "--vocab", "600", "--out", tmp_path / "plain", "--json")
    call("train", train, "--vocab", "600", "--parity", dev, "--out", tmp_path / "fair", "--json")
    plain, fair = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert plain["vocab"] == fair["vocab"] == 600
    assert sum(fair["merges_for"].values()) == 600 - 288
    options = ("--tokenizer", tmp_path / "plain", "--tokenizer", tmp_path / "fair", "--plot", tmp_path / "bars.png")
    call("report", dev, *options, "--json")
    said = json.loads(capsys.readouterr().out)
    assert [row["tokenizer"] for row in said["rows"]] == ["plain", "fair"]
    assert said["rows"][1]["gini"] < said["rows"][0]["gini"]
    assert said["differences"][0]["gini_high"] < 0
    assert len(said["languages"]) == 6
    assert (tmp_path / "bars.png").stat().st_size > 1000
    call("report", dev, *options[:4], "--by-language")
    shown = capsys.readouterr().out
    assert "40 lines in 3 languages" in shown
    assert "Gini of fair less plain: -" in shown


def test_a_runs_documents_can_be_learnt_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [["aa bb"] * 5, [], ["aa cc"] * 5]
    for shard, said in enumerate(texts):
        batch = documents({"id": [str(at) for at in range(len(said))], "text": said})
        with ShardWriter(tmp_path / "documents" / f"{shard:05d}.parquet", batch.schema) as writer:
            writer.append(batch)
    call("train", tmp_path / "documents", "--vocab", "300", "--out", tmp_path / "out")
    assert "293 tokens" in capsys.readouterr().out  # "aa" in one merge, " bb" and " cc" in two each


def test_dry_trains_nothing(tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("train", tables[0], "--parity", tables[1], "--vocab", "999", "--out", tmp_path / "out", "--dry")
    said = json.loads(capsys.readouterr().out)
    assert said["config"] == {"vocab": 999, "nfc": True, "parity": True, "global_merges": 0, "window": 0, "alpha": 2.0}
    assert len(said["inputs"]) == 2
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_learnt_from_is_refused(tables: tuple[Path, Path], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    with pytest.raises(ConfigError, match="parity-aware"):
        call("train", tables[0], "--window", "5", *out)
    with pytest.raises(ConfigError, match="12 tokens"):
        call("train", tables[0], "--vocab", "12", *out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no tables in this folder"):
        call("train", tmp_path / "empty", *out)
    (tmp_path / "bare.jsonl").write_text('{"text": "words"}\n')
    with pytest.raises(DataError, match="missing column 'lang'"):
        call("train", tmp_path / "bare.jsonl", "--parity", tables[1], *out)
    (tmp_path / "other.jsonl").write_text('{"words": "words"}\n')
    with pytest.raises(DataError, match="missing column 'text'"):
        call("train", tmp_path / "other.jsonl", *out)
    with pytest.raises(DataError, match=r"no tokenizer\.json"):
        call("report", tables[1], "--tokenizer", tmp_path / "none")
