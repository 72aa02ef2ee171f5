"""What would each arm's answer cost on this prompt? EMAFusion §4.1–4.2: a regressor per arm beside the scores.

Dollars and token counts are positive and long-tailed, so a ridge learns their logarithm and the mean is won back by
Duan's smearing factor (1983), the mean of exp(residual). Predictions stay within what was seen, widened twofold.

Legend: n prompts, d features, k arms.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homespun.errors import DataError
from homespun.router.arrays import DAMAGE, read_arrays, under
from homespun.router.regressors import Ridge
from homespun.router.scalars import SCALARS, scalars_of

Floats = NDArray[np.float64]
MARGIN = 2.0


class CostPredictor:
    """Expected dollars (or output tokens) per call; sees only the scalar features, so it works for any prompt."""

    def __init__(self) -> None:
        self.ridge = Ridge()
        self.smear_K: Floats = np.zeros(0)
        self.low_K: Floats = np.zeros(0)
        self.high_K: Floats = np.zeros(0)
        self.mean_D: Floats = np.zeros(len(SCALARS))
        self.scale_D: Floats = np.ones(len(SCALARS))

    def fit(self, prompts: Sequence[str], amounts: ArrayLike) -> Self:
        """Learns from recorded amounts.

        Args:
            prompts: n texts.
            amounts: (n, k) dollars or tokens, not negative, NaN where unknown; each arm has at least one.

        Raises:
            DataError: shapes that do not fit, an arm without amounts, or an amount below zero.
        """
        amount = np.asarray(amounts, dtype=np.float64)
        if amount.ndim != 2 or len(amount) != len(prompts) or np.isnan(amount).all(axis=0).any():
            raise DataError(f"amounts {amount.shape} for {len(prompts)} prompts", "cost predictor", "(n, k) per arm")
        if np.nanmin(amount) < 0:
            raise DataError("an amount below zero", "cost predictor", "dollars or tokens from 0")
        self.low_K, self.high_K = np.nanmin(amount, axis=0), np.nanmax(amount, axis=0)
        tiny = np.maximum(self.high_K, 1e-12) * 1e-6  # an amount of zero has no logarithm
        raw = scalars_of(prompts)
        self.mean_D, spread = raw.mean(axis=0), raw.std(axis=0)
        self.scale_D = np.where(spread > 1e-9, 1.0 / np.maximum(spread, 1e-9), 0.0)
        seen, target = (raw - self.mean_D) * self.scale_D, np.log(np.maximum(amount, tiny))
        self.ridge = Ridge().fit(seen, target, np.ones(len(prompts)))
        self.smear_K = np.nanmean(np.exp(target - self.ridge.predict(seen)), axis=0)
        return self

    def predict(self, prompts: Sequence[str]) -> Floats:
        """(n, k) expected amounts."""
        seen = (scalars_of(prompts) - self.mean_D) * self.scale_D
        expected = np.exp(np.minimum(self.ridge.predict(seen), 700.0)) * self.smear_K
        return np.clip(expected, self.low_K / MARGIN, self.high_K * MARGIN)

    def save(self, folder: Path | str, name: str = "cost") -> None:
        """Writes ``<name>.npz`` into a folder."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {
            "smear": self.smear_K,
            "low": self.low_K,
            "high": self.high_K,
            "mean": self.mean_D,
            "scale": self.scale_D,
        }
        arrays |= {f"ridge.{key}": value for key, value in self.ridge.arrays().items()}
        np.savez(Path(folder) / f"{name}.npz", **arrays)

    @classmethod
    def load(cls, folder: Path | str, name: str = "cost") -> Self:
        """Reads what `save` wrote.

        Raises:
            DataError: the file is missing, damaged, or made by another version.
        """
        path, made = Path(folder) / f"{name}.npz", cls()
        try:
            arrays = read_arrays(path)
            made.smear_K, made.low_K, made.high_K = arrays["smear"], arrays["low"], arrays["high"]
            made.mean_D, made.scale_D = arrays["mean"], arrays["scale"]
            made.ridge = Ridge.restored(under("ridge.", arrays))
            if not np.isfinite(made.predict(["probe"])).all():
                raise ValueError("its parts do not fit together")
        except DAMAGE as error:
            raise DataError(f"not a saved cost predictor: {error}", str(path), "fit the router again") from None
        return made
