"""Off-policy value: closed forms on a small world, simulation, and the laws that the estimators are named after."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.errors import DataError
from homespun.router.intervals import resamples
from homespun.router.offpolicy import Logged, Method, difference, value

KINDS = np.array([[0.9, 0.5, 0.2], [0.3, 0.6, 0.8]])  # mean reward of three arms on two kinds of request
LOGGING = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
NEW = np.array([[0.1, 0.1, 0.8], [0.0, 0.2, 0.8]])
TRUTH = float((NEW * KINDS).sum(axis=1).mean())


def world(
    num: int, seed: int, *, model: np.ndarray = KINDS, believed: np.ndarray = LOGGING, shadow: float = 0.0
) -> tuple[Logged, np.ndarray]:
    """Logged decisions under LOGGING, whose propensities are believed to be ``believed``; and each one's kind."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, size=num)
    action = (rng.random(num)[:, None] > LOGGING[kind].cumsum(axis=1)[:, :2]).sum(axis=1)
    right = (rng.random((num, 3)) < KINDS[kind]).astype(float)
    reward, rows = np.full((num, 3), np.nan), np.arange(num)
    reward[rows, action] = right[rows, action]
    chance = np.where(np.isnan(reward), 1.0, believed[kind])
    seen = rng.random(num) < shadow  # a shadowed request knows arm 2 for certain and one of the others by a fair coin
    other = rng.integers(0, 2, size=num)
    reward[seen], chance[seen] = np.nan, 1.0
    reward[seen, 2] = right[seen, 2]
    reward[seen, other[seen]], chance[seen, other[seen]] = right[seen, other[seen]], 0.5
    return Logged(reward=reward, chance=chance, model=model[kind]), kind


def test_closed_form_on_four_requests() -> None:
    nan = np.nan
    logged = Logged(
        reward=np.array([[1.0, nan], [nan, 0.5], [0.0, nan], [nan, 1.0]]),
        chance=np.array([[0.8, 1], [1, 0.2], [0.5, 1], [1, 0.5]]),
        model=np.array([[0.6, 0.4]] * 4),
    )
    policy = np.array([[0.4, 0.6]] * 4)
    assert value(logged, policy, method="ips").value == pytest.approx((0.5 + 1.5 + 0 + 1.2) / 4)
    assert value(logged, policy, method="snips").value == pytest.approx(3.2 / (0.5 + 3 + 0.8 + 1.2))
    correction = 0.5 * 0.4 + 3 * 0.1 + 0.8 * -0.6 + 1.2 * 0.6
    assert value(logged, policy).value == pytest.approx(0.4 * 0.6 + 0.6 * 0.4 + correction / 4)
    assert value(logged, policy).effective == pytest.approx(5.5**2 / (0.25 + 9 + 0.64 + 1.44))
    clipped = value(logged, policy, clip=2.0)
    assert clipped.clipped == 0.25
    assert clipped.value == pytest.approx(0.4 * 0.6 + 0.6 * 0.4 + (correction - 0.1) / 4)  # 2 instead of 3


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ips", "snips", "dr"])
@pytest.mark.parametrize("shadow", [0.0, 0.5])
def test_unbiased_and_covering(method: Method, shadow: float) -> None:
    found = []
    for seed in range(300):
        logged, kind = world(300, seed, shadow=shadow, model=KINDS * 0.5 + 0.2)
        found.append(value(logged, NEW[kind], method=method))
    mean = np.mean([e.value for e in found])
    error = np.std([e.value for e in found]) / np.sqrt(300)
    assert abs(mean - TRUTH) < 4 * error + (0.004 if method == "snips" else 0.0)  # SNIPS: bias of order 1/n
    covered = np.mean([e.low <= TRUTH <= e.high for e in found])
    assert 0.90 <= covered <= 0.99


@pytest.mark.parametrize("method", ["ips", "snips"])
def test_the_logging_policy_has_the_plain_mean(method: Method) -> None:
    rng = np.random.default_rng(0)
    action, reward = rng.integers(0, 3, size=50), rng.random(50)
    table = np.full((50, 3), np.nan)
    table[np.arange(50), action] = reward
    sure = np.eye(3)[action]  # a deterministic policy logged itself: weights are one
    assert value(Logged(reward=table, chance=np.ones((50, 3))), sure, method=method).value == pytest.approx(
        reward.mean()
    )


@pytest.mark.slow
def test_either_model_suffices() -> None:
    wrong_rewards, wrong_chances = np.full((2, 3), 0.9), np.full((2, 3), 1 / 3)

    def mean(**faults: np.ndarray) -> tuple[float, float]:
        made = [world(400, seed, **faults) for seed in range(200)]
        values = [value(logged, NEW[kind]).value for logged, kind in made]
        return float(np.mean(values)), float(np.std(values) / np.sqrt(200))

    for faults in ({"model": wrong_rewards}, {"believed": wrong_chances}):
        found, error = mean(**faults)
        assert abs(found - TRUTH) < 4 * error
    assert abs(mean(model=wrong_rewards, believed=wrong_chances)[0] - TRUTH) > 0.02


def test_difference_is_paired() -> None:
    logged, kind = world(500, 3)
    half = NEW.copy()
    half[0] = LOGGING[0]  # the policies agree on kind 0
    gap = difference(logged, half[kind], LOGGING[kind])
    plain = value(logged, half[kind]).value - value(logged, LOGGING[kind]).value
    assert gap.value == pytest.approx(plain)
    assert gap.deviation < np.hypot(value(logged, half[kind]).deviation, value(logged, LOGGING[kind]).deviation)
    nothing = difference(logged, NEW[kind], NEW[kind])
    assert (nothing.value, nothing.low, nothing.high, nothing.effective) == (0.0, 0.0, 0.0, 0.0)


def test_influence_agrees_with_the_bootstrap_over_conversations() -> None:
    logged, kind = world(600, 5)
    group = np.arange(600) // 3
    each = Logged(reward=logged.reward, chance=logged.chance, model=logged.model, group=group)
    found = value(each, NEW[kind])
    weights = np.concatenate(list(resamples(600, num_resamples=1000, groups=group)))
    known = ~np.isnan(logged.reward)
    assert logged.model is not None
    gap = np.where(known, NEW[kind] / logged.chance * (np.nan_to_num(logged.reward) - logged.model), 0.0)
    z = (NEW[kind] * logged.model + gap).sum(axis=1)
    boot = weights @ z / weights.sum(axis=1)
    assert found.deviation == pytest.approx(boot.std(), rel=0.1)


@given(st.integers(0, 1000), st.floats(-2, 2), st.floats(0.1, 3))
def test_values_move_with_the_rewards(seed: int, shift: float, scale: float) -> None:
    logged, kind = world(60, seed)
    assert logged.model is not None
    other = Logged(reward=logged.reward * scale + shift, chance=logged.chance, model=logged.model * scale + shift)
    for method in ("snips", "dr"):
        before, after = value(logged, NEW[kind], method=method), value(other, NEW[kind], method=method)
        assert after.value == pytest.approx(before.value * scale + shift, abs=1e-9)
        assert after.deviation == pytest.approx(before.deviation * scale, abs=1e-9)


def test_what_is_wrong_is_told() -> None:
    logged, kind = world(10, 0)
    with pytest.raises(DataError, match="sum to one"):
        value(logged, NEW[kind] * 2)
    with pytest.raises(DataError, match="without a model"):
        value(Logged(reward=logged.reward, chance=logged.chance), NEW[kind])
    with pytest.raises(DataError, match="chance"):
        Logged(reward=logged.reward, chance=np.zeros((10, 3)))
