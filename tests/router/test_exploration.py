"""Thompson sampling in the ε-safe set: the probabilities against closed forms, simulation and laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from homespun.errors import ConfigError
from homespun.router.exploration import choose, probabilities, safe_set, seeded

Z = st.floats(-1, 1)
ARMS = st.lists(st.tuples(Z, st.floats(0, 1), st.booleans(), st.floats(0, 0.5)), min_size=1, max_size=6)


def chances(u: list[float], s: float | list[float]) -> np.ndarray:
    return probabilities(u, np.ones(len(u)), np.ones(len(u), bool), epsilon=0.05, spread=s)


def test_one_and_two_arms_are_exact() -> None:
    assert chances([0.3], 0.2).tolist() == [1.0]
    expected = norm.cdf((0.5 - 0.4) / math.hypot(0.1, 0.3))
    assert chances([0.5, 0.4], [0.1, 0.3])[0] == pytest.approx(expected, abs=1e-15)


def test_equal_arms_share_alike() -> None:
    assert chances([0.5] * 5, 0.2) == pytest.approx([0.2] * 5, abs=1e-12)


@pytest.mark.parametrize("s", [[0.2, 0.1, 0.4], [0.001, 0.5, 0.02], [0.0, 0.3, 0.1]])
def test_three_arms_against_adaptive_quadrature(s: list[float]) -> None:
    u = [0.6, 0.5, 0.45]

    def integrand(x: float) -> float:  # arm 1 wins
        others = [float(x > u[i]) if s[i] == 0 else norm.cdf((x - u[i]) / s[i]) for i in (0, 2)]
        return norm.pdf((x - u[1]) / s[1]) / s[1] * math.prod(others)

    low, high = u[1] - 9 * s[1], u[1] + 9 * s[1]
    inside = [x for i in (0, 2) for x in (u[i] - 5 * s[i], u[i], u[i] + 5 * s[i]) if low < x < high]
    reference = quad(integrand, low, high, points=inside, limit=400, epsabs=1e-12)[0]
    assert chances(u, s)[1] == pytest.approx(reference, abs=1e-8)


def test_against_what_thompson_sampling_does() -> None:
    u, s = np.array([0.5, 0.45, 0.52, 0.3]), np.array([0.1, 0.2, 0.05, 0.3])
    wins = np.argmax(np.random.default_rng(0).normal(u, s, size=(200_000, 4)), axis=1)
    assert np.bincount(wins, minlength=4) / 200_000 == pytest.approx(chances(list(u), list(s)), abs=0.004)


@given(ARMS, st.floats(0, 0.3))
def test_probabilities_sum_to_one_on_the_safe_set_alone(
    arms: list[tuple[float, float, bool, float]], epsilon: float
) -> None:
    u, q, allowed, s = (np.array(column) for column in zip(*arms, strict=True))
    if not allowed.any():
        with pytest.raises(ConfigError):
            probabilities(u, q, allowed, epsilon=epsilon, spread=s)
        return
    found = probabilities(u, q, allowed, epsilon=epsilon, spread=s)
    safe = safe_set(q, allowed, epsilon)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert (found >= 0).all()
    assert not found[~safe].any()
    chosen = choose(u, q, allowed, epsilon=epsilon, spread=s, rng=np.random.default_rng(1))
    assert safe[chosen.arm]
    assert chosen.propensity == found[chosen.arm] > 0


@given(st.lists(Z, min_size=2, max_size=5), st.floats(0.01, 0.5), st.floats(-3, 3))
def test_only_differences_of_utility_count(u: list[float], s: float, shift: float) -> None:
    assert chances([x + shift for x in u], s) == pytest.approx(chances(u, s), abs=1e-9)


@pytest.mark.slow
def test_choices_follow_their_propensities_and_their_seed() -> None:
    u, q, allowed = [0.5, 0.45, 0.52], [0.9, 0.9, 0.88], [True, True, True]
    made = [choose(u, q, allowed, epsilon=0.05, spread=0.1, rng=seeded(f"req-{i}")) for i in range(4000)]
    expected = probabilities(u, q, allowed, epsilon=0.05, spread=0.1)
    assert np.bincount([c.arm for c in made], minlength=3) / 4000 == pytest.approx(expected, abs=0.03)
    assert made[7] == choose(u, q, allowed, epsilon=0.05, spread=0.1, rng=seeded("req-7"))


def test_without_spread_the_best_is_taken_for_certain() -> None:
    assert choose([0.1, 0.4, 0.3], [0.5] * 3, [True] * 3, epsilon=0.0, spread=0.0, rng=seeded("x")) == (1, 1.0)


@pytest.mark.parametrize(("epsilon", "spread"), [(-0.1, 0.1), (0.1, -0.1), (0.1, float("nan"))])
def test_numbers_out_of_range_are_refused(epsilon: float, spread: float) -> None:
    with pytest.raises(ConfigError):
        probabilities([0.1, 0.2], [0.5, 0.5], [True, True], epsilon=epsilon, spread=spread)
