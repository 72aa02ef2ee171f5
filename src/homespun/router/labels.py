"""Which kind of question is this? Labels that are known in training only, read off any prompt as probabilities.

EMAFusion §2 (taxonomy) meets §4.2: where training prompts carry a label (a subject, a data set), a ridge on one-hot
labels learns to tell them, and its soft answer is one more block of features. A decision never sees the label itself,
and a training prompt gets the answer that the ridge would give had it not seen it (exact leave-one-out), so that the
regressors behind it do not learn to trust more than they will be given.

Legend: n prompts, d features, c labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PENALTY = 10.0
SHARPNESS = (4.0, 6.0, 8.0, 10.0, 14.0, 20.0, 28.0)
"""Factors on the ridge's score before the softmax; the likeliest under leave-one-out is kept."""


class SoftLabels:
    """Probabilities of the training labels."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.coefficients_DC: Floats = np.zeros((0, 0))
        self.intercept_C: Floats = np.zeros(0)
        self.sharpness = 1.0
        self.mean_C: Floats = np.zeros(0)
        self.scale = 1.0

    def fit(self, features: Floats, labels: Sequence[str]) -> Floats:
        """Learns from (n, d) features and n labels; returns the block (n, c) for the training prompts themselves."""
        names, code = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
        self.names = [str(name) for name in names]
        onehot = np.eye(len(names))[code]
        centre, share = features.mean(axis=0), onehot.mean(axis=0)
        seen = features - centre
        inverse = np.linalg.inv(seen.T @ seen + PENALTY * np.eye(seen.shape[1]))
        self.coefficients_DC = inverse @ (seen.T @ (onehot - share))
        self.intercept_C = share - centre @ self.coefficients_DC
        leverage = ((seen @ inverse) * seen).sum(axis=1) + 1.0 / len(seen)
        residual = onehot - features @ self.coefficients_DC - self.intercept_C
        left_out = onehot - residual / np.maximum(1.0 - leverage, 1e-6)[:, None]
        rows = np.arange(len(code))
        likelihood = [float(np.log(_softmax(left_out * by)[rows, code] + 1e-12).mean()) for by in SHARPNESS]
        self.sharpness = SHARPNESS[int(np.argmax(likelihood))]
        probability = _softmax(left_out * self.sharpness)
        self.mean_C = probability.mean(axis=0)
        norm = float(np.sqrt(np.square(probability - self.mean_C).sum(axis=1).mean()))
        self.scale = 1.0 / norm if norm > 1e-9 else 0.0
        return (probability - self.mean_C) * self.scale

    def probability(self, features: Floats) -> Floats:
        """(n, c) probabilities of `names`."""
        return _softmax((features @ self.coefficients_DC + self.intercept_C) * self.sharpness)

    def block(self, features: Floats) -> Floats:
        """(n, c) the same, centred and at unit mean square norm."""
        return (self.probability(features) - self.mean_C) * self.scale

    def arrays(self) -> dict[str, Any]:
        """The whole state, as arrays."""
        return {
            "names": np.array(self.names, dtype=str),
            "coefficients": self.coefficients_DC,
            "intercept": self.intercept_C,
            "mean": self.mean_C,
            "sharpness_scale": np.array([self.sharpness, self.scale]),
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, Any]) -> Self:
        """The labels whose `arrays` these are."""
        made = cls()
        made.names = [str(name) for name in arrays["names"]]
        made.coefficients_DC, made.intercept_C, made.mean_C = (
            np.asarray(arrays[name], dtype=np.float64) for name in ("coefficients", "intercept", "mean")
        )
        made.sharpness, made.scale = (float(value) for value in arrays["sharpness_scale"])
        return made


def _softmax(score: Floats) -> Floats:
    raised = np.exp(score - score.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
