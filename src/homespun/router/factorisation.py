"""Matrix factorisation of prompts and arms, with a pairwise term (RouteLLM's form, EMAFusion §4.2).

    s(M, q) = w₂ᵀ(v_M ⊙ (W₁ᵀ v_q + b))

The prompt's vector v_q is its features. Where we differ: w₂ is absorbed into v_M and b into one intercept per arm,
which say the same with fewer numbers; the loss is squared error plus a squared pairwise hinge, so that it has a
gradient everywhere and L-BFGS can be used; the penalty is that of the ridge on the product W₁ v_Mᵀ, so that
full rank without the hinge *is* the ridge, which is also where the search starts.

Legend: n prompts, d features, k arms, m factors.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from homespun.router.regressors import Arrays, Floats, Ridge

FACTORS = 6
HINGE = 0.3
"""Weight of the pairwise term, from the page; over pairs of arms with different scores."""


class Factorisation:
    """Low-rank scores; see `regressors.Regressor`."""

    def __init__(self, num_factors: int = FACTORS, hinge: float = HINGE) -> None:
        self.num_factors, self.hinge = num_factors, hinge
        self.prompt_DM: Floats = np.zeros((0, 0))
        self.arm_KM: Floats = np.zeros((0, 0))
        self.intercept_K: Floats = np.zeros(0)

    def fit(self, features: Floats, scores: Floats, weights: Floats) -> Self:
        """See `Regressor.fit`."""
        ridge = Ridge().fit(features, scores, weights)
        left, size, right = np.linalg.svd(ridge.coefficients_DK, full_matrices=False)
        num = min(self.num_factors, len(size))
        root = np.sqrt(size[:num])
        start = np.concatenate([(left[:, :num] * root).ravel(), (right[:num].T * root).ravel(), ridge.intercept_K])
        found = minimize(
            loss,
            start,
            args=(features, scores, weights, ridge.penalty, self.hinge, num),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 60},
        )
        self.prompt_DM, self.arm_KM, self.intercept_K = unpack(found.x, features.shape[1], scores.shape[1], num)
        return self

    def predict(self, features: Floats) -> Floats:
        """See `Regressor.predict`."""
        return (features @ self.prompt_DM) @ self.arm_KM.T + self.intercept_K

    def arrays(self) -> Arrays:
        """See `Regressor.arrays`."""
        return {"prompt": self.prompt_DM, "arm": self.arm_KM, "intercept": self.intercept_K}

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """See `Regressor.restored`."""
        made = cls()
        made.prompt_DM, made.arm_KM, made.intercept_K = (
            np.asarray(arrays[name], dtype=np.float64) for name in ("prompt", "arm", "intercept")
        )
        made.num_factors = made.arm_KM.shape[1]
        return made


def unpack(flat: Floats, num_features: int, num_arms: int, num_factors: int) -> tuple[Floats, Floats, Floats]:
    """Prompt factors (d, m), arm factors (k, m) and intercepts (k,) from one vector."""
    first = num_features * num_factors
    second = first + num_arms * num_factors
    prompt = flat[:first].reshape(num_features, num_factors)
    return prompt, flat[first:second].reshape(num_arms, num_factors), flat[second:]


def loss(
    flat: Floats, features: Floats, scores: Floats, weights: Floats, penalty: float, hinge: float, num_factors: int
) -> tuple[float, Floats]:
    """Squared error + penalty·‖W₁ v_Mᵀ‖² + hinge·(pairwise term), and its gradient.

    Args:
        flat: Parameters, see `unpack`.
        features: (n, d).
        scores: (n, k), NaN where missing.
        weights: (n,).
        penalty: λ of the ridge.
        hinge: Weight of the pairwise term.
        num_factors: m.
    """
    prompt, arm, intercept = unpack(flat, features.shape[1], scores.shape[1], num_factors)
    hidden = features @ prompt
    predicted = hidden @ arm.T + intercept
    residual = np.where(np.isnan(scores), 0.0, predicted - np.nan_to_num(scores))
    value = float(weights @ np.square(residual).sum(axis=1))
    slope = 2 * weights[:, None] * residual
    if hinge > 0 and scores.shape[1] > 1:
        extra, push = pairwise(predicted, scores, weights)
        value, slope = value + hinge * extra, slope + hinge * push
    inner_prompt, inner_arm = prompt.T @ prompt, arm.T @ arm
    value += penalty * float(np.sum(inner_prompt * inner_arm))
    gradient = [
        features.T @ (slope @ arm) + 2 * penalty * prompt @ inner_arm,
        slope.T @ hidden + 2 * penalty * arm @ inner_prompt,
        slope.sum(axis=0),
    ]
    return value, np.concatenate([part.ravel() for part in gradient])


def pairwise(predicted: Floats, scores: Floats, weights: Floats) -> tuple[float, Floats]:
    """Squared hinge over pairs of arms whose scores differ: the better must lead by their difference.

    Returns:
        The weighted sum, over k - 1, and its gradient in ``predicted`` (n, k).
    """
    lead = predicted[:, :, None] - predicted[:, None, :]
    wanted = scores[:, :, None] - scores[:, None, :]
    short = np.where(wanted > 0, np.maximum(wanted - lead, 0.0), 0.0)  # NaN compares false
    scale = weights / (scores.shape[1] - 1)
    value = float(scale @ np.square(short).sum(axis=(1, 2)))
    return value, 2 * scale[:, None] * (short.sum(axis=1) - short.sum(axis=2))
