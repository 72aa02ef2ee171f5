"""The measures: by hand, against another formula of Gini, and as laws."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from homespun.corpus.tokenizer.fairness import (
    compression_rate,
    difference,
    fertility,
    gini,
    measure,
    parallel,
    resampling,
    worst_factor,
)
from homespun.corpus.tokenizer.files import Bpe, assembled
from homespun.corpus.tokenizer.plot import fairness_plot, save_plot
from homespun.errors import DataError

COSTS = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([5.0], 0.0),
        ([3.0, 3.0, 3.0], 0.0),
        ([1.0, 3.0], 0.25),
        ([3.0, 1.0], 0.25),
        ([1.0, 2.0, 3.0], 2 / 9),
        ([0.0, 0.0, 0.0, 1.0], 0.75),  # one pays for all: 1 - 1/n
    ],
)
def test_gini_by_hand(costs: list[float], expected: float) -> None:
    assert float(gini(costs)) == pytest.approx(expected)


@given(costs=COSTS)
def test_gini_is_half_the_mean_difference(costs: list[float]) -> None:
    pairs = np.abs(np.subtract.outer(costs, costs))
    assert float(gini(costs)) == pytest.approx(pairs.mean() / (2 * np.mean(costs)), abs=1e-9)


@given(costs=COSTS, factor=st.floats(0.1, 10), seed=st.integers(0, 99))
def test_gini_knows_no_unit_and_no_order(costs: list[float], factor: float, seed: int) -> None:
    value = float(gini(costs))
    assert -1e-9 <= value < 1
    assert float(gini(np.array(costs) * factor)) == pytest.approx(value, abs=1e-9)
    assert float(gini(np.random.default_rng(seed).permutation(costs))) == pytest.approx(value, abs=1e-9)


@given(costs=st.lists(st.floats(1, 100), min_size=2, max_size=20), share=st.floats(0.0, 1.0))
def test_taking_from_the_dearest_makes_it_fairer(costs: list[float], share: float) -> None:
    high, low = int(np.argmax(costs)), int(np.argmin(costs))
    moved = list(costs)
    gift = share * (costs[high] - costs[low]) / 2
    moved[high], moved[low] = costs[high] - gift, costs[low] + gift
    assert float(gini(moved)) <= float(gini(costs)) + 1e-9


@pytest.mark.parametrize("costs", [[], [0.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_gini_of_nonsense(costs: list[float]) -> None:
    with pytest.raises(DataError, match="positive numbers"):
        gini(costs)


def test_rates_by_hand() -> None:
    assert compression_rate([10, 6], [5, 2]) == pytest.approx((2 + 3) / 2)  # a mean of ratios
    assert compression_rate([10, 6, 3], [5, 2, 0]) == pytest.approx(2.5)
    assert fertility([5, 2], [2, 1]) == pytest.approx(7 / 3)  # a ratio of sums
    assert np.isnan(compression_rate([], []))
    assert np.isnan(fertility([], []))
    assert worst_factor({"en": 2.0, "km": 9.0}) == 4.5
    assert worst_factor({"de": 2.0, "km": 9.0}) is None


ROWS = [("en", "a", "it is"), ("en", "b", "x-y"), ("km", "a", "ភាសា"), ("km", "b", "កខ"), ("km", "c", "គ")]
FRAME = pl.DataFrame(ROWS, schema=["lang", "line", "text"], orient="row")


def test_bytes_by_hand() -> None:
    text = parallel(FRAME)
    assert text.left_out == 1
    assert text.texts == [["it is", "x-y"], ["ភាសា", "កខ"]]
    found = measure("bytes", assembled([], Bpe(vocab=288)), text)
    assert found.tokens_LN.tolist() == [[5, 3], [12, 6]]
    assert found.costs == {"en": 4.0, "km": 9.0}
    summary = found.summary(resampling(2))
    assert summary["gini"] == pytest.approx(5 / 26)
    assert summary["worst"] == 2.25
    assert summary["worst_lang"] == "km"
    assert summary["cr_byte"] == 1.0
    assert summary["cr_line"] == pytest.approx((1 / 5 + 1 / 3 + 1 / 12 + 1 / 6) / 4)
    assert summary["cr_char"] == pytest.approx((1 + 1 + 1 / 3 + 1 / 3) / 4)
    assert summary["fertility"] == pytest.approx(26 / (2 + 3 + 1 + 1))
    distinct = {*b"it is", *b"x-y", *"ភាសា".encode(), *"កខ".encode()}
    assert summary["used"] == len(distinct) / 288
    rows = found.rows()
    assert [(row["lang"], row["factor"], row["cr_byte"]) for row in rows] == [("en", 1.0, 1.0), ("km", 2.25, 1.0)]


def test_a_tokenizer_is_as_fair_as_itself() -> None:
    found = measure("bytes", assembled([], Bpe(vocab=288)), parallel(FRAME))
    assert difference(found, found, resampling(2)) == (0.0, 0.0, 0.0)


def test_an_interval_holds_its_value_and_depends_on_the_seed_alone() -> None:
    rng = np.random.default_rng(1)
    rows = [
        (lang, str(at), "a" * rng.integers(1, 9) * size) for lang, size in (("en", 1), ("el", 3)) for at in range(60)
    ]
    found = measure(
        "x", assembled([], Bpe(vocab=288)), parallel(pl.DataFrame(rows, ["lang", "line", "text"], orient="row"))
    )
    said = found.summary(resampling(60, seed=3))
    assert said["gini_low"] < said["gini"] < said["gini_high"]
    assert said == found.summary(resampling(60, seed=3))


def test_resampling_takes_as_many_lines_as_there_are() -> None:
    weights = resampling(7, times=20)
    assert weights.shape == (20, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_lines_without_names_count_within_their_language() -> None:
    text = parallel(FRAME.drop("line"))
    assert text.left_out == 1
    assert text.texts == [["it is", "x-y"], ["ភាសា", "កខ"]]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([("en", "a", "x"), ("en", "a", "y"), ("de", "a", "z")], "line 'a' occurs twice in en"),
        ([("en", "a", "x")], "1 languages"),
        ([("en", "a", "x"), ("de", "b", "y")], "no line that every language has"),
        ([("en", "a", "x"), ("de", "a", "  ")], "1 languages"),
    ],
)
def test_what_is_not_parallel_is_refused(rows: list[tuple[str, str, str]], match: str) -> None:
    with pytest.raises(DataError, match=match):
        parallel(pl.DataFrame(rows, schema=["lang", "line", "text"], orient="row"))


def test_the_plot_shows_every_language(tmp_path: Path) -> None:
    found = measure("bytes $x", assembled([], Bpe(vocab=288)), parallel(FRAME))
    axes = fairness_plot([found, found], "a $ b").axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["km", "en"]
    assert [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)] == [9.0, 4.0, 9.0, 4.0]
    first, second = (save_plot(tmp_path / name, [found], "t").read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    assert first.startswith(b"\x89PNG")
    with pytest.raises(DataError, match=r"\.svg"):
        save_plot(tmp_path / "a.svg", [found], "t")
