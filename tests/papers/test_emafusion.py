"""EMAFusion, the worked formulas of the method: blend, dial, break-even, cells, and fusion above its parts."""

import numpy as np
import pytest

from homespun.router.classifier import Classifier, blend
from homespun.router.policy import HALF, ChoicePolicy, Knowledge
from homespun.router.replay import Seen
from homespun.router.taxonomy import CellTable
from homespun.router.thresholds import break_even


class Fixed:
    """A predictor that says the same of every prompt."""

    def __init__(self, scores: list[float]) -> None:
        self.scores = scores


def knowledge(table: list[list[float]], n: float) -> Knowledge:
    """Two cells, two arms, one dollar and ten cents."""
    scores = np.array(table)
    count = np.full((3, 2), n)
    totals = np.vstack([scores, scores.mean(axis=0)]) * n
    dollars = np.tile([1.0, 0.1], (3, 1)) * n
    return Knowledge(
        arms=("strong", "weak"),
        reference=1.0,
        predictor=Fixed([]),  # type: ignore[arg-type]
        classifier=Classifier(("a", "b"), np.zeros((1, 2)), np.zeros(2)),
        table=CellTable(cells=("a", "b"), n=count, wins=totals, dollars=dollars),
        centre=np.array([[0.5, 0.1], [0.5, 0.1]]),
        plans={},
    )


def test_classifiers_blend_by_lambda() -> None:
    """p_fusion = λ·p_slow + (1 - λ)·p_fast, §2.3."""
    assert blend(np.array([0.2, 0.8]), np.array([1.0, 0.0]), weight=0.25) == pytest.approx([0.4, 0.6])


def test_a_familiar_cell_trusts_the_table_and_an_ambiguous_prompt_the_predictor() -> None:
    """α = n/(n + 50)·(1 - H/H_max), §4.3."""
    known = knowledge([[0.9, 0.4], [0.6, 0.5]], n=150.0)
    sure, torn = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
    learned = np.array([[0.3, 0.7]])
    at_sure, at_torn = known.reading(sure, learned), known.reading(torn, learned)
    assert at_sure.alpha[0] == pytest.approx(150 / (150 + HALF))
    assert at_sure.blend[0] == pytest.approx(0.75 * np.array([0.9, 0.4]) + 0.25 * learned[0])
    assert at_torn.alpha[0] == pytest.approx(0.0)
    assert at_torn.blend[0] == pytest.approx(learned[0])


@pytest.mark.parametrize(("mu", "arm"), [(0.0, 0), (0.5, 0), (0.6, 1)])
def test_the_dial_trades_score_for_money(mu: float, arm: int) -> None:
    """Strong gains .5 for .9 more of the reference cost: worth it up to μ = .5/.9."""
    known = knowledge([[0.9, 0.4], [0.9, 0.4]], n=1e6)
    policy = ChoicePolicy("taxonomy-only", known, "taxonomy", mu)
    policy.use(known.reading(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])))
    empty = Seen(np.zeros(1, dtype=np.int64), (), np.zeros((1, 0), dtype=np.int64))
    assert policy.act(empty).ask.tolist() == [arm]


def test_an_arm_without_outcomes_in_the_cell_is_not_eligible() -> None:
    known = knowledge([[0.9, 0.4], [0.6, 0.5]], n=100.0)
    known.table.n[0, 0] = 0.0
    assert known.reading(np.array([[1.0, 0.0]]), np.zeros((1, 2))).eligible.tolist() == [[False, True]]


def test_two_tiers_save_by_the_rule() -> None:
    """A cascade at a twentieth of the cost that escalates a fifth saves 1 - .05 - .2."""
    assert break_even(0.05, 1.0, 0.2) == pytest.approx(0.75)
