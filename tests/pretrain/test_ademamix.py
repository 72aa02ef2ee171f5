"""AdEMAMix: AdamW where α is 0, the formula step by step, and its two schedules at their ends."""

import math

import pytest
import torch

from homespun.pretrain.ademamix import AdEMAMix, alpha_at, beta3_at


def walk(optimiser_of: object, steps: int = 30) -> list[float]:
    """Parameters after each of some steps on equal gradients."""
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.nn.Parameter(torch.randn(5, 3, generator=generator)),
        torch.nn.Parameter(torch.randn(4, generator=generator)),
    ]
    optimiser = optimiser_of(weights)  # type: ignore[operator]
    seen = []
    for _ in range(steps):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimiser.step()
        seen.append(float(sum(weight.detach().double().square().sum() for weight in weights)))
    return seen


def test_without_the_slow_average_it_is_adamw() -> None:
    ours = walk(lambda p: AdEMAMix(p, lr=0.01, alpha=0.0, weight_decay=0.1))
    theirs = walk(lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.999), weight_decay=0.1, eps=1e-8))
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_each_step_is_the_formula() -> None:
    settings = {"lr": 0.02, "betas": (0.8, 0.95, 0.99), "alpha": 5.0, "warmup": 10, "eps": 1e-6, "weight_decay": 0.05}

    class Plain(torch.optim.Optimizer):
        """Number by number, in double precision."""

        def __init__(self, params: list[torch.nn.Parameter]) -> None:
            super().__init__(params, {})
            self.t = 0

        def step(self) -> None:  # type: ignore[override]
            self.t += 1
            b1, b2, b3 = settings["betas"]
            beta3, alpha = beta3_at(self.t, b1, b3, 10), alpha_at(self.t, 5.0, 10)
            for p in self.param_groups[0]["params"]:
                state = self.state.setdefault(p, {})
                g = p.grad.double()
                for name, beta, value in (("m1", b1, g), ("m2", beta3, g), ("v", b2, g * g)):
                    state[name] = beta * state.get(name, 0.0) + (1 - beta) * value
                towards = state["m1"] / (1 - b1**self.t) + alpha * state["m2"]
                scale = (state["v"] / (1 - b2**self.t)).sqrt() + 1e-6
                p.data = (p.data.double() - 0.02 * (towards / scale + 0.05 * p.data.double())).float()

    assert walk(lambda p: AdEMAMix(p, **settings)) == pytest.approx(walk(Plain), rel=2e-5)


def test_schedules_at_their_ends() -> None:
    assert alpha_at(0, 8, 100) == 0
    assert alpha_at(50, 8, 100) == 4
    assert alpha_at(500, 8, 100) == 8
    assert beta3_at(0, 0.9, 0.9999, 1000) == pytest.approx(0.9)
    assert beta3_at(1000, 0.9, 0.9999, 1000) == 0.9999
    half = beta3_at(500, 0.9, 0.9999, 1000)
    half_life = math.log(0.5) / math.log(half)
    assert half_life == pytest.approx((math.log(0.5) / math.log(0.9) + math.log(0.5) / math.log(0.9999)) / 2, rel=1e-9)
    values = [beta3_at(t, 0.9, 0.9999, 1000) for t in range(1001)]
    assert values == sorted(values)


def test_it_goes_on_from_a_saved_state() -> None:
    generator = torch.Generator().manual_seed(1)
    grads = [torch.randn(6, generator=generator) for _ in range(10)]

    def run(weight: torch.nn.Parameter, optimiser: AdEMAMix, steps: list[torch.Tensor]) -> None:
        for grad in steps:
            weight.grad = grad.clone()
            optimiser.step()

    whole = torch.nn.Parameter(torch.ones(6))
    run(whole, AdEMAMix([whole], warmup=5), grads)
    first = torch.nn.Parameter(torch.ones(6))
    early = AdEMAMix([first], warmup=5)
    run(first, early, grads[:4])
    second = torch.nn.Parameter(first.detach().clone())
    late = AdEMAMix([second], warmup=5)
    late.load_state_dict(early.state_dict())
    run(second, late, grads[4:])
    assert torch.equal(whole, second)
