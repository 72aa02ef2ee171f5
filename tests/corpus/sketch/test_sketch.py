"""Sketches of scores: against numpy's quantile and exact counts; adding up in any order."""

from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from homespun.corpus.sketch import BITS, TABLE, Sketch, bins_of, first_scores
from homespun.errors import DataError

scores = st.floats(0, 1, width=32)
rows = st.lists(st.tuples(st.sampled_from(["de", "en", None]), scores), max_size=60)


def sketch(pairs: list[tuple[str | None, float]]) -> Sketch:
    return Sketch.counted([lang for lang, _ in pairs], [score for _, score in pairs])


def odds(score: float) -> float:
    return np.inf if score >= 1 else score / (1 - score)


@given(scores, scores)
@example(0.0, -0.0)
@example(1.0, float(np.nextafter(np.float32(1), np.float32(0))))
def test_a_greater_score_never_has_a_smaller_bin(a: float, b: float) -> None:
    low, high = bins_of(sorted([a, b]))
    assert low <= high
    assert bins_of([0.0])[0] == bins_of([-0.0])[0]


@given(scores)
def test_the_first_score_of_a_bin_is_the_smallest_float_of_it(score: float) -> None:
    bin_ = int(bins_of([score])[0])
    first = float(first_scores([bin_])[0])
    assert first <= score
    assert bins_of([first])[0] == bin_
    if first > 0:
        before = np.nextafter(np.float32(first), np.float32(0))
        assert bins_of([before])[0] < bin_


def test_first_scores_are_those_of_a_search_through_all_floats() -> None:
    bits = np.unique(np.concatenate([np.arange(0, 0x3F800001, 9973), np.arange(0x3F7FF000, 0x3F800001)]))
    values = bits.astype(np.uint32).view(np.float32)
    bins = bins_of(values)
    for bin_ in np.unique(bins)[::97]:
        low, high = 0, 0x3F800000  # floats are ordered as their bits are
        while low < high:
            middle = (low + high) // 2
            if bins_of(np.array([middle], np.uint32).view(np.float32))[0] >= bin_:
                high = middle
            else:
                low = middle + 1
        assert first_scores([bin_])[0] == np.array([low], np.uint32).view(np.float32)[0]


@given(rows, rows, rows)
def test_adding_up_is_the_sketch_of_all_in_any_order_and_grouping(a: list, b: list, c: list) -> None:
    whole = sketch(a + b + c)
    for x, y, z in permutations([sketch(a), sketch(b), sketch(c)]):
        assert x.merge(y).merge(z) == x.merge(y.merge(z)) == whole
        assert x.merge(y).merge(z).table().equals(whole.table())


@given(rows)
def test_a_table_gives_the_sketch_back(pairs: list) -> None:
    made = sketch(pairs)
    assert Sketch.of(made.table()) == made
    assert made.table().schema == TABLE
    assert sketch(pairs[::-1]).table().equals(made.table())


def test_merging_leaves_both_as_they_were() -> None:
    left, right = sketch([("de", 0.5)]), sketch([("de", 0.5), ("en", 0.1)])
    left.merge(right)
    assert left == sketch([("de", 0.5)])
    assert right.count("de") == 1


@given(st.lists(scores, min_size=1, max_size=80), st.floats(0, 1))
def test_a_quantile_is_numpys_within_the_width_of_a_bin(values: list[float], q: float) -> None:
    exact = float(np.quantile(np.array(values, dtype=np.float32), q, method="inverted_cdf"))
    found = Sketch.counted(["de"] * len(values), values).quantile("de", q)
    assert found <= exact
    assert bins_of([found])[0] == bins_of([exact])[0]
    if np.isfinite(odds(exact)) and exact > 1e-37:  # below, float32 itself is coarser than a bin
        assert odds(exact) <= odds(found) * (1 + 2**-BITS) * (1 + 2**-20)


def test_published_thresholds_are_told_apart() -> None:
    near = [0.99944, 0.9994, 0.9985, 0.9977, 0.9953, 0.9883, 0.9867, 0.9476, 0.5954]
    assert len(set(bins_of(near).tolist())) == len(near)
    for value in near:
        first, following = first_scores([bins_of([value])[0], bins_of([value])[0] + 1])
        assert following - first <= 2**-BITS * value * (1 - value) * 1.01


@given(st.lists(scores, min_size=1, max_size=60))
def test_edges_count_what_a_comparison_counts(values: list[float]) -> None:
    array = np.array(values, dtype=np.float32).astype(np.float64)
    edges = Sketch.counted(["x"] * len(values), values).edges("x")
    assert edges.above[0] == len(values)
    assert edges.above[-1] == 0
    for score, below, above in zip(*edges, strict=True):
        assert (array < score).sum() == below
        assert (array >= score).sum() == above


def test_languages_are_apart_and_none_is_und() -> None:
    made = sketch([("de", 0.5), (None, 0.1), ("de", 0.6)])
    assert made.languages == ("de", "und")
    assert (made.count("de"), made.count("und"), made.count("fr")) == (2, 1, 0)


def test_a_million_scores_take_little_room() -> None:
    generator = np.random.default_rng(0)
    values = 1 / (1 + np.exp(-generator.normal(0, 3, 1_000_000)))
    made = Sketch.counted(["de"] * len(values), values)
    assert made.table().num_rows < 10_000
    exact = np.quantile(values.astype(np.float32), [0.05, 0.67, 0.9994], method="inverted_cdf")
    found = [made.quantile("de", q) for q in (0.05, 0.67, 0.9994)]
    np.testing.assert_allclose(found, exact, rtol=2**-BITS)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), float("inf")])
def test_no_score(bad: float) -> None:
    with pytest.raises(DataError, match="row 1"):
        Sketch.counted(["de", "de"], [0.5, bad])


def test_a_forged_table_is_refused() -> None:
    good = sketch([("de", 0.5)]).table()
    rows = good.to_pylist()[0]
    for change in ({"bin": -1}, {"bin": 10**6}, {"count": 0}, {"count": None}, {"lang": None}):
        with pytest.raises(DataError, match="sketch"):
            Sketch.of(pa.Table.from_pylist([{**rows, **change}], schema=TABLE))
    with pytest.raises(DataError, match="sketch"):
        Sketch.of(pa.concat_tables([good, good]))
    with pytest.raises(DataError, match="columns"):
        Sketch.of(good.drop_columns("bin"))


def test_no_quantile_of_nothing() -> None:
    with pytest.raises(DataError, match="no quantile"):
        Sketch().quantile("de", 0.5)
    with pytest.raises(DataError, match="no quantile"):
        sketch([("de", 0.5)]).quantile("de", 1.5)
    assert len(Sketch().edges("de").score) == 0
