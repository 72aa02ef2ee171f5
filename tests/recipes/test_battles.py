"""Battles between recorded programs: judged by running them, ranked, and a few shown as people would see them."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from homespun import data
from homespun.recipes.battle_page import add_battles
from homespun.recipes.battles import Battles, Shown, battle
from homespun.runs.report import Page

FEW = Battles(num_battles=120, shown=())


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.mark.slow
def test_votes_say_what_the_recorded_grades_say(tmp_path: Path) -> None:
    fought = battle(FEW, progress=quiet, root=tmp_path)
    votes = pl.read_parquet(fought.folder / "votes.parquet")
    assert votes.height == fought.votes == 120
    assert votes["id"].is_unique().all()
    assert set(votes["winner"]) == {"model_a", "model_b", "tie", "both_bad"}
    assert votes["propensity"].is_between(1 / 15 - 1e-9, 1 / 15 + 1e-9).all()
    graded = pl.read_parquet(data.path("recorded/greedy.parquet")).filter(
        (pl.col("dataset") == "gsm8k") & (pl.col("strategy") == "pot")
    )
    assert {row["model"] for row in fought.rows} <= set(graded["model"])
    order = [row["model"] for row in sorted(fought.rows, key=lambda row: row["rank"])]
    assert order.index("gpt-4") < order.index("code-davinci-001")
    assert all(row["low"] < row["rating"] < row["high"] for row in fought.rows)


@pytest.mark.slow
def test_finished_battles_are_not_fought_again_and_the_seed_decides(tmp_path: Path) -> None:
    first = battle(FEW, progress=quiet, root=tmp_path / "a")
    again = battle(FEW, progress=lambda done, total: pytest.fail("fought again"), root=tmp_path / "a")
    assert again == first
    elsewhere = battle(FEW, progress=quiet, root=tmp_path / "b")
    assert elsewhere.rows == first.rows
    assert battle(replace(FEW, seed=1), progress=quiet, root=tmp_path / "a").rows != first.rows


@pytest.mark.slow
def test_a_battle_is_run_and_shown_in_the_report(tmp_path: Path) -> None:
    fought = battle(replace(FEW, shown=("order",)), progress=quiet, root=tmp_path)
    assert fought.note == ""
    assert [(side.contestant, side.environment, side.status) for side in fought.shown] == [
        ("loom", "mermaid", "ok"),
        ("wheel", "mermaid", "ok"),
    ]
    assert all(side.png and side.png.startswith(b"\x89PNG") for side in fought.shown)
    page = Page("Report")
    add_battles(page, fought, tmp_path)
    text = page.write(tmp_path / "report.html").read_text()
    assert text.count("data:image/png;base64,") == 2
    assert (tmp_path / "battles.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_what_cannot_be_shown_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMESPUN_TEMPLATES", str(tmp_path / "nothing"))
    fought = battle(replace(FEW, num_battles=20, shown=("clock",)), progress=quiet, root=tmp_path)
    assert fought.shown == []
    assert "homespun sandbox install" in fought.note
    page = Page("Report")
    add_battles(page, fought, tmp_path)
    assert "homespun sandbox install" in page.write(tmp_path / "report.html").read_text()


def test_side_without_a_picture_keeps_its_reason() -> None:
    assert Shown("p", "c", "react", "failed", 0.1, None, "it has no page").note
