"""QRPO: fit the policy to the optimum that a reward's quantile gives in closed form (arXiv:2507.08068).

    R_q(x, y) = (1/n) Σ_j 1[R(x, y_j) ≤ R(x, y)],  y_j ~ π_ref            how much of the reference is no better
    Z_q(β)    = E_ref[e^{R_q/β}] = β (e^{1/β} − 1)                          since R_q is uniform under π_ref
    L         = E[(R_q − β log Z_q − β log(π_θ(y|x) / π_ref(y|x)))²]        zero at π* = π_ref e^{R_q/β} / Z_q

Pointwise: a completion needs no partner, both of a pair enter by themselves, and any scorer will do, since only the
order of its scores counts. Apertus (arXiv:2509.14233, section 4.3) puts β/|y| for β in every term, at most `LARGEST`.
Numbers are kept from overflowing by log Z = log β + 1/β + log(1 − e^{−1/β}), whose last part is nothing for small β.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homespun.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 0.1
"""Of β/|y|: very short answers would otherwise be held to the reference alone."""


@dataclass(frozen=True, kw_only=True)
class QRPO:
    """The objective."""

    beta: float = 5.0
    """β; published 5 with length normalisation, which is about .03 for a token of an ordinary answer."""
    by_length: bool = True
    """β/|y| instead of β."""

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ConfigError(f"beta {self.beta:g}", "QRPO", "a number above 0")


def quantile_rewards(rewards: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """R_q of completions of one prompt.

    Args:
        rewards: (m,) scores of the completions.
        reference: (n,) scores of the reference model's own, n ≥ 1.

    Returns:
        (m,) in [0, 1]: the share of the reference that scores no higher.

    Raises:
        ConfigError: no reference, or a score that is no number.
    """
    scores, own = np.asarray(rewards, np.float64), np.sort(np.asarray(reference, np.float64))
    if not len(own) or not (np.isfinite(scores).all() and np.isfinite(own).all()):
        raise ConfigError("rewards must be numbers, with at least one of the reference model", "QRPO", "other scores")
    return np.searchsorted(own, scores, side="right") / len(own)


def log_z(beta: float) -> float:
    """The logarithm of Z_q(β), for any β > 0."""
    return math.log(beta) + 1 / beta + math.log1p(-math.exp(-1 / beta))


def loss(
    policy_B: "Tensor", reference_B: "Tensor", quantiles_B: "Tensor", lengths_B: "Tensor", settings: QRPO
) -> "Tensor":
    """The mean loss of some completions.

    Args:
        policy_B: log π_θ(y|x), summed over the answer's tokens.
        reference_B: log π_ref(y|x), which may have been computed before.
        quantiles_B: R_q.
        lengths_B: Tokens of each answer, |y|.
        settings: β and whether it is divided by length.
    """
    import torch

    beta = torch.full_like(policy_B, settings.beta)
    if settings.by_length:
        beta = (beta / lengths_B).clamp(max=LARGEST)
    partition = beta * torch.log(beta) + 1 + beta * torch.log1p(-torch.exp(-1 / beta))  # β log Z
    return (quantiles_B - partition - beta * (policy_B - reference_B)).square().mean()
