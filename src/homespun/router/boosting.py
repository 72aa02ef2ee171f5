"""Gradient boosting of many scores at once (Friedman, 2001; the stochastic form of 2002).

scikit-learn grows the trees, one series per arm; here they are kept as plain arrays, so that a saved router holds
nothing executable, and all trees of all arms are walked together, one level per step.

Legend: n prompts, d features, k arms, t trees per arm (all bags), q nodes of the largest tree.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor

from homespun.router.regressors import Arrays, Floats

NUM_TREES, DEPTH, RATE = 120, 3, 0.05
BAGS = 4
"""Series of trees per arm, each from another seed; their mean is taken, since one series alone varies a lot."""
ROWS, COLUMNS = 0.5, 0.15
"""Share of prompts that a tree sees, share of features that a split may choose from."""
CHUNK = 256
"""Prompts that are walked at a time."""


class Boosting:
    """Boosted regression trees on squared error; see `regressors.Regressor`."""

    def __init__(self, num_trees: int = NUM_TREES, num_bags: int = BAGS, seed: int = 0) -> None:
        self.num_trees, self.num_bags, self.seed = num_trees, num_bags, seed
        self.start_K: Floats = np.zeros(0)
        self.feature_KTQ: NDArray[np.int32] = np.zeros((0, 0, 0), dtype=np.int32)
        """Feature that a node splits on; -1 in a leaf."""
        self.threshold_KTQ: Floats = np.zeros((0, 0, 0))
        self.children_KTQ2: NDArray[np.int32] = np.zeros((0, 0, 0, 2), dtype=np.int32)
        """Next node where the feature is at most the threshold, and where it is above; a leaf is its own."""
        self.value_KTQ: Floats = np.zeros((0, 0, 0))

    def fit(self, features: Floats, scores: Floats, weights: Floats) -> Self:
        """See `Regressor.fit`."""
        shape = (scores.shape[1], self.num_trees * self.num_bags, 2 ** (DEPTH + 1) - 1)
        self.start_K = np.zeros(shape[0])
        self.feature_KTQ, self.threshold_KTQ = np.full(shape, -1, dtype=np.int32), np.zeros(shape)
        self.value_KTQ = np.zeros(shape)
        self.children_KTQ2 = np.broadcast_to(np.arange(shape[2], dtype=np.int32)[:, None], (*shape, 2)).copy()
        for arm in range(shape[0]):
            known = ~np.isnan(scores[:, arm])
            for bag in range(self.num_bags):
                self._grow(arm, bag, features[known], scores[known, arm], weights[known])
        return self

    def predict(self, features: Floats) -> Floats:
        """See `Regressor.predict`."""
        blocks = [self._walk(features[i : i + CHUNK].astype(np.float32)) for i in range(0, len(features), CHUNK)]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(self.start_K)))

    def arrays(self) -> Arrays:
        """See `Regressor.arrays`."""
        return {
            "start": self.start_K,
            "feature": self.feature_KTQ,
            "threshold": self.threshold_KTQ,
            "children": self.children_KTQ2,
            "value": self.value_KTQ,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """See `Regressor.restored`.

        Raises:
            ValueError: a node points outside its tree.
        """
        made = cls()
        made.start_K, made.threshold_KTQ, made.value_KTQ = (
            np.asarray(arrays[name], dtype=np.float64) for name in ("start", "threshold", "value")
        )
        made.feature_KTQ, made.children_KTQ2 = (
            np.asarray(arrays[name], dtype=np.int32) for name in ("feature", "children")
        )
        made.num_trees, made.num_bags = made.value_KTQ.shape[1], 1
        if made.children_KTQ2.min() < 0 or made.children_KTQ2.max() >= made.value_KTQ.shape[2]:
            raise ValueError("a node points outside its tree")
        return made

    def _grow(self, arm: int, bag: int, features: Floats, scores: Floats, weights: Floats) -> None:
        self.start_K[arm] = np.average(scores, weights=weights)
        if np.ptp(scores) == 0:
            return
        model = GradientBoostingRegressor(
            n_estimators=self.num_trees,
            max_depth=DEPTH,
            learning_rate=RATE,
            subsample=ROWS,
            max_features=COLUMNS,
            min_samples_leaf=min(20, max(1, len(scores) // 10)),
            random_state=self.seed + bag,
            init="zero",
        ).fit(features, scores - self.start_K[arm], sample_weight=weights)
        for i, grown in enumerate(model.estimators_[:, 0], start=bag * self.num_trees):
            tree: Any = grown.tree_
            nodes, inner = np.arange(tree.node_count), tree.children_left >= 0
            self.feature_KTQ[arm, i, nodes] = np.where(inner, tree.feature, -1)
            self.threshold_KTQ[arm, i, nodes] = np.where(inner, tree.threshold, 0.0)
            self.value_KTQ[arm, i, nodes] = tree.value[:, 0, 0] * (RATE / self.num_bags)
            for side, children in enumerate((tree.children_left, tree.children_right)):
                self.children_KTQ2[arm, i, nodes, side] = np.where(inner, children, nodes)

    def _walk(self, features: NDArray[np.float32]) -> Floats:
        """(n, k) sums of the leaves that each prompt falls into."""
        arms, trees = np.ogrid[: self.value_KTQ.shape[0], : self.value_KTQ.shape[1]]
        rows = np.arange(len(features))[:, None, None]
        node = np.zeros((len(features), *self.value_KTQ.shape[:2]), dtype=np.int32)
        for _ in range(DEPTH):
            above = features[rows, self.feature_KTQ[arms, trees, node]] > self.threshold_KTQ[arms, trees, node]
            node = self.children_KTQ2[arms, trees, node, above.astype(np.int32)]
        return self.start_K + self.value_KTQ[arms, trees, node].sum(axis=2)
