import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.errors import ConfigError, DataError
from homespun.router.outcomes import from_frame, normalise, prompt_id, read_outcomes, split

BASE = {"prompt": ["a?", "a?", "b?"], "model": ["x", "y", "x"], "score": [1.0, 0.0, 0.5], "cost": [0.1, 0.2, 0.3]}


def table(**columns):
    return pl.DataFrame(BASE | columns)


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def test_long_rows_become_matrices():
    found = from_frame(
        table(id=["1", "1", "2"], dataset=["d"] * 3, answer=["A", None, "B"], strategy=["cot", "", None])
    )
    assert found.arms == ["x", "x/cot", "y"]
    assert found.pairs == [("x", ""), ("x", "cot"), ("y", "")]
    assert found.ids == ["1", "2"]
    assert np.array_equal(found.score, [[np.nan, 1.0, 0.0], [0.5, np.nan, np.nan]], equal_nan=True)
    assert np.array_equal(found.cost, [[np.nan, 0.1, 0.2], [0.3, np.nan, np.nan]], equal_nan=True)
    assert found.answers.tolist() == [[None, "A", None], ["B", None, None]]
    assert found.completions is None


def test_a_prompt_without_id_is_named_by_its_text():
    found = from_frame(table())
    assert found.ids == [prompt_id("a?"), prompt_id("b?")]
    assert prompt_id(" A?\n") == prompt_id("a?")
    assert prompt_id("a?") != prompt_id("b?")


def test_tokens_are_priced():
    frame = table(input_tokens=[10, 10, 10], output_tokens=[1, 2, 3], cost=[None, None, 7.0])
    found = from_frame(frame, price=lambda model, read, written: read + written * (1 if model == "x" else 100))
    assert np.array_equal(found.cost, [[11.0, 210.0], [7.0, np.nan]], equal_nan=True)
    assert np.array_equal(found.output_tokens, [[1, 2], [3, np.nan]], equal_nan=True)


def test_the_price_table_is_asked_and_knows_no_model_x():
    with pytest.raises(ConfigError, match="no price is known for model 'x'"):
        from_frame(table(input_tokens=[1] * 3, output_tokens=[1] * 3).drop("cost"))
    known = table(model=["gpt-4", "gpt-3.5-turbo", "gpt-4"], input_tokens=[1000] * 3, output_tokens=[0] * 3)
    assert (from_frame(known.drop("cost")).cost[0] > 0).all()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table().drop("score"), "missing column 'score'"),
        (table().drop("cost"), "neither 'cost' nor"),
        (table(score=["high", "low", "low"]), "not a number"),
        (table(score=[1.0, float("nan"), 0.0]), "row 1"),
        (table(score=[1.0, None, 0.0]), "row 1 has no value"),
        (table(score=[1.0, 1.5, 0.0]), "row 1 is 1.5"),
        (table(cost=[0.1, -0.2, 0.3]), "below zero"),
        (table(cost=[0.1, None, 0.3]), "row 1 has neither a cost nor its tokens"),
        (table(prompt=["a?", "a?", "a?"]), "scored twice"),
        (table(prompt=["a?", "  ", "b?"]), "row 1 has a blank prompt"),
        (table(id=["1", "1", "1"]), "names two different prompts"),
        (table().clear(), "no rows"),
        (table(prompt=[["a"], ["a"], ["b"]]), "not text"),
    ],
)
def test_hostile_tables_are_refused_in_one_line(frame, message, tmp_path):
    path = tmp_path / "outcomes.parquet"
    frame.write_parquet(path)
    with pytest.raises(DataError, match=message) as error:
        read_outcomes(path)
    one_line(error)


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "outcomes.parquet"
    table().write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError) as error:
        read_outcomes(path)
    one_line(error)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("hostile") / "outcomes.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_outcomes(path)
    one_line(error)


def test_one_id_in_two_data_sets_is_two_prompts():
    found = from_frame(table(id=["1", "1", "1"], dataset=["d", "d", "e"]))
    assert found.ids == ["d/1", "e/1"]


def test_prompts_of_a_million_characters_survive():
    found = from_frame(table(prompt=["a" * 10**6, "a" * 10**6, "b" * 10**6]))
    assert len(found) == 2


def many(num):
    names = [f"prompt {i}" for i in range(num)]
    return from_frame(pl.DataFrame({"prompt": names, "model": ["x"] * num, "score": [0.5] * num, "cost": [0.1] * num}))


def test_shares_of_a_split():
    parts = split(many(4000))
    assert [len(part) / 4000 for part in parts] == pytest.approx([0.6, 0.2, 0.2], abs=0.03)
    assert split(many(4000), salt="other").test.ids != parts.test.ids


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["one", "One ", "ｏｎｅ", "two", "TWO", "three", " four"]), min_size=1, max_size=40))
def test_equal_prompts_never_part(texts):
    num = len(texts)
    frame = pl.DataFrame(
        {
            "prompt": texts,
            "model": ["x"] * num,
            "score": [1.0] * num,
            "cost": [1.0] * num,
            "id": [str(i) for i in range(num)],
        }
    )
    whole = from_frame(frame)
    groups = whole.groups()
    for i, j in zip(*np.triu_indices(num, 1), strict=True):
        assert (groups[i] == groups[j]) == (normalise(texts[i]) == normalise(texts[j]))
    try:
        parts = split(whole)
    except DataError:
        return  # too few to fill three parts
    seen = [{normalise(prompt) for prompt in part.prompts} for part in parts]
    assert len(seen[0] | seen[1] | seen[2]) == sum(map(len, seen))
    assert sum(map(len, parts)) == num


def test_a_split_does_not_move_when_the_table_grows():
    small, large = split(many(500)), split(many(1000))
    assert set(small.test.prompts) <= set(large.test.prompts)


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_shares_that_make_no_sense(fractions):
    with pytest.raises(DataError, match="sum to one"):
        split(many(50), fractions)


def test_too_few_prompts_to_split():
    with pytest.raises(DataError, match="part empty"):
        split(many(1))


def test_choosing_rows_and_arms():
    whole = from_frame(table())
    assert whole.take([1]).prompts == ["b?"]
    assert whole.select(["y"]).score.shape == (2, 1)
    with pytest.raises(DataError, match="unknown arm 'z'"):
        whole.select(["z"])
