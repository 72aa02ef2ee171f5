"""The stage `calibrate`: votes joined with verdicts, rows, maps, repeats, and hostile tables."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homespun.confidence.calibrate import calibrate, vote
from homespun.confidence.calibrators import Calibrator, Isotonic, Key, Platt, cross_fit
from homespun.confidence.scores import brier, ece
from homespun.confidence.verdicts import read_votes
from homespun.errors import ConfigError, DataError

STRATEGIES = ("cot", "fcot", "ltm", "pot", "standard")


def written(folder: Path, num: int = 300, seed: int = 0) -> tuple[Path, Path]:
    """Samples and verdicts: two models, each answers right with a chance of its own per problem."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(num):
        for model, skill in (("strong", 0.85), ("weak", 0.55)):
            chance = generator.beta(4 * skill, 4 * (1 - skill))
            for strategy in STRATEGIES:
                draw = generator.random()
                answer = "right" if draw < chance else None if draw > 0.97 else generator.choice(["w1", "w2"]).item()
                rows.append(("gsm8k", str(number), model, strategy, answer, float(answer == "right")))
    names = ["dataset", "id", "model", "strategy", "answer", "value"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    samples, verdicts = folder / "samples.parquet", folder / "verdicts.parquet"
    frame.drop("answer", "value").with_columns(completion=pl.lit("…")).write_parquet(samples)
    frame.sample(fraction=1, shuffle=True, seed=1).write_parquet(verdicts)
    return samples, verdicts


def test_rows_say_what_plain_scores_say(tmp_path):
    samples, verdicts = written(tmp_path)
    result = calibrate(samples, verdicts=verdicts, by=("model",), bins=7)
    assert [(row["model"], row["measure"]) for row in result.rows] == [
        (model, measure) for model in ("strong", "weak") for measure in ("agreement", "entropy", "fsd")
    ]
    for row in result.rows:
        own = result.groups.filter(pl.col("model") == row["model"])
        scores, right = own[row["measure"]].to_numpy(), own["correct"].to_numpy()
        assert (row["n_groups"], row["bins"], row["mode"]) == (300, 7, "strict")
        assert row["brier"] == pytest.approx(brier(scores, right))
        assert row["ece"] == pytest.approx(ece(scores, right, 7))
        assert row["brier_base"] == pytest.approx(right.mean() * (1 - right.mean()))
        assert row["brier_low"] <= row["brier"] <= row["brier_high"]
        assert row["skill"] == pytest.approx(1 - row["brier"] / row["brier_base"])
        assert "consistency" in row["reads_as"]
        mapped = cross_fit(Platt(), Key(measure=row["measure"], n=5), scores, right, own["id"].to_numpy())
        assert row["platt_ece"] == pytest.approx(ece(mapped, right, 7), abs=0.02)  # folds fall otherwise


def test_the_run_holds_tables_maps_and_returns_at_once(tmp_path):
    samples, verdicts = written(tmp_path)
    first = calibrate(samples, verdicts=verdicts, root=tmp_path / "runs")
    stamps = {file: file.stat().st_mtime_ns for file in first.run.rglob("*") if file.is_file() and file.name != ".lock"}
    assert {"rows.parquet", "groups.parquet", "reliability.parquet", "calibrators.json", "run.json"} <= {
        file.name for file in stamps
    }
    again = calibrate(samples, verdicts=verdicts, root=tmp_path / "runs")
    assert again.rows == first.rows
    assert again.run == first.run
    assert {file: file.stat().st_mtime_ns for file in stamps} == stamps
    stored = json.loads((first.run / "calibrators.json").read_text())
    assert tuple(Calibrator.model_validate(item) for item in stored) == first.calibrators
    assert {(made.key.model, made.key.measure, made.key.n) for made in first.calibrators} == {
        (model, measure, 5) for model in ("strong", "weak") for measure in ("agreement", "entropy", "fsd")
    }
    curve = first.reliability.filter(pl.col("measure") == "fsd")
    assert curve["n"].sum() == 600


def test_order_of_verdicts_and_another_place_change_nothing(tmp_path):
    samples, verdicts = written(tmp_path)
    moved = tmp_path / "elsewhere.csv"
    pl.read_parquet(verdicts).reverse().write_csv(moved)
    one, two = calibrate(samples, verdicts=verdicts), calibrate(samples, verdicts=moved)
    assert one.rows == two.rows


def test_by_strategy_splits_the_votes(tmp_path):
    samples, verdicts = written(tmp_path, num=120)
    result = calibrate(samples, verdicts=verdicts, by=("strategy",), measures=("agreement",))
    assert [row["strategy"] for row in result.rows] == list(STRATEGIES)
    assert all(row["n_groups"] == 240 for row in result.rows)
    assert set(result.groups["n"]) == {1}


def test_majority_decides_invalid_abstain_and_the_ungraded_are_left_out():
    rows = [
        ("a", "x", 1.0), ("a", "x", 1.0), ("a", "y", 0.0), ("a", None, 0.0), ("a", None, None),
        ("b", None, 0.0), ("b", None, 0.0),
        ("c", None, None),
        ("d", "y", None), ("d", "y", None),
    ]  # fmt: skip
    names = {"id": pl.String, "answer": pl.String, "value": pl.Float64}
    samples = pl.DataFrame(rows, schema=names, orient="row").with_columns(dataset=pl.lit("s"), model=pl.lit("m"))
    found = {row["id"]: row for row in vote(samples).to_dicts()}
    a, b, d = found["a"], found["b"], found["d"]
    assert (a["n"], a["n_invalid"], a["n_ungraded"], a["answer"], a["correct"]) == (4, 1, 1, "x", 1)
    assert (a["agreement"], a["fsd"]) == (0.5, 0.25)
    assert (b["answer"], b["correct"], b["agreement"]) == (None, 0, 0)
    assert "c" not in found
    assert d["correct"] is None


def test_the_paper_mode_keeps_its_defect_and_strict_does_not(tmp_path):
    samples, verdicts = written(tmp_path, num=120)
    half = pl.read_parquet(verdicts).with_columns(
        answer=pl.when(pl.col("strategy") == "cot").then("answer"),
        value=pl.when(pl.col("strategy") == "cot").then("value").otherwise(0.0),
    )
    half.write_parquet(verdicts)
    strict = calibrate(samples, verdicts=verdicts, mode="strict").groups
    paper = calibrate(samples, verdicts=verdicts, mode="paper").groups
    assert strict["fsd"].max() == 0.2
    assert paper["fsd"].min() == 1.0


def test_an_answer_column_is_graded_by_the_problems(tmp_path):
    problems, samples = tmp_path / "problems.csv", tmp_path / "samples.csv"
    pl.DataFrame({"dataset": "gsm8k", "id": ["1", "2"], "question": "?", "gold": ["#### 18", "#### 3"]}).write_csv(
        problems
    )
    pl.DataFrame(
        {"dataset": "gsm8k", "id": ["1"] * 3 + ["2"] * 3, "model": "m", "sample": [0, 1, 2] * 2,
         "answer": ["18", "18.0", "17", "4", "4", "3"]}
    ).write_csv(samples)  # fmt: skip
    groups = calibrate(samples, problems=problems).groups
    assert groups["correct"].to_list() == [1, 0]
    assert groups["agreement"].to_list() == pytest.approx([2 / 3, 2 / 3])


def test_too_few_items_leave_the_raw_score_and_say_so(tmp_path):
    samples, verdicts = written(tmp_path, num=20)
    result = calibrate(samples, verdicts=verdicts, by=("model",), config=Isotonic())
    assert all(not made.fitted and "not a probability" in made.note for made in result.calibrators)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop("value"), "missing column 'value'"),
        (lambda frame: frame.with_columns(value=pl.lit(1.5)), "fractions from 0 to 1"),
        (lambda frame: frame.with_columns(value=pl.lit(float("nan"))), "finite"),
        (lambda frame: frame.with_columns(id=pl.lit("z") + pl.col("id")), "no verdict belongs"),
        (lambda frame: pl.concat([frame, frame]), "several rows are alike"),
        (lambda frame: frame.with_columns(value=pl.lit(None, dtype=pl.Float64)), "no verdict belongs"),
        (lambda frame: frame.clear(), "no rows"),
    ],
)
def test_hostile_verdicts_are_refused_and_nothing_is_written(tmp_path, change, message):
    samples, verdicts = written(tmp_path, num=10)
    change(pl.read_parquet(verdicts)).write_parquet(verdicts)
    with pytest.raises(DataError, match=message):
        calibrate(samples, verdicts=verdicts, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_unknown_names_are_refused(tmp_path):
    samples, verdicts = written(tmp_path, num=10)
    for settings in ({"measures": ("trust",)}, {"measures": ()}, {"bins": 0}, {"mode": "loose"}):
        with pytest.raises(ConfigError):
            calibrate(samples, verdicts=verdicts, **settings)
    with pytest.raises(DataError, match="'colour'"):
        calibrate(samples, verdicts=verdicts, by=("colour",))
    with pytest.raises(ConfigError, match="no verdicts"):
        read_votes(samples)
    with pytest.raises(DataError, match="no such file"):
        calibrate(tmp_path / "none.parquet", verdicts=verdicts)
