"""Whom to pair: the exact table, many draws against it, boosts, outages, and the pair that helps most."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.special import expit
from scipy.stats import chisquare

from homespun.arena.newton import Floats
from homespun.arena.pairing import Config, Pairing
from homespun.arena.rank import PRIOR, BradleyTerry, fit
from homespun.arena.votes_table import Counts, count
from homespun.errors import ConfigError

WEIGHTS = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 0.5}
SETTLED = dict.fromkeys(WEIGHTS, 1000)


def test_the_table_is_the_formula() -> None:
    total = sum(WEIGHTS[i] * WEIGHTS[j] for i, j in combinations("abcd", 2))
    found = Pairing("abcd", weights=WEIGHTS, votes=SETTLED).probabilities()
    assert found == pytest.approx({(i, j): WEIGHTS[i] * WEIGHTS[j] / total for i, j in combinations("abcd", 2)})


def test_it_is_not_a_draw_of_one_and_then_its_rival() -> None:
    """The released code: p proportional to w_i w_j (1 / (W - w_i) + 1 / (W - w_j))."""
    total = sum(WEIGHTS.values())
    w = WEIGHTS
    serial = {
        (i, j): w[i] * w[j] / total * (1 / (total - w[i]) + 1 / (total - w[j])) for i, j in combinations("abcd", 2)
    }
    assert sum(serial.values()) == pytest.approx(1)
    found = Pairing("abcd", weights=WEIGHTS, votes=SETTLED).probabilities()
    assert max(abs(found[pair] - chance) for pair, chance in serial.items()) > 0.03
    even = Pairing("abcd", votes=SETTLED).probabilities()
    assert even == pytest.approx(dict.fromkeys(combinations("abcd", 2), 1 / 6))


def test_many_draws_follow_the_table_and_both_sides_are_fair() -> None:
    pairing, generator = Pairing("abcd", weights=WEIGHTS, votes=SETTLED), np.random.default_rng(7)
    table, seen = pairing.probabilities(), dict[tuple[str, str], int]()
    for _ in range(8_000):
        draw = pairing.draw(generator)
        seen[draw.left, draw.right] = seen.get((draw.left, draw.right), 0) + 1
        assert draw.propensity == table[min(draw[:2]), max(draw[:2])]
    wanted = {side: chance / 2 for pair, chance in table.items() for side in (pair, pair[::-1])}
    assert seen.keys() == wanted.keys()
    assert chisquare([seen[pair] for pair in wanted], [8_000 * chance for chance in wanted.values()]).pvalue > 0.01
    skewed = [8_000 / 12] * 12
    assert chisquare([seen[pair] for pair in wanted], skewed).pvalue < 1e-6


def test_newcomers_are_raised_until_they_have_enough_votes() -> None:
    votes = {"a": 100, "b": 99, "c": 5000}
    found = Pairing("abc", votes=votes, config=Config(boost=3.0, enough=100)).probabilities()
    assert found == pytest.approx({("a", "b"): 3 / 7, ("a", "c"): 1 / 7, ("b", "c"): 3 / 7})
    later = Pairing("abc", votes=votes | {"b": 100}, config=Config(boost=3.0, enough=100)).probabilities()
    assert later == pytest.approx(dict.fromkeys(combinations("abc", 2), 1 / 3))


def test_outages_and_pairs_that_must_not_meet() -> None:
    pairing = Pairing("abcde", outage=["e"], never_meet=[("b", "a"), ("c", "nobody")])
    assert set(pairing.probabilities()) == set(combinations("abcd", 2)) - {("a", "b")}
    assert sum(pairing.probabilities().values()) == pytest.approx(1)
    with pytest.raises(ConfigError, match="no two contestants may meet"):
        Pairing("ab", never_meet=[("a", "b")])
    with pytest.raises(ConfigError, match="no two contestants may meet"):
        Pairing("ab", outage="a")


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_what_is_no_weight_is_refused(weight) -> None:
    with pytest.raises(ConfigError, match="is no weight"):
        Pairing("ab", weights={"a": weight})
    with pytest.raises(ConfigError, match="twice"):
        Pairing("aba")
    with pytest.raises(ConfigError, match="is no factor"):
        Config(boost=weight)
    with pytest.raises(ConfigError, match="is no share"):
        Config(explore=0.0)


@given(some.lists(some.floats(0, 10), min_size=2, max_size=7), some.integers(0, 100))
def test_chances_sum_to_one_and_scaling_all_weights_does_nothing(weights, seed) -> None:
    names = [str(index) for index in range(len(weights))]
    if sum(weight > 1e-3 for weight in weights) < 2:
        return
    one = Pairing(names, weights=dict(zip(names, weights, strict=True)))
    tenfold = Pairing(names, weights={name: 10 * weight for name, weight in zip(names, weights, strict=True)})
    assert sum(one.probabilities().values()) == pytest.approx(1)
    drawn, again = (each.draw(np.random.default_rng(seed)) for each in (one, tenfold))
    assert drawn[:2] == again[:2]
    assert drawn.propensity == pytest.approx(again.propensity)


def widths(names: list[str], counts: Counts, strength: dict[str, float], extra: tuple[str, str] | None) -> Floats:
    """Variance of each strength from the mean, by inverting the whole information, one vote more or not."""
    matrix = PRIOR * np.eye(len(names))
    met = counts.weighted_3P.sum(axis=0)
    votes = [
        (counts.models[i], counts.models[j], number)
        for i, j, number in zip(counts.pairs.first_P, counts.pairs.second_P, met, strict=True)
    ]
    for one, other, number in votes + ([(*extra, 1.0)] if extra else []):
        chance = expit(strength[one] - strength[other])
        x = np.array([float(name == one) - float(name == other) for name in names])
        matrix += number * chance * (1 - chance) * np.outer(x, x)
    centre = np.eye(len(names)) - 1 / len(names)
    return np.diag(centre @ np.linalg.inv(matrix) @ centre.T)


def test_active_mode_picks_what_shrinks_the_widest_interval_most(simulate) -> None:
    votes = simulate([0.8, 0.3, 0.0, -0.4, -0.9], 60, seed=2)
    counts = count(votes)
    found = fit(counts, BradleyTerry())
    names = [*counts.models, "new"]
    strength = dict(zip(counts.models, found.strength_M, strict=True)) | {"new": 0.0}
    before = widths(names, counts, strength, None)
    widest = int(np.argmax(before))
    assert names[widest] == "new"
    pairing = Pairing(names)
    helped = {pair: before[widest] - widths(names, counts, strength, pair)[widest] for pair in pairing.probabilities()}
    reductions = dict(zip(pairing.probabilities(), pairing.reductions(counts, found), strict=True))
    assert reductions == pytest.approx(helped, abs=1e-9)
    best = max(helped, key=helped.__getitem__)
    generator = np.random.default_rng(0)
    drawn = [pairing.draw_active(generator, counts, found) for _ in range(400)]
    share = np.mean([{draw.left, draw.right} == set(best) for draw in drawn])
    expected = 0.7 + 0.3 * pairing.probabilities()[best]
    assert share == pytest.approx(expected, abs=0.06)
    for draw in drawn:
        pair = next(pair for pair in pairing.probabilities() if set(pair) == {draw.left, draw.right})
        assert draw.propensity == pytest.approx(0.3 * pairing.probabilities()[pair] + 0.7 * (pair == best))


def test_active_mode_heeds_outages_and_models_that_left(simulate) -> None:
    counts = count(simulate([0.5, 0.0, -0.5, 0.2], 200))
    found = fit(counts, BradleyTerry())
    pairing = Pairing(["m00", "new", "m02"], outage=["new"], config=Config(explore=0.01))
    generator = np.random.default_rng(0)
    drawn = {frozenset(pairing.draw_active(generator, counts, found)[:2]) for _ in range(50)}
    assert drawn == {frozenset(["m00", "m02"])}


@pytest.mark.slow
def test_active_draws_need_fewer_votes_than_even_ones(simulate) -> None:
    """The widest interval after 300 more votes, where one model came late."""
    strength = dict(zip(["m00", "m01", "m02", "m03", "m04", "m05"], [0.6, 0.3, 0.1, -0.2, -0.4, -0.4], strict=True))
    start = simulate(list(strength.values())[:5], 400)
    left: dict[bool, float] = {}
    for active in (True, False):
        generator, votes = np.random.default_rng(1), start.rows()
        pairing = Pairing(list(strength), votes=dict.fromkeys(strength, 500), config=Config(explore=0.1))
        for _ in range(60):
            counts = count(start.clear().extend(type(start)(votes, schema=start.schema, orient="row")))
            found = fit(counts, BradleyTerry())
            for _ in range(5):
                draw = pairing.draw_active(generator, counts, found) if active else pairing.draw(generator)
                won = generator.random() < expit(strength[draw.left] - strength[draw.right])
                votes.append((draw.left, draw.right, "model_a" if won else "model_b"))
        counts = count(type(start)(votes, schema=start.schema, orient="row"))
        found = fit(counts, BradleyTerry())
        known = dict(zip(counts.models, found.strength_M, strict=True))
        left[active] = float(widths(list(strength), counts, known, None).max())
    assert left[True] < 0.85 * left[False]
