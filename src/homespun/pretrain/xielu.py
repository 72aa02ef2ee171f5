"""xIELU: an activation that grows quadratically for x > 0 and has a trainable slope on both sides (arXiv:2411.13010).

    x > 0:  α_p x² + βx
    x ≤ 0:  α_n (expm1(min(x, ε)) − x) + βx        with α_p = softplus(a_p), α_n = β + softplus(a_n), β = ½, ε = −1e-6

Two scalars a_p and a_n per layer. Differences from the release: they are kept in float32 whatever the model computes in
(bf16 steps are coarser than their updates), and ε is 0, which moves y by less than 1e-6. With p = max(x, 0) and
n = min(x, 0) both sides are one expression, without a branch to mask:

    y       = α_p p² + α_n (expm1(n) − n) + βx
    dy/dx   = 2 α_p p + α_n expm1(n) + β
    dy/dα_p = p²,  dy/dα_n = expm1(n) − n
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import softplus

BETA = 0.5
ALPHA = 0.8
"""Both slopes at the start."""


class XIELU(nn.Module):
    """The activation; input and output of any shape and type."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha_p = nn.Parameter(torch.tensor([math.log(math.expm1(ALPHA))]))
        self.alpha_n = nn.Parameter(torch.tensor([math.log(math.expm1(ALPHA - BETA))]))

    def slopes(self) -> tuple[Tensor, Tensor]:
        """α_p and α_n, in float32."""
        return softplus(self.alpha_p.float()), BETA + softplus(self.alpha_n.float())

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        alpha_p, alpha_n = self.slopes()
        if torch.compiler.is_compiling():
            return xielu(x, alpha_p.to(x.dtype), alpha_n.to(x.dtype))
        return _Written.apply(x, alpha_p, alpha_n)  # type: ignore[return-value]


def xielu(x: Tensor, alpha_p: Tensor, alpha_n: Tensor) -> Tensor:
    """The formula, for any shape; what a compiler fuses by itself."""
    negative = x.clamp(max=0)
    return alpha_p * (x - negative).square() + alpha_n * (torch.expm1(negative) - negative) + BETA * x


class _Written(Function):
    """The same with its gradient written out: a step keeps x alone, and works in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha_p: Tensor, alpha_n: Tensor) -> Tensor:
        ctx.save_for_backward(x, alpha_p, alpha_n)
        return value(x, float(alpha_p), float(alpha_n))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, alpha_p, alpha_n = ctx.saved_tensors
        return derivative(x, grads[0], float(alpha_p), float(alpha_n))


def value(x: Tensor, alpha_p: float, alpha_n: float) -> Tensor:
    """y, in a new tensor."""
    negative = x.clamp(max=0)
    positive = x - negative
    y = negative.expm1().sub_(negative).mul_(alpha_n)
    return y.addcmul_(positive, positive, value=alpha_p).add_(x, alpha=BETA)


def derivative(x: Tensor, grad: Tensor, alpha_p: float, alpha_n: float) -> tuple[Tensor, Tensor, Tensor]:
    """What reaches x, α_p and α_n of a gradient at y; sums in float32."""
    negative = x.clamp(max=0)
    positive = x - negative
    decay = negative.expm1()
    d_positive = (positive * positive).mul_(grad).sum(dtype=torch.float32)
    d_negative = (decay - negative).mul_(grad).sum(dtype=torch.float32)
    slope = decay.mul_(alpha_n).add_(positive, alpha=2 * alpha_p).add_(BETA).mul_(grad)
    return slope, d_positive[None], d_negative[None]
