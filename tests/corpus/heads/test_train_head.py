"""`homespun corpus train-head`, as its function."""

import json
from pathlib import Path

import polars as pl
import pytest

from homespun.cli.corpus_heads import train_head
from homespun.corpus.heads.head import load_head
from homespun.corpus.heads.training import Labels
from homespun.errors import ConfigError, DataError
from homespun.runs.tables import sha256


@pytest.fixture
def table(good: Labels, tmp_path: Path) -> Path:
    path = tmp_path / "labels.parquet"
    rows = [*range(150), *range(len(good.texts) // 2, len(good.texts) // 2 + 150)]
    pl.DataFrame(
        {"text": [good.texts[at] for at in rows], "label": good.label[rows], "lang": ["en"] * len(rows)}
        | {"group": [str(at % (len(good.texts) // 2)) for at in rows]}
    ).write_parquet(path)
    return path


def test_a_table_becomes_a_head(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "q.npz"
    train_head(table, kind="quality", out=out, licence="PSF-2.0", threshold=("en=0.7",), as_json=True)
    said = json.loads(capsys.readouterr().out)
    about = load_head(out, "quality").about
    assert said["labels"] == about.labels == 300
    assert set(said["held_out"]) == {"auroc", "accuracy", "base_rate"}
    for measured in said["held_out"].values():
        assert 0 <= measured["low"] <= measured["value"] <= measured["high"] <= 1
    assert said["held_out"]["auroc"]["value"] > 0.6
    assert (about.labels_sha256, about.licence, about.languages) == (sha256(table), "PSF-2.0", ("en",))
    assert about.thresholds == {"en": 0.7}
    assert about.embedder["kind"] == "hashed"


def test_people_get_a_table(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_head(table, kind="toxicity", out=tmp_path / "t.npz")
    captured = capsys.readouterr()
    assert "300 labels, measured on those held out" in captured.out
    assert "auroc" in captured.out
    assert load_head(tmp_path / "t.npz").about.embedder["lower"] is True


def test_a_dry_run_trains_nothing(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_head(table, kind="quality", out=tmp_path / "q.npz", dry=True)
    said = json.loads(capsys.readouterr().out)
    assert said["inputs"]["labels"]["sha256"] == sha256(table)
    assert said["config"]["training"]["shape"] == "linear"
    assert not (tmp_path / "q.npz").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": ("de",)}, "cannot read 'de'"),
        ({"threshold": ("de=2",)}, "cannot read"),
        ({"embedder": "xlm-r"}, "go together"),
        ({"encoder": Path("x")}, "go together"),
        ({"out": Path("q.pt")}, "suffix"),
    ],
)
def test_wrong_settings(table: Path, tmp_path: Path, change: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        train_head(table, **{"kind": "quality", "out": tmp_path / "q.npz", **change})


def test_wrong_tables(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    for text, said in (
        ("text,label\na,maybe\n", "not a number|neither"),
        ("text,label\na,\n", "no value"),
        ("words\na\n", "missing column"),
        ("text,label\na,1\nb,0\n", "rows with label"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            train_head(path, kind="quality", out=tmp_path / "q.npz")
