"""The stage: votes joined with verdicts, scored, mapped, written as a run, and read back alike."""

import json

import numpy as np
import polars as pl
import pytest

from homespun.confidence.calibrate import calibrate, vote
from homespun.confidence.maps import FEWEST, Histogram
from homespun.confidence.scores import auroc, base_rate_brier, brier, ece
from homespun.confidence.verdicts import read_votes
from homespun.errors import ConfigError, DataError


def made(num_problems=160, num_samples=5, seed=0, models=("a", "b")):
    """Samples and verdicts of models that are right with a chance that differs by problem."""
    generator = np.random.default_rng(seed)
    rows = []
    for model in models:
        for problem, chance in enumerate(generator.beta(2, 1, num_problems)):
            for sample in range(num_samples):
                draw = generator.random()
                answer = "right" if draw < chance else f"wrong{int(draw * 1e6) % 3}" if draw < 0.97 else None
                value = float(answer == "right")
                rows.append(("d", str(problem), model, str(sample), "cot", answer, value))
    names = ("dataset", "id", "model", "sample", "strategy", "answer", "value")
    return pl.DataFrame(rows, schema=names, orient="row")


@pytest.fixture
def files(tmp_path):
    frame = made()
    samples, verdicts = tmp_path / "samples.parquet", tmp_path / "verdicts.parquet"
    frame.drop("answer", "value").write_parquet(samples)
    frame.write_parquet(verdicts)
    return samples, verdicts


def test_rows_are_the_plain_scores_of_the_groups(files, tmp_path):
    samples, verdicts = files
    result = calibrate(samples, verdicts=verdicts, by=("model",), bins=3, root=tmp_path)
    assert [(row["model"], row["measure"]) for row in result.rows] == [
        (model, measure) for model in ("a", "b") for measure in ("agreement", "entropy", "fsd")
    ]
    for row in result.rows:
        own = result.groups.filter(pl.col("model") == row["model"])
        scores, right = own[row["measure"]].to_numpy(), own["correct"].to_numpy()
        assert row["n_groups"] == own.height == 160
        assert row["brier"] == pytest.approx(brier(scores, right))
        assert row["ece"] == pytest.approx(ece(scores, right, 3))
        assert row["auroc"] == pytest.approx(auroc(scores, right))
        assert row["brier_base"] == pytest.approx(base_rate_brier(right))
        assert row["skill"] == pytest.approx(1 - row["brier"] / row["brier_base"])
        assert row["brier_low"] <= row["brier"] <= row["brier_high"]
        assert (row["bins"], row["mode"], row["reads_as"]) == (3, "strict", "raw consistency")


def test_a_finished_run_gives_the_same_object_and_is_not_done_again(files, tmp_path):
    samples, verdicts = files
    first = calibrate(samples, verdicts=verdicts, root=tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in first.run.iterdir() if path.name != ".lock"}
    again = calibrate(samples, verdicts=verdicts, root=tmp_path)
    after = {path.name: path.stat().st_mtime_ns for path in again.run.iterdir() if path.name != ".lock"}
    assert (again.rows, again.calibrators, again.run) == (first.rows, first.calibrators, first.run)
    assert again.reliability.equals(first.reliability)
    assert again.groups.equals(first.groups)
    assert before == after
    assert set(before) == {"rows.parquet", "groups.parquet", "reliability.parquet", "calibrators.json", "run.json"}
    assert json.loads(json.dumps(again.rows, allow_nan=False)) == again.rows


def test_another_setting_is_another_run(files, tmp_path):
    samples, verdicts = files
    runs = {
        calibrate(samples, verdicts=verdicts, root=tmp_path, **settings).run
        for settings in ({}, {"bins": 15}, {"mode": "paper"}, {"by": ("model",)}, {"seed": 1}, {"config": Histogram()})
    }
    assert len(runs) == 6


def test_reliability_counts_every_group_once_per_measure(files, tmp_path):
    samples, verdicts = files
    result = calibrate(samples, verdicts=verdicts, measures=("fsd", "agreement"), by=("model",), root=tmp_path)
    counts = result.reliability.group_by("measure", "model").agg(pl.col("n").sum(), bins=pl.len()).sort("measure")
    assert counts["n"].to_list() == [160] * 4
    assert counts["bins"].to_list() == [10] * 4
    assert set(counts["measure"]) == {"agreement", "fsd"}


def test_the_order_of_samples_changes_no_score_without_ties(files, tmp_path):
    samples, verdicts = files
    shuffled = tmp_path / "shuffled.parquet"
    pl.read_parquet(samples).sample(fraction=1, shuffle=True, seed=3).write_parquet(shuffled)
    left = calibrate(samples, verdicts=verdicts, root=tmp_path).groups
    right = calibrate(shuffled, verdicts=verdicts, root=tmp_path).groups
    assert left.drop("answer", "correct").equals(right.drop("answer", "correct"))
    untied = left["fsd"] > 0
    assert left.filter(untied).equals(right.filter(untied))


def test_maps_hold_for_their_model_and_cross_fitting_repairs_a_raw_score(files, tmp_path):
    samples, verdicts = files
    result = calibrate(samples, verdicts=verdicts, root=tmp_path)
    assert {(made.key.measure, made.key.model, made.key.n) for made in result.calibrators} == {
        (measure, model, 5) for measure in ("agreement", "entropy", "fsd") for model in ("a", "b")
    }
    assert all(made.fitted and made.num_fitted == 160 and not made.note for made in result.calibrators)
    entropy = next(row for row in result.rows if row["measure"] == "entropy")
    assert entropy["n_platt"] == entropy["n_groups"]
    assert entropy["platt_brier"] < entropy["brier"]
    assert entropy["platt_ece"] < entropy["ece"]


def test_too_few_groups_are_not_mapped(tmp_path):
    frame = made(num_problems=FEWEST - 1, models=("a",))
    path = tmp_path / "few.parquet"
    frame.write_parquet(path)
    result = calibrate(path, verdicts=path, root=tmp_path)
    assert {row["n_platt"] for row in result.rows} == {0}
    assert {row["platt_brier"] for row in result.rows} == {None}
    assert {made.kind for made in result.calibrators} == {"identity"}
    assert all("not a probability" in made.note for made in result.calibrators)


def test_the_majority_answer_carries_the_verdict_and_the_ungraded_are_left_out():
    rows = [
        ("1", "x", 1.0), ("1", "x", 1.0), ("1", "y", 0.0),  # majority right
        ("2", "x", 1.0), ("2", "y", 0.0), ("2", "y", 0.0),  # majority wrong, although a sample is right
        ("3", None, 0.0), ("3", None, 0.0), ("3", None, None),  # nothing readable: wrong
        ("4", "x", 1.0), ("4", None, None), ("4", None, 0.0),  # one unknown, one abstention
        ("5", None, None),  # nothing known at all
        ("6", "x", None), ("6", "x", None),  # a vote of unknown correctness
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema={"id": pl.String, "answer": pl.String, "value": pl.Float64}, orient="row")
    groups = vote(frame.select(pl.lit("d").alias("dataset"), pl.lit("m").alias("model"), pl.all()))
    columns = ("id", "n", "n_invalid", "n_ungraded", "answer", "correct", "agreement")
    found = groups.select(columns).rows()
    assert found == [
        ("1", 3, 0, 0, "x", 1.0, pytest.approx(2 / 3)),
        ("2", 3, 0, 0, "y", 0.0, pytest.approx(2 / 3)),
        ("3", 2, 2, 1, None, 0.0, 0.0),
        ("4", 2, 1, 1, "x", 1.0, 0.5),
        ("6", 2, 0, 0, "x", None, 1.0),
    ]


def test_a_column_to_report_by_that_is_no_key_splits_the_votes(tmp_path):
    frame = pl.concat([made(60), made(60, seed=1).with_columns(strategy=pl.lit("pot"))])
    path = tmp_path / "two.parquet"
    frame.write_parquet(path)
    together = calibrate(path, verdicts=path, root=tmp_path)
    apart = calibrate(path, verdicts=path, by=("strategy",), root=tmp_path)
    assert set(together.groups["n"]) == {10}
    assert set(apart.groups["n"]) == {5}
    assert {row["strategy"] for row in apart.rows} == {"cot", "pot"}
    assert {made.key.prompt for made in apart.calibrators} == {"cot", "pot"}


def test_verdicts_in_another_order_and_format_are_joined_by_key(files, tmp_path):
    samples, verdicts = files
    other = tmp_path / "verdicts.csv"
    pl.read_parquet(verdicts).reverse().write_csv(other)
    assert read_votes(samples, verdicts=other).equals(read_votes(samples, verdicts=verdicts))


def test_verdicts_row_by_row_need_no_column_that_tells_samples_apart(files, tmp_path):
    samples, verdicts = files
    blunt = tmp_path / "blunt.parquet"
    pl.read_parquet(verdicts).drop("sample").write_parquet(blunt)
    assert read_votes(samples, verdicts=blunt).equals(read_votes(samples, verdicts=verdicts))
    pl.read_parquet(blunt).reverse().write_parquet(blunt)
    with pytest.raises(DataError, match="alike in dataset, id, model, strategy"):
        read_votes(samples, verdicts=blunt)


def test_unreadable_answers_are_null_and_unknown_values_stay_unknown(tmp_path):
    path = tmp_path / "samples.parquet"
    answers, values = ["a", " ", "[invalid]", "[invalid]", None], [1.0, 0.0, 0.0, None, None]
    frame = pl.DataFrame({"sample": list("01234"), "answer": answers, "value": values})
    frame.with_columns(dataset=pl.lit("d"), id=pl.lit("1"), model=pl.lit("m")).write_parquet(path)
    found = read_votes(path, verdicts=path)
    assert found["answer"].to_list() == ["a", None, None, None, None]
    assert found["value"].to_list() == values
    assert vote(found).select("n", "n_invalid", "n_ungraded").row(0) == (3, 2, 2)


def test_answers_without_verdicts_are_graded_by_gold(tmp_path):
    samples, problems = tmp_path / "samples.csv", tmp_path / "problems.csv"
    pl.DataFrame(
        {
            "dataset": ["gsm8k"] * 4,
            "id": ["1", "1", "1", "2"],
            "model": ["m"] * 4,
            "sample": [0, 1, 2, 0],
            "answer": ["18", "$18.00", "17", "[invalid]"],
        }
    ).write_csv(samples)
    pl.DataFrame({"dataset": ["gsm8k"] * 2, "id": ["1", "2"], "question": ["?", "?"], "gold": ["18", "5"]}).write_csv(
        problems
    )
    groups = calibrate(samples, problems=problems, root=tmp_path).groups
    assert groups["correct"].to_list() == [1.0, 0.0]
    assert groups["agreement"].to_list() == [pytest.approx(2 / 3), 0.0]
    pl.read_csv(problems).filter(pl.col("id") == 1).write_csv(problems)
    with pytest.raises(DataError, match="problem '2' of 'gsm8k' is not there"):
        calibrate(samples, problems=problems, root=tmp_path)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"measures": ("margin",)}, ConfigError, "unknown measure 'margin'"),
        ({"measures": ()}, ConfigError, "no measure"),
        ({"mode": "loose"}, ConfigError, "unknown mode 'loose'"),
        ({"bins": 0}, ConfigError, "0 bins"),
        ({"by": ("colour",)}, DataError, "missing column 'colour'"),
        ({"verdicts": None}, ConfigError, "no verdicts and no problems"),
    ],
)
def test_bad_settings_leave_nothing_behind(files, tmp_path, settings, error, text):
    samples, verdicts = files
    with pytest.raises(error, match=text):
        calibrate(samples, **{"verdicts": verdicts, "root": tmp_path / "runs"} | settings)
    assert not (tmp_path / "runs").exists()


def test_tables_that_do_not_belong_together_are_refused(files, tmp_path):
    samples, verdicts = files
    frame = pl.read_parquet(verdicts)
    cases = {
        "no verdict belongs": frame.with_columns(model=pl.concat_str("model", pl.lit("2"))),
        "missing column 'value'": frame.drop("value"),
        "missing column 'answer'": frame.drop("answer"),
        "row 0 is 2": frame.with_columns(value=pl.lit(2.0)),
        "no group's correctness is known": frame.with_columns(value=pl.lit(None, pl.Float64)),
    }
    for number, (text, wrong) in enumerate(cases.items()):
        path = tmp_path / f"{number}.parquet"
        wrong.write_parquet(path)
        with pytest.raises(DataError, match=text):
            calibrate(samples, verdicts=path, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
