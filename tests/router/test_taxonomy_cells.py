"""Cells borrow by the formula; the labeller and the classifiers keep their promises."""

import anyio
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.errors import DataError
from homespun.models.scripted import Rule, Scripted
from homespun.router.classifier import Classifier, blend, certainty, classify_slowly
from homespun.router.taxonomy import CellTable, capable, cell_labels, fit_table, label, taxonomy


def test_shrinkage_by_hand() -> None:
    """10 prompts of score 1 beside 90 of score 0.5: (10·1 + 20·0.55) / 30."""
    cell = np.array([0] * 10 + [1] * 90)
    score = np.where(cell == 0, 1.0, 0.5)[:, None]
    table = fit_table(cell, ("small", "large"), score, np.ones((100, 1)))
    assert table.score()[:, 0] == pytest.approx([(10 + 20 * 0.55) / 30, 0.5])
    assert table.cost()[:, 0] == pytest.approx([1.0, 1.0])


@given(st.integers(1, 80), st.integers(1, 80), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_a_shrunken_score_lies_between_cell_and_parent(small: int, large: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = np.array([0] * small + [1] * large)
    score = rng.random((small + large, 2))
    table = fit_table(cell, ("a", "b"), score, score)
    parent = score.mean(axis=0)
    for number in range(2):
        own = score[cell == number].mean(axis=0)
        low, high = np.minimum(own, parent), np.maximum(own, parent)
        assert ((table.score()[number] >= low - 1e-9) & (table.score()[number] <= high + 1e-9)).all()


def test_a_table_survives_its_frame_and_refuses_another_taxonomy() -> None:
    table = fit_table(np.array([0, 1, 1]), ("a", "b"), np.array([[1.0, 0.0]] * 3), np.ones((3, 2)))
    frame = table.frame(["x", "y"])
    again = CellTable.from_frame(frame, ("a", "b"), 2)
    assert (again.n == table.n).all()
    assert (again.score() == table.score()).all()
    with pytest.raises(DataError, match="taxonomy"):
        CellTable.from_frame(frame.with_columns(pl.lit("0").alias("taxonomy_version")), ("a", "b"), 2)


@pytest.mark.parametrize(
    ("prompt", "task", "domain"),
    [
        ("How many apples are left altogether?", "math", "general"),
        ("Write a function in Python that sorts a list", "code_gen", "software"),
        ("Summarise the plaintiff's lawsuit", "summarise", "law"),
        ("Translate this to French", "rewrite_translate", "general"),
        ("Hello there", "chat", "general"),
    ],
)
def test_signs(prompt: str, task: str, domain: str) -> None:
    found = label(prompt)
    assert (found.task, found.domain) == (task, domain)


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_every_label_is_a_value_of_its_axis(prompt: str) -> None:
    axes = taxonomy()["axes"]
    assert all(getattr(label(prompt), axis) in axes[axis] for axis in axes)


def test_io_is_a_hard_filter() -> None:
    assert capable("text", None)
    assert not capable("tools", None)
    assert not capable("tools", ["json_schema"])
    assert capable("tools", ["tools"])
    assert label("x" * 200_000).io == "long_context"
    with pytest.raises(DataError, match="unknown io"):
        capable("smell", None)


def test_rare_labels_are_merged() -> None:
    prompts = [f"p{i}" for i in range(130)]
    assert cell_labels(prompts, ["big"] * 70 + ["rare"] * 60, min_leaf=65) == ["big"] * 70 + ["other"] * 60
    assert set(cell_labels(prompts, [""] * 130)) == {"chat/low"}


def test_two_cells_equal_the_logistic_function() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 3))
    labels = ["b" if x > 0 else "a" for x in features[:, 0]]
    classifier = Classifier.fit(features, labels)
    p = classifier.predict(features)
    assert np.allclose(p.sum(axis=1), 1)
    assert np.mean([classifier.cells[i] == name for i, name in zip(p.argmax(axis=1), labels, strict=True)]) > 0.95
    again = Classifier.restored(classifier.cells, classifier.arrays())
    assert (again.predict(features) == p).all()


def test_certainty_has_its_limits() -> None:
    assert certainty(np.array([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx([1.0, 0.0])
    assert certainty(np.array([[1.0]])) == pytest.approx([1.0])


def test_slow_classifier_blends_or_is_given_up() -> None:
    cells = ("math", "chat")
    good = Scripted([Rule(replies=('Sure: {"math": 3, "chat": 1}',))])
    slow = anyio.run(lambda: classify_slowly("2+2?", cells, good))
    assert slow == pytest.approx([0.75, 0.25])
    assert blend(np.array([0.5, 0.5]), slow) == pytest.approx([0.65, 0.35])
    late = Scripted([Rule(replies=('{"math": 1}',), delay=5.0)])
    assert anyio.run(lambda: classify_slowly("2+2?", cells, late, timeout=0.05)) is None
    for text in ("no json", "{}", '{"math": "high"}', "[1]"):
        silly = Scripted([Rule(replies=(text,))])
        assert anyio.run(lambda model=silly: classify_slowly("2+2?", cells, model)) is None
    assert blend(np.array([0.2, 0.8]), None) == pytest.approx([0.2, 0.8])
