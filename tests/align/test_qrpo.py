"""QRPO: its minimum is the optimal policy, Z is what sampling gives, and only the order of rewards counts."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from homespun.align.qrpo import LARGEST, QRPO, log_z, loss, quantile_rewards
from homespun.errors import ConfigError


def test_quantiles_by_hand() -> None:
    assert quantile_rewards([0, 2, 2.5, 9], [1, 2, 3, 4]).tolist() == [0, 0.5, 0.5, 1]
    assert quantile_rewards([1], [1, 1, 1]).tolist() == [1]


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=10),
    st.lists(st.integers(-50, 50), min_size=1, max_size=20),
    st.sampled_from([lambda r: 3 * r + 7, lambda r: r**3, math.exp, math.atan]),
)
def test_only_the_order_of_rewards_counts(rewards: list[int], reference: list[int], change: object) -> None:
    before = quantile_rewards([r / 5 for r in rewards], [r / 5 for r in reference])
    after = quantile_rewards([change(r / 5) for r in rewards], [change(r / 5) for r in reference])  # type: ignore[operator]
    assert before.tolist() == after.tolist()


@pytest.mark.parametrize("beta", [0.05, 0.3, 1.0, 5.0])
def test_z_is_the_mean_under_the_reference(beta: float) -> None:
    rng = np.random.default_rng(0)
    seen = []
    for n in (10, 100, 10_000):
        own = rng.normal(size=n)
        quantiles = quantile_rewards(own, own)  # 1/n, 2/n, … 1
        seen.append(abs(math.log(np.exp((quantiles - 1) / beta).mean()) + 1 / beta - log_z(beta)))
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 2e-3


def test_log_z_is_the_closed_form_and_does_not_overflow() -> None:
    for beta in (0.5, 1.0, 7.0):
        assert log_z(beta) == pytest.approx(math.log(beta * (math.exp(1 / beta) - 1)))
    assert log_z(1e-4) == pytest.approx(math.log(1e-4) + 1e4)


@pytest.mark.parametrize("by_length", [False, True])
def test_the_minimum_is_the_optimal_policy(by_length: bool) -> None:
    """A policy over 2,000 answers, trained by the loss, ends at π_ref e^{R_q/β} / Z."""
    generator = torch.Generator().manual_seed(0)
    count, settings = 2000, QRPO(beta=0.5, by_length=by_length)
    lengths = torch.full((count,), 10.0)
    reference = torch.log_softmax(torch.zeros(count, dtype=torch.float64), 0)
    rewards = torch.randn(count, generator=generator).numpy()
    quantiles = torch.from_numpy(quantile_rewards(rewards, rewards))
    scores = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([scores], max_iter=400, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def again() -> "torch.Tensor":
        optimiser.zero_grad()
        value = loss(torch.log_softmax(scores, 0), reference, quantiles, lengths, settings)
        value.backward()
        return value

    for _ in range(5):
        optimiser.step(again)
    beta = min(settings.beta / 10, LARGEST) if by_length else settings.beta
    optimum = reference + quantiles / beta - log_z(beta)
    found = torch.log_softmax(scores.detach(), 0)
    assert torch.allclose(found, optimum, atol=0.02)
    assert float(again().detach()) < 1e-5


def test_short_answers_are_capped() -> None:
    one = torch.tensor([-1.0])
    short = loss(one, one - 1, torch.tensor([0.5]), torch.tensor([1.0]), QRPO(beta=5))
    same = loss(one, one - 1, torch.tensor([0.5]), torch.tensor([50.0]), QRPO(beta=5))
    assert float(short) == pytest.approx(float(same))


def test_bad_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        QRPO(beta=0)
    with pytest.raises(ConfigError, match="must be numbers"):
        quantile_rewards([float("nan")], [1])
    with pytest.raises(ConfigError, match="must be numbers"):
        quantile_rewards([1], [])
