"""Recorded models against the files that ship, and their costs against the convention worked by hand."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.data import path
from homespun.errors import ConfigError, DataError
from homespun.models.recorded import EXEMPLAR_TOKENS, RECORDED_MODELS, Recorded, recorded_cost, recorded_cost_frame
from homespun.records import Prompt

ROW = st.tuples(
    st.text(max_size=40), st.text(max_size=40), st.sampled_from(RECORDED_MODELS), st.sampled_from(list(EXEMPLAR_TOKENS))
)


def prompt(problem: str = "1", strategy: str = "fcot", task: str | None = "gsm8k") -> Prompt:
    return Prompt(id="p", problem_id=problem, strategy=strategy, messages=(), task=task)


def test_the_convention_by_hand():
    # 10 characters / 4 + 1,200 at $30 and 6 characters / 4 at $60 per million tokens
    spent = recorded_cost("0123456789", "abcdef", "gpt-4", "ltm")
    assert spent.dollars == pytest.approx((1202.5 * 30 + 1.5 * 60) / 1e6)
    assert (spent.input_tokens, spent.output_tokens) == (1203, 2)


@given(st.lists(ROW, min_size=1))
def test_the_table_costs_what_its_rows_cost(rows):
    frame = pl.DataFrame(rows, schema=["question", "completion", "model", "strategy"], orient="row")
    priced = recorded_cost_frame(frame)
    assert priced.select(frame.columns).equals(frame)
    for row, one in zip(rows, priced.iter_rows(named=True), strict=True):
        spent = recorded_cost(*row)
        assert one["dollars"] == pytest.approx(spent.dollars)
        assert (one["input_tokens"], one["output_tokens"]) == (spent.input_tokens, spent.output_tokens)


def test_gpt_4_with_least_to_most_costs_43_dollars_for_a_thousand_questions():
    rows = pl.scan_parquet(path("recorded/greedy.parquet")).filter(
        (pl.col("model") == "gpt-4") & (pl.col("strategy") == "ltm") & (pl.col("dataset") != "saycan")
    )
    mean = recorded_cost_frame(rows.collect())["dollars"].mean()
    assert 1000 * mean == pytest.approx(43, abs=0.5)


def test_costs_of_what_has_no_price_are_refused():
    with pytest.raises(ConfigError, match="unknown strategy"):
        recorded_cost("", "", "gpt-4", "prayer")
    frame = pl.DataFrame({"question": ["q"], "completion": ["c"], "model": ["gpt-5oo"], "strategy": ["cot"]})
    with pytest.raises(ConfigError, match="no price"):
        recorded_cost_frame(frame)
    with pytest.raises(ConfigError, match="unknown strategy"):
        recorded_cost_frame(frame.with_columns(pl.lit("prayer").alias("strategy"), pl.lit("gpt-4").alias("model")))
    nowhere = frame.drop("question").with_columns(
        pl.lit("gsm8k").alias("dataset"), pl.lit("none").alias("id"), pl.lit("gpt-4").alias("model")
    )
    with pytest.raises(DataError, match="gsm8k/none"):
        recorded_cost_frame(nowhere)


@pytest.mark.anyio
@pytest.mark.parametrize("problem", ["1", "gsm8k/1"])
async def test_one_sample_is_the_greedy_answer(problem):
    cell = (pl.col("dataset") == "gsm8k") & (pl.col("id") == "1") & (pl.col("model") == "gpt-4")
    file = pl.scan_parquet(path("recorded/greedy.parquet"))
    text = file.filter(cell & (pl.col("strategy") == "fcot")).collect()["completion"][0]
    [row] = await Recorded("gpt-4").sample(prompt(problem))
    assert (row.text, row.finish, row.model) == (text, "stop", "recorded:gpt-4")
    assert row.cost.dollars > 0.06
    assert Recorded("gpt-4").worst_case(prompt(problem)) == pytest.approx(row.cost.dollars)


@pytest.mark.anyio
async def test_several_samples_are_the_variations_and_what_lacks_is_a_row_with_a_reason():
    file = pl.scan_parquet(path("recorded/variations.parquet"))
    texts = file.filter((pl.col("dataset") == "gsm8k") & (pl.col("id") == "1")).collect()["completion"].to_list()
    rows = await Recorded("code-davinci-002").sample(prompt(), 10)
    assert [row.text for row in rows[:8]] == texts
    assert [row.finish for row in rows] == ["stop"] * 8 + ["error"] * 2
    assert "only 8 variations" in rows[9].error
    assert len({row.id for row in rows}) == 10


@pytest.mark.anyio
async def test_what_was_not_recorded_is_never_a_silent_gap():
    greedy_only = await Recorded("gpt-4").sample(prompt(), 3)
    assert [row.finish for row in greedy_only] == ["stop", "error", "error"]
    for missing in (prompt("999999"), prompt(strategy="quest"), prompt(task="chess"), prompt(task=None)):
        [row] = await Recorded("gpt-4").sample(missing)
        assert (row.finish, row.text, row.cost.dollars) == ("error", "", 0.0)
        assert "no answer was recorded" in row.error


def test_an_unknown_model_is_refused():
    with pytest.raises(ConfigError, match="gpt-4"):
        Recorded("gpt-9")
