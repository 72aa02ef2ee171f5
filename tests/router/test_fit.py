"""Fit and evaluate as the command line calls them, on a small world."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homespun.errors import ConfigError, DataError, RunError
from homespun.router import explain
from homespun.router import fit as stage
from homespun.router.decide import Conversation, Router
from homespun.router.outcomes import prompt_id, read_outcomes, split

COLUMNS = ["name", "kind", "score", "score_low", "score_high", "cost", "aiq", "apgr", "cpt50", "saving"]


def test_rows_are_as_promised(evaluated, outcomes_file: Path) -> None:
    result, _ = evaluated
    assert all(list(row) == COLUMNS for row in result.rows)
    kinds = {row["kind"] for row in result.rows}
    assert kinds == {"single", "random", "oracle", "part", "fusion"}
    names = [row["name"] for row in result.rows]
    assert len(names) == len(set(names))
    assert {"fusion quality", "fusion balanced", "fusion economy", "cascade-only balanced"} <= set(names)
    assert sum(row["kind"] == "fusion" for row in result.rows) >= 23
    for row in result.rows:
        assert row["score_low"] <= row["score"] <= row["score_high"]
        assert 0 <= row["score"] <= 1
    table = read_outcomes(outcomes_file)
    assert result.n == len(split(table).test)


def test_only_held_out_prompts_are_evaluated(fitted, evaluated, outcomes_file: Path) -> None:
    result, _ = evaluated
    test = split(read_outcomes(outcomes_file)).test
    assert set(result.decisions["prompt_id"]) == set(test.ids)
    assert not fitted.fitted & {prompt_id(prompt) for prompt in test.prompts}


def test_singles_and_oracle_are_plain_means(evaluated, outcomes_file: Path) -> None:
    result, _ = evaluated
    test = split(read_outcomes(outcomes_file)).test
    by_name = {row["name"]: row for row in result.rows}
    for j, arm in enumerate(test.arms):
        assert by_name[arm]["score"] == pytest.approx(test.score[:, j].mean())
        assert by_name[arm]["cost"] == pytest.approx(test.cost[:, j].mean())
    assert by_name["oracle"]["score"] == pytest.approx(test.score.max(axis=1).mean())
    assert all(row["score"] <= by_name["oracle"]["score"] + 1e-9 for row in result.rows)


def test_same_inputs_same_bytes(fitted, outcomes_file: Path, tmp_path: Path) -> None:
    again = stage.fit(outcomes_file, tmp_path / "again")
    for file in sorted(path for path in fitted.path.rglob("*") if path.is_file()):
        twin = again.path / file.relative_to(fitted.path)
        assert file.read_bytes() == twin.read_bytes(), file.name


def test_a_second_fit_returns_what_is_there(fitted, outcomes_file: Path) -> None:
    before = (fitted.path / "router.json").stat().st_mtime_ns
    assert stage.fit(outcomes_file, fitted.path).summary() == fitted.summary()
    assert (fitted.path / "router.json").stat().st_mtime_ns == before


def test_data_sets_are_never_needed_to_decide(fitted, outcomes_file: Path, tmp_path: Path) -> None:
    """The same held-out prompts without their data set's name are decided alike."""
    table = pl.read_parquet(outcomes_file)
    table.drop("dataset").write_parquet(tmp_path / "plain.parquet")
    named = stage.evaluate(fitted.path, outcomes_file, root=tmp_path / "a", num_resamples=20)
    plain = stage.evaluate(fitted.path, tmp_path / "plain.parquet", root=tmp_path / "b", num_resamples=20)
    assert named.decisions["chosen"].to_list() == plain.decisions["chosen"].to_list()


def test_explain_tells_the_path(fitted, evaluated) -> None:
    result, root = evaluated
    name = result.decisions["prompt_id"][0]
    text = explain.in_words(explain.find(name, router=fitted.path, root=root))
    for word in ("Capability filter", "Taxonomy: cell", "Predictor", "Blend", "Asked", "Judged", "$"):
        assert word in text
    decision = explain.find(name, root=root, preset="quality")
    asked = [step for step in decision.path if step.stage == "ask"]
    assert decision.spent.dollars == pytest.approx(sum(step.cost for step in asked))
    with pytest.raises(DataError, match="no decision"):
        explain.find("nobody", root=root)
    with pytest.raises(RunError):
        explain.find(name, root=root / "empty")


def test_outcomes_without_answers_or_data_sets_route_by_prediction(outcomes_file: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(outcomes_file).filter(pl.col("model").is_in(["odd", "strong"]))
    table.select("prompt", "model", "score", "cost").write_csv(tmp_path / "two.csv")
    router = stage.fit(tmp_path / "two.csv", tmp_path / "two")
    result = stage.evaluate(router.path, tmp_path / "two.csv", root=tmp_path / "runs", num_resamples=50)
    assert {row["name"] for row in result.rows if row["kind"] == "single"} == {"odd", "strong"}
    assert not any("cascade" in row["name"] for row in result.rows)
    costs = [row["cost"] for row in result.rows if row["kind"] == "fusion"]
    assert min(costs) >= 0.01 - 1e-9
    assert max(costs) <= 0.03 + 1e-9


def test_decide_and_hysteresis(fitted) -> None:
    router = Router.load(fitted.path)
    first = router.decide("Add 5 apples and 7 pears, how many?", dial="economy")
    assert first.chosen in fitted.knowledge.arms
    assert first.spent.dollars == 0
    other = next(arm for arm in fitted.knowledge.arms if arm != first.chosen)
    tool = Conversation(previous=other, awaits_tool=True)
    assert router.decide("Add 5 apples", dial="economy", conversation=tool).chosen == other
    assert router.decide("Add 5 apples", conversation=Conversation(previous=other, delta=9.0)).chosen == other
    with pytest.raises(ConfigError, match="capabilities"):
        router.decide("Add 5 apples", io="tools")
    able = Router.load(fitted.path, capabilities={"odd/a": ["tools"]})
    assert able.decide("Add 5 apples", io="tools").chosen == "odd/a"
    with pytest.raises(ConfigError, match="preset"):
        router.decide("Add", dial="best")


@pytest.mark.parametrize("damage", ["router.json", "arrays.npz", "cells.parquet", "predictor"])
def test_a_damaged_folder_is_one_line(fitted, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(fitted.path, folder)
    target = folder / damage
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.write_bytes(target.read_bytes()[:100])
    with pytest.raises(DataError, match="try:"):
        Router.load(folder)


def test_bad_requests_write_nothing(outcomes_file: Path, tmp_path: Path, fitted) -> None:
    small = pl.read_parquet(outcomes_file).head(40)
    small.write_parquet(tmp_path / "small.parquet")
    with pytest.raises(DataError, match="at least"):
        stage.fit(tmp_path / "small.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep")
    with pytest.raises(ConfigError, match="no router"):
        stage.fit(outcomes_file, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    pl.read_parquet(outcomes_file).filter(pl.col("model") != "odd").write_parquet(tmp_path / "less.parquet")
    with pytest.raises(DataError, match="odd/a"):
        stage.evaluate(fitted.path, tmp_path / "less.parquet", root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_folder_holds_no_pickle(fitted) -> None:
    for file in fitted.path.rglob("*.npz"):
        with np.load(file, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)
    assert json.loads((fitted.path / "router.json").read_text())["version"] == 1


def test_fusion_is_no_worse_than_its_parts_at_their_money(evaluated) -> None:
    result, _ = evaluated
    parts = [row for row in result.differences if "-only" in row["against"] and row["cost_ratio"] <= 1.0]
    assert parts
    for row in parts:
        assert row["high"] >= 0.0, row
