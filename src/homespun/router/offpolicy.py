"""What would another policy have earned? Its value from logged decisions, with an interval, before it is let loose.

Dudík, Langford and Li, "Doubly Robust Policy Evaluation and Learning" (ICML 2011, arXiv:1103.4601), §2–3. For a policy
π, rewards r, a model r̂ of them and the chance e(a|x) with which arm a's reward came to be known:

    inverse propensity (IPS, eq. 2)   V = 1/n Σᵢ Σₐ π(a|xᵢ) o_ia r_ia / e_ia
    self-normalised (SNIPS)           the same divided by 1/n Σᵢ Σₐ π(a|xᵢ) o_ia / e_ia
    doubly robust (DR, eq. 3)         V = 1/n Σᵢ Σₐ π(a|xᵢ) [ r̂_ia + o_ia (r_ia - r̂_ia) / e_ia ]

o_ia says whether the reward is known. Where we differ: the paper knows one reward per request, that of the logged
action, and then e is the propensity; a request that was also shadowed has several, each with its own chance, and the
sums run over all of them (Horvitz and Thompson 1952). Weights π/e are clipped at ``clip`` and the share that was
clipped is told, since clipping biases towards the model (DR) or towards zero (IPS).

Intervals are normal, of the influence function summed per group, a group being a conversation: its turns are not
independent evidence. Student's t with one degree of freedom per group less one stands in for the normal.

Legend: n requests, k arms.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from homespun.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Method = Literal["ips", "snips", "dr"]

CLIP = 50.0
"""Largest weight of one request."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Logged:
    """Requests with what is known of them."""

    reward: Floats
    """(n, k), NaN where not known."""
    chance: Floats
    """(n, k) probability with which that reward came to be known; read only where it is."""
    model: Floats | None = None
    """(n, k) expected reward by a model that did not see these rewards."""
    group: Ints | None = None
    """(n,) conversation of each request; each its own unless given."""

    def __post_init__(self) -> None:
        """Checks shapes and numbers.

        Raises:
            DataError: shapes differ, or a chance is not in (0, 1] where its reward is known.
        """
        if self.reward.ndim != 2 or len(self.reward) < 2 or self.chance.shape != self.reward.shape:
            shapes = f"rewards {self.reward.shape}, chances {self.chance.shape}"
            raise DataError(shapes, "logged decisions", "both (n, k), n from 2")
        if self.model is not None and (self.model.shape != self.reward.shape or not np.isfinite(self.model).all()):
            raise DataError("a model of other shape, or not finite", "logged decisions", "(n, k) expected rewards")
        known = self.chance[self.known]
        if not ((known > 0) & (known <= 1 + 1e-9)).all():
            raise DataError("a known reward with a chance outside (0, 1]", "logged decisions", "logged propensities")

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n, k) which rewards are known."""
        return ~np.isnan(self.reward)

    def take(self, rows: Ints | NDArray[np.bool_]) -> "Logged":
        """Some of the requests."""
        return Logged(
            reward=self.reward[rows],
            chance=self.chance[rows],
            model=None if self.model is None else self.model[rows],
            group=None if self.group is None else self.group[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its 95 % interval, and how much evidence there was."""

    value: float
    low: float
    high: float
    deviation: float
    """Standard error."""
    n: int
    effective: float
    """Effective sample size (Σw)²/Σw² of the weights, at most n; 0 where no reward counts."""
    clipped: float
    """Share of known rewards whose weight was clipped."""
    method: Method


def value(logged: Logged, policy: Floats, *, method: Method = "dr", clip: float = CLIP) -> Estimate:
    """Mean reward of a policy.

    Args:
        logged: What was logged.
        policy: (n, k) probabilities of each arm under the policy, rows summing to one.
        method: Which estimator; ``dr`` needs a model.
        clip: Largest weight.

    Raises:
        DataError: shapes do not fit, rows do not sum to one, or DR without a model.
    """
    return _estimate(*_influence(logged, policy, method, clip), logged, policy, method, clip)


def difference(logged: Logged, new: Floats, old: Floats, *, method: Method = "dr", clip: float = CLIP) -> Estimate:
    """Mean reward of one policy less that of another on the same requests, paired; arguments as of `value`.

    Where the two policies agree on a request it adds nothing to the difference nor, under DR and IPS, to its variance.
    The effective sample size is that of the known rewards of arms which the new policy takes more often.
    """
    means, parts = zip(*(_influence(logged, policy, method, clip) for policy in (new, old)), strict=True)
    moved = np.maximum(new - old, 0.0)  # what speaks for arms that gain; of those that lose enough is known
    return _estimate(means[0] - means[1], parts[0] - parts[1], logged, moved, method, clip)


def _influence(logged: Logged, policy: Floats, method: Method, clip: float) -> tuple[float, Floats]:
    """The estimate and (n,) each request's deviation from it, which average to zero."""
    if policy.shape != logged.reward.shape or not np.allclose(policy.sum(axis=1), 1.0, atol=1e-6):
        raise DataError(f"policy {policy.shape}, or rows that do not sum to one", "off-policy", "(n, k) probabilities")
    weight = _weights(logged, policy, clip)
    reward = np.nan_to_num(logged.reward)
    if method == "dr":
        if logged.model is None:
            raise DataError("doubly robust without a model", "off-policy", "Logged(model=…)")
        each = (policy * logged.model + weight * (reward - logged.model)).sum(axis=1)
    else:
        each = (weight * reward).sum(axis=1)
    if method != "snips":
        return float(each.mean()), each - each.mean()
    total = weight.sum(axis=1)
    if not total.any():
        return float("nan"), np.full(len(each), np.nan)
    mean = float(each.sum() / total.sum())
    return mean, (each - mean * total) / total.mean()


def _weights(logged: Logged, policy: Floats, clip: float) -> Floats:
    """(n, k) π/e where the reward is known, else 0."""
    chance = np.where(logged.known, logged.chance, 1.0)
    return np.where(logged.known, np.minimum(policy / chance, clip), 0.0)


def _estimate(mean: float, influence: Floats, logged: Logged, moved: Floats, method: Method, clip: float) -> Estimate:
    num = len(influence)
    group = np.arange(num) if logged.group is None else np.unique(logged.group, return_inverse=True)[1]
    sums = np.bincount(group, influence)
    groups = len(sums)
    deviation = float(np.sqrt(groups / max(groups - 1, 1) * (sums**2).sum()) / num)
    reach = float(student.ppf(0.975, max(groups - 1, 1))) * deviation
    weight = _weights(logged, moved, clip)
    used = weight[weight > 0]
    cut = (moved / np.where(logged.known, logged.chance, np.inf) > clip).sum() / max(len(used), 1)
    return Estimate(
        value=mean,
        low=mean - reach,
        high=mean + reach,
        deviation=deviation,
        n=num,
        effective=float(min(used.sum() ** 2 / (used**2).sum(), num)) if len(used) else 0.0,
        clipped=float(cut),
        method=method,
    )
