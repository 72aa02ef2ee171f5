"""The learned half of the router: what would each arm score on this prompt, and how sure is that?

EMAFusion §4.2 [X]. Text features (`features`), then one or several regressors behind one interface, each with its own
view of the features, blended by weights that are learned from out-of-fold predictions, then one calibrator per arm:
isotonic from 200 labels on, else Platt. Where we differ: the uncertainty is the closed-form posterior of the ridge,
always fitted, instead of ten bootstrap heads; isotonic steps are joined at their centres, so that calibration leaves
no ties for the decision to break; labels that training knows (a subject) are read off a prompt softly (`labels`).

Legend: n prompts, d features, k arms, m regressors.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from homespun.errors import ConfigError, DataError
from homespun.router.arrays import DAMAGE, read_arrays, under
from homespun.router.boosting import Boosting
from homespun.router.factorisation import Factorisation
from homespun.router.features import FeatureConfig, Features, Seen
from homespun.router.labels import SoftLabels
from homespun.router.outcomes import normalise
from homespun.router.regressors import Linear, Neighbours, Regressor, Ridge

Floats = NDArray[np.float64]
Kind = Literal["ridge", "linear", "neighbours", "boosting", "factorisation"]
KINDS: dict[Kind, type[Regressor]] = {
    "ridge": Ridge,
    "linear": Linear,
    "neighbours": Neighbours,
    "boosting": Boosting,
    "factorisation": Factorisation,
}
LATENT_FOR_TREES = 48
"""Latent directions that the trees may split on; they find little in the later ones."""
MIN_ISOTONIC = 200
"""Labels of an arm from which its calibrator is isotonic; below, Platt's two numbers."""
MIN_PLATT = 20
"""Labels below which an arm is left uncalibrated."""


class Prediction(NamedTuple):
    """For n prompts and k arms."""

    mean: Floats
    """(n, k) expected score, calibrated, 0–1."""
    sd: Floats
    """(n, k) standard deviation of that expectation, not of the score."""


@dataclass(frozen=True, kw_only=True)
class LearnedConfig:
    """How to predict scores."""

    kinds: tuple[Kind, ...] = ("ridge",)
    """The regressors to blend."""
    features: FeatureConfig = field(default_factory=FeatureConfig)
    """What they see of a prompt."""
    num_folds: int = 5
    """Folds of the out-of-fold predictions; equal prompts fall into one fold. 0: equal blend, no calibration."""
    calibrate: bool = True
    """Whether each arm is calibrated."""
    seed: int = 0
    """Of the folds."""


class Predictor:
    """Expected scores of all arms on any prompt; see `LearnedConfig` for what can be varied."""

    def __init__(self, config: LearnedConfig | None = None) -> None:
        self.config = config or LearnedConfig()
        if not self.config.kinds or any(kind not in KINDS for kind in self.config.kinds):
            raise ConfigError(f"unknown regressors {self.config.kinds}", "kinds", ", ".join(KINDS))
        self.features = Features(self.config.features)
        self.labels: SoftLabels | None = None
        self.regressors: list[Regressor] = []
        self.ridge = Ridge()
        """On the dense features alone, whatever else is blended: the source of the deviation."""
        self.blend_M: Floats = np.ones(0)
        """Weight of each regressor, not negative, summing to one."""
        self.knots: list[Floats] = []
        """Per arm a calibration curve (2, q): raw score, calibrated score."""

    def fit(
        self,
        prompts: Sequence[str],
        scores: ArrayLike,
        weights: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
    ) -> Self:
        """Learns from recorded scores.

        Args:
            prompts: n texts.
            scores: (n, k) in 0–1, NaN where an arm was never asked; each arm has at least one score.
            weights: (n,) how much each prompt counts, for instance the reliability of its judge; ones if not given.
            labels: n names (subjects, data sets) to learn to tell apart; a prediction never needs them.

        Raises:
            DataError: nothing to learn from, shapes that do not fit, or scores outside 0–1.
        """
        target, weight = _checked(prompts, scores, weights)
        seen = self.features.fit(prompts)
        block = np.zeros((len(target), 0))
        if labels is not None and len(set(labels)) > 1:
            self.labels = SoftLabels()
            block = self.labels.fit(seen.dense, labels)
        views = [self._view(kind, seen, block) for kind in self.config.kinds]
        self.ridge = Ridge().fit(seen.dense, target, weight)
        self.regressors = [
            self.ridge if kind == "ridge" else KINDS[kind]().fit(view, target, weight)
            for kind, view in zip(self.config.kinds, views, strict=True)
        ]
        unseen_MNK = self._out_of_fold(views, target, weight, self._folds(prompts))
        self.blend_M = _blend(unseen_MNK, target, weight)
        blended = np.tensordot(self.blend_M, unseen_MNK, axes=1)
        self.knots = [
            _calibrator(blended[:, j], target[:, j], weight, self.config.calibrate) for j in range(target.shape[1])
        ]
        return self

    def predict(self, prompts: Sequence[str]) -> Prediction:
        """Expected score and its standard deviation, each (n, k), for any prompts."""
        if len(prompts) == 0:
            return Prediction(np.zeros((0, len(self.knots))), np.zeros((0, len(self.knots))))
        seen = self.features.see(prompts)
        raw = np.tensordot(self.blend_M, self.parts(seen), axes=1)
        mean = np.column_stack([np.interp(raw[:, j], *knots) for j, knots in enumerate(self.knots)])
        return Prediction(np.clip(mean, 0.0, 1.0), self.ridge.deviation(seen.dense))

    def parts(self, seen: Seen) -> Floats:
        """(m, n, k) what each regressor says, before blend and calibration."""
        block = self.labels.block(seen.dense) if self.labels else np.zeros((len(seen.dense), 0))
        pairs = zip(self.config.kinds, self.regressors, strict=True)
        return np.array([one.predict(self._view(kind, seen, block)) for kind, one in pairs])

    def save(self, folder: Path | str) -> None:
        """Writes the predictor into a folder as JSON and arrays: loading it runs no code of the folder's."""
        folder = Path(folder)
        self.features.save(folder)
        arrays: dict[str, Any] = {"blend": self.blend_M}
        arrays |= {f"knots.{j}": knots for j, knots in enumerate(self.knots)}
        if self.labels:
            arrays |= {f"labels.{name}": array for name, array in self.labels.arrays().items()}
        arrays |= {f"ridge.{name}": array for name, array in self.ridge.arrays().items()}
        for i, regressor in enumerate(self.regressors):
            arrays |= {f"{i}.{name}": array for name, array in regressor.arrays().items()}
        np.savez(folder / "predictor.npz", **arrays)
        (folder / "predictor.json").write_text(json.dumps({"version": 1, "config": asdict(self.config)}))

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads what `save` wrote.

        Raises:
            DataError: a file is missing, damaged, or made by another version.
        """
        folder = Path(folder)
        try:
            content = json.loads((folder / "predictor.json").read_text())
            return cls._restored(content, read_arrays(folder / "predictor.npz"), Features.load(folder))
        except DAMAGE as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"not a saved predictor: {error}", str(folder), "fit the router again") from None

    @classmethod
    def _restored(cls, content: dict[str, Any], arrays: dict[str, Any], features: Features) -> Self:
        if content["version"] != 1:
            raise ValueError(f"version {content['version']}")
        kinds: tuple[Kind, ...] = tuple(content["config"]["kinds"])
        fields: dict[str, Any] = content["config"] | {"features": features.config, "kinds": kinds}
        made = cls(LearnedConfig(**fields))
        made.features = features
        made.ridge = Ridge.restored(under("ridge.", arrays))
        made.regressors = [KINDS[kind].restored(under(f"{i}.", arrays)) for i, kind in enumerate(kinds)]
        labels = under("labels.", arrays)
        made.labels = SoftLabels.restored(labels) if labels else None
        made.blend_M = arrays["blend"]
        made.knots = [arrays[f"knots.{j}"] for j in range(len(made.ridge.intercept_K))]
        probe = made.predict(["probe"]).mean
        if probe.shape != (1, len(made.knots)) or not np.isfinite(probe).all():
            raise ValueError("its parts do not fit together")
        return made

    def _view(self, kind: Kind, seen: Seen, block: Floats) -> Any:
        """What a regressor looks at: near prompts are near in kind, and trees want few columns."""
        if kind == "linear":
            return seen.terms
        if kind in ("ridge", "factorisation"):
            return seen.dense
        blocks = self.features.blocks()
        nearness = "embedding" if self.config.features.embed else "latent"
        text = (
            seen.dense[:, blocks["latent"]][:, :LATENT_FOR_TREES]
            if kind == "boosting"
            else seen.dense[:, blocks[nearness]]
        )
        return np.hstack([seen.dense[:, blocks["scalars"]], text, block])

    def _folds(self, prompts: Sequence[str]) -> NDArray[np.int64]:
        keys: dict[str, int] = {}
        group = np.array([keys.setdefault(normalise(prompt), len(keys)) for prompt in prompts])
        order = np.random.default_rng(self.config.seed).permutation(len(keys))
        return (order % max(self.config.num_folds, 1))[group]

    def _out_of_fold(self, views: list[Any], target: Floats, weight: Floats, folds: NDArray[np.int64]) -> Floats:
        """(m, n, k) predictions by regressors that did not see the prompt; NaN where a fold had nothing to learn."""
        out = np.full((len(views), *target.shape), np.nan)
        for fold in range(self.config.num_folds):
            rest, held = folds != fold, folds == fold
            learnable = (~np.isnan(target[rest])).any(axis=0)
            if not learnable.any() or not held.any():
                continue
            for i, (kind, view) in enumerate(zip(self.config.kinds, views, strict=True)):
                regressor = KINDS[kind]().fit(view[rest], target[rest][:, learnable], weight[rest])
                out[i][np.ix_(held, learnable)] = regressor.predict(view[held])
        return out


def _checked(prompts: Sequence[str], scores: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    target = np.asarray(scores, dtype=np.float64)
    weight = np.ones(len(prompts)) if weights is None else np.asarray(weights, dtype=np.float64)
    if target.ndim != 2 or len(target) != len(prompts) or weight.shape != (len(prompts),):
        shapes = f"{len(prompts)} prompts, scores {target.shape}, weights {weight.shape}"
        raise DataError(shapes, "learned predictor", "scores (n, k) and weights (n,)")
    if len(target) == 0 or np.isnan(target).all(axis=0).any():
        raise DataError("an arm has no score at all", "learned predictor", "leave the arm out")
    if np.nanmin(target) < 0 or np.nanmax(target) > 1:
        raise DataError("scores outside 0–1", "learned predictor", "fractions")
    if not np.isfinite(weight).all() or (weight <= 0).any():
        raise DataError("weights that are not above zero", "learned predictor", "positive weights")
    return target, weight


def _blend(unseen_MNK: Floats, target: Floats, weight: Floats) -> Floats:
    """Non-negative least squares of the scores on the regressors' out-of-fold predictions, scaled to sum to one."""
    num = len(unseen_MNK)
    known = ~np.isnan(target) & ~np.isnan(unseen_MNK).any(axis=0)
    if num == 1 or not known.any():
        return np.full(num, 1.0 / num)
    root = np.sqrt(np.broadcast_to(weight[:, None], target.shape)[known])
    found = nnls((unseen_MNK[:, known] * root).T, target[known] * root)[0]
    return found / found.sum() if found.sum() > 0 else np.full(num, 1.0 / num)


def _calibrator(raw: Floats, score: Floats, weight: Floats, wanted: bool) -> Floats:
    """A rising curve (2, q) from raw to calibrated scores, for ``np.interp``."""
    known = ~np.isnan(raw) & ~np.isnan(score)
    if not wanted or known.sum() < MIN_PLATT or np.ptp(raw[known]) < 1e-9:
        return np.array([[0.0, 1.0], [0.0, 1.0]])
    if known.sum() < MIN_ISOTONIC:
        return _platt(raw[known], score[known], weight[known])
    return _isotonic(raw[known], score[known], weight[known])


def _isotonic(raw: Floats, score: Floats, weight: Floats) -> Floats:
    """Isotonic regression with its steps joined at their centres of mass."""
    level = IsotonicRegression(y_min=0, y_max=1).fit(raw, score, weight).predict(raw)
    values, block = np.unique(level, return_inverse=True)
    mass = np.bincount(block, weight)
    return np.array([np.bincount(block, weight * raw) / mass, values])


def _platt(raw: Floats, score: Floats, weight: Floats) -> Floats:
    """Platt scaling: a logistic curve in the raw score; a fractional score counts as both outcomes in its share."""
    column = np.concatenate([raw, raw])[:, None]
    share = np.concatenate([weight * score, weight * (1 - score)])
    if min(share[: len(raw)].sum(), share[len(raw) :].sum()) < 1e-9:
        return np.array([[0.0, 1.0], [score[0], score[0]]])
    outcome = np.repeat([1, 0], len(raw))
    model = LogisticRegression(C=100.0).fit(column[share > 0], outcome[share > 0], share[share > 0])
    slope = float(model.coef_[0, 0])
    if slope <= 0:  # the raw score says nothing: the mean is all that is known
        return np.array([[0.0, 1.0], [np.average(score, weights=weight)] * 2])
    grid = np.linspace(raw.min() - 0.5, raw.max() + 0.5, 201)
    return np.array([grid, 1.0 / (1.0 + np.exp(-(slope * grid + float(model.intercept_[0]))))])
