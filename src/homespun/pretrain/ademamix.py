"""AdEMAMix: Adam with a second, much slower average of the gradients (arXiv:2409.03137; systems page, section 4.2).

    m₁ ← β₁ m₁ + (1 − β₁) g      m₂ ← β₃(t) m₂ + (1 − β₃(t)) g      v ← β₂ v + (1 − β₂) g²
    θ ← θ − η [ (m₁ / (1 − β₁ᵗ) + α(t) m₂) / (√(v / (1 − β₂ᵗ)) + ε) + λθ ]

m₂ is not corrected for its start at zero. α grows linearly and β₃ so that its half-life does, both over
``warmup`` steps. With α = 0 it is AdamW, whose decay is coupled to the learning rate in the same way. Parameters are
walked over together, by torch's foreach kernels.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def alpha_at(step: int, alpha: float, warmup: int) -> float:
    """α(t) = α min(t/T, 1)."""
    return alpha * min(step / warmup, 1.0) if warmup else alpha


def beta3_at(step: int, beta1: float, beta3: float, warmup: int) -> float:
    """β₃(t): from β₁ to β₃ such that the half-life f(β) = ln ½ / ln β − 1 grows linearly over T steps."""
    if step >= warmup:
        return beta3

    def half_life(beta: float) -> float:
        return math.log(0.5) / math.log(beta) - 1

    share = step / warmup
    return 0.5 ** (1 / ((1 - share) * half_life(beta1) + share * half_life(beta3) + 1))


class AdEMAMix(Optimizer):
    """The optimiser.

    Args:
        params: Parameters or groups of them; ``weight_decay`` and ``lr`` may differ by group.
        lr: Learning rate, η.
        betas: β₁, β₂ and β₃; the last in full only after ``warmup`` steps.
        alpha: Weight of the slow average.
        warmup: Steps over which α and β₃ grow, T; the paper takes 100,000, short runs their whole length.
        eps: ε.
        weight_decay: λ.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 8.0,
        warmup: int = 100_000,
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "alpha": alpha,
            "warmup": warmup,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, {**defaults, "step": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = closure() if closure else None
        for group in self.param_groups:
            group["step"] += 1
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._update(group, params)
        return loss

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        (beta1, beta2, beta3), step = group["betas"], group["step"]
        beta3 = beta3_at(step, beta1, beta3, group["warmup"])
        for p in params:
            if not self.state[p]:
                for name in ("fast", "slow", "square"):
                    self.state[p][name] = torch.zeros_like(p, memory_format=torch.preserve_format)
        grads = [p.grad for p in params if p.grad is not None]
        fast, slow, square = ([self.state[p][name] for p in params] for name in ("fast", "slow", "square"))
        together: Any = torch  # the foreach kernels, which torch's own optimisers are made of, have no public names
        together._foreach_lerp_(fast, grads, 1 - beta1)
        together._foreach_lerp_(slow, grads, 1 - beta3)
        together._foreach_mul_(square, beta2)
        together._foreach_addcmul_(square, grads, grads, 1 - beta2)
        scale = together._foreach_sqrt(square)
        together._foreach_div_(scale, math.sqrt(1 - beta2**step))
        together._foreach_add_(scale, group["eps"])
        towards = together._foreach_div(fast, 1 - beta1**step)
        together._foreach_add_(towards, slow, alpha=alpha_at(step, group["alpha"], group["warmup"]))
        together._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        together._foreach_addcdiv_(params, towards, scale, -group["lr"])
