import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from homespun.router import frontier

FRACTION = st.floats(0, 1, allow_nan=False, width=32)
POINTS = st.lists(st.tuples(st.floats(0.125, 10, width=32), FRACTION), min_size=1, max_size=9)


def hull_by_brute_force(points, cost):
    """Best quality at a mean cost over all mixtures of two points (or one, or one with money left over)."""
    best = max((q for c, q in points if c <= cost), default=0.0)
    for (c1, q1), (c2, q2) in itertools.product(points, points):
        if c1 < cost < c2:
            best = max(best, q1 + (q2 - q1) * (cost - c1) / (c2 - c1))
    return best


@settings(deadline=None, max_examples=40)
@given(POINTS, st.floats(0.001, 12))
def test_hull_is_the_best_mixture_of_two_points(points, cost):
    hull = frontier.upper_hull(*zip(*points, strict=True))
    assert float(frontier.hull_quality(hull, cost)) == pytest.approx(hull_by_brute_force(points, cost), abs=1e-6)
    assert (np.diff(hull.cost) > 0).all()
    assert (np.diff(hull.quality) > 0).all()


@settings(deadline=None, max_examples=40)
@given(POINTS)
def test_aiq_is_the_mean_of_the_hull_over_the_range(points):
    cost, quality = zip(*points, strict=True)
    top = max(cost) + 1.0
    hull = frontier.upper_hull(cost, quality)
    grid = np.linspace(0, top, 20_001)
    middle = (grid[1:] + grid[:-1]) / 2
    expected = frontier.hull_quality(hull, middle).mean()
    assert frontier.aiq(cost, quality, c_min=0, c_max=top) == pytest.approx(float(expected), abs=2e-3)


def test_aiq_is_routerbench_s_with_a_range_from_zero():
    """Its definition by hand: trapezoids from the cheapest point to the dearest cost compared, over that cost."""
    cost, quality = [1.0, 2.0, 4.0, 5.0], [0.4, 0.7, 0.8, 0.6]
    area = (0.4 + 0.7) / 2 * 1 + (0.7 + 0.8) / 2 * 2 + 0.8 * 4
    assert frontier.aiq(cost, quality, c_min=0, c_max=8) == pytest.approx(area / 8)


def test_aiq_of_one_point_is_its_quality_from_its_cost_on():
    assert frontier.aiq([2.0], [0.5], c_min=2, c_max=10) == pytest.approx(0.5)
    assert frontier.aiq([2.0], [0.5], c_min=0, c_max=10) == pytest.approx(0.4)
    assert frontier.aiq([20.0], [0.5], c_min=0, c_max=10) == 0


@settings(deadline=None, max_examples=40)
@given(POINTS, POINTS)
def test_more_points_never_lower_aiq(points, more):
    def area(these):
        return frontier.aiq(*zip(*these, strict=True), c_min=0, c_max=11)

    assert area(points + more) >= area(points) - 1e-9


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(0, 2**31))
def test_apgr_law(num, seed):
    random = np.random.default_rng(seed)
    weak, strong = random.integers(0, 2, num).astype(float), np.ones(num)
    if weak.mean() == 1:
        weak[0] = 0.0
    gain = random.integers(0, 4, num).astype(float)
    value = float(frontier.apgr(gain, weak, strong))
    assert float(frontier.apgr(-gain, weak, strong)) == pytest.approx(1 - value)  # the order reversed
    assert float(frontier.apgr(np.zeros(num), weak, strong)) == pytest.approx(0.5)  # no information
    assert float(frontier.apgr(strong - weak, weak, strong)) >= value - 1e-12  # nothing beats the truth
    assert float(frontier.apgr(3 * gain + 1, weak, strong)) == pytest.approx(value)  # only the order counts
    order = random.permutation(num)
    assert float(frontier.apgr(gain[order], weak[order], strong[order])) == pytest.approx(value)


def test_apgr_by_hand():
    """Four prompts, gains 1, 0, 0, -1 in perfect order: PGR is 1 after one, stays, and ends at 0 gap... scaled."""
    weak, strong = np.array([0.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.0])
    gain = np.array([4.0, 3.0, 2.0, 1.0])  # accuracy .25 .5 .75 .75 .75
    assert float(frontier.apgr(gain, weak, strong)) == pytest.approx((0.25 + 0.75 + 1 + 1) / 4)
    assert frontier.cpt(gain, weak, strong, 0.5) == pytest.approx(0.25)
    assert frontier.cpt(gain, weak, strong, 0.75) == pytest.approx(0.375)
    assert frontier.cpt(gain, weak, strong, 0.0) == 0


def test_ties_are_the_mean_over_their_orders():
    weak, strong = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0])
    tied = np.array([1.0, 1.0, 0.0])
    orders = [np.array([3.0, 2.0, 0.0]), np.array([2.0, 3.0, 0.0])]
    mean = np.mean([float(frontier.apgr(order, weak, strong)) for order in orders])
    assert float(frontier.apgr(tied, weak, strong)) == pytest.approx(mean)


@settings(deadline=None, max_examples=40)
@given(arrays(int, 12, elements=st.integers(0, 3)), st.integers(0, 2**31))
def test_weights_are_repetitions(counts, seed):
    random = np.random.default_rng(seed)
    weak, strong, gain = random.random(12), 1 + random.random(12), random.random(12)
    if counts.sum() == 0:
        counts[0] = 1
    repeated = [np.repeat(values, counts) for values in (gain, weak, strong)]
    weighted = frontier.apgr(gain, weak, strong, np.stack([counts, np.ones(12)]))
    assert weighted.shape == (2,)
    assert weighted[0] == pytest.approx(float(frontier.apgr(*repeated)))


def test_equal_models_have_no_gap_to_recover():
    same = np.array([1.0, 0.0])
    assert np.isnan(frontier.apgr([1, 2], same, same))
    assert np.isnan(frontier.cpt([1, 2], same, same, 0.5))


def test_arena_score_at_its_anchors():
    assert frontier.arena_score(0.7, 200) == 0
    assert frontier.arena_score(0.7, 0.0044) == pytest.approx(1.1 * 0.7 / (0.07 + 1))
    assert frontier.arena_score(0.0, 1.0) == 0
    assert frontier.arena_score(1.0, 0.0044) == pytest.approx(1.0)
    assert frontier.arena_score(0.7, 0.1) > frontier.arena_score(0.7, 10)


def test_saving_mixes_two_settings():
    saved = frontier.cost_saving([1.0, 3.0], [0.5, 0.9], reference_cost=10, reference_quality=0.7)
    assert saved == pytest.approx(0.8)
    assert np.isnan(frontier.cost_saving([1.0], [0.5], reference_cost=10, reference_quality=0.7))
    assert frontier.cost_saving([20.0], [0.8], reference_cost=10, reference_quality=0.7) == pytest.approx(-1)


@settings(deadline=None, max_examples=40)
@given(POINTS)
def test_pareto_front_by_definition(points):
    cost, quality = (np.array(values) for values in zip(*points, strict=True))
    beaten = [
        any((c <= cost[i] and q >= quality[i]) and (c < cost[i] or q > quality[i]) for c, q in points)
        for i in range(len(points))
    ]
    assert (frontier.pareto_front(cost, quality) == ~np.array(beaten)).all()


def test_pareto_distance():
    costs, qualities = [1.0, 2.0, 3.0], [0.0, 0.5, 1.0]
    assert frontier.pareto_distance(2.0, 0.5, costs=costs, qualities=qualities) == 0
    assert frontier.pareto_distance(3.0, 0.5, costs=costs, qualities=qualities) == pytest.approx(0.5)


def test_oracle_takes_the_cheapest_of_the_best_and_ignores_what_was_never_asked():
    score = np.array([[1.0, 1.0, 0.0], [np.nan, 0.2, 0.1], [0.5, np.nan, 0.5]])
    cost = np.array([[3.0, 2.0, 1.0], [np.nan, 2.0, 1.0], [np.nan, 1.0, np.nan]])
    best = frontier.oracle(score, cost)
    assert best.arm[:2].tolist() == [1, 1]
    assert best.score.tolist() == [1.0, 0.2, 0.5]
    assert best.arm[2] in (0, 2)
    assert frontier.regret(best.score, score) == 0
    assert frontier.regret(best.score - 0.1, score) == pytest.approx(0.1)


def test_gaps_to_best_single_and_oracle():
    score = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert frontier.gain_over_best(0.8, score) == pytest.approx(0.05)
    assert frontier.oracle_gap(0.75, score) == pytest.approx(1.0)
    assert frontier.oracle_gap(1.0, score) == pytest.approx(0.0)
    assert np.isnan(frontier.oracle_gap(1.0, np.ones((2, 2))))
