"""The taxonomy half of the router: what kind of request is this, and how do the arms fare on that kind?

EMAFusion §3 and §4.3 [X]. Axes task × complexity × domain make the cells; ``io`` is a hard filter on capabilities and
never a learned signal. The axes and the signs of the keyword labeller are data, ``data/taxonomy/taxonomy.json``, with a
version that enters every fitted table. Where outcomes carry a data set's name, the cells are learned from it.

Cells with few prompts borrow: score = (n·s_cell + κ·s_parent) / (n + κ), κ = 20, the parent being the mean over all.

Legend: n prompts, c cells, k arms.
"""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homespun.data import path
from homespun.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KAPPA = 20.0
"""Prompts that the parent's mean counts for."""
MIN_CELL = 30
"""Prompts from which a cell stands on its own."""
MIN_LEAF = 60
"""Training prompts below which a label is no cell: its prompts belong to `OTHER`."""
OTHER = "other"


class Labels(NamedTuple):
    """A prompt on the four axes."""

    task: str
    complexity: str
    domain: str
    io: str

    @property
    def leaf(self) -> str:
        """The observed cell: task × complexity × domain."""
        return f"{self.task}/{self.complexity}/{self.domain}"


@cache
def taxonomy() -> dict[str, Any]:
    """The taxonomy that ships: version, axes, signs."""
    return json.loads((path("taxonomy") / "taxonomy.json").read_text())


def taxonomy_version() -> str:
    """Version of the taxonomy, kept with every table fitted under it."""
    return str(taxonomy()["version"])


def label(prompt: str, *, io: str = "text") -> Labels:
    """Labels a prompt by its signs: the axis value with most different signs, the first listed among equals.

    Args:
        prompt: The text; its first 8,000 characters are read for signs, all of it for its length.
        io: What the request asks of the model beyond text; long texts are ``long_context`` by themselves.
    """
    content = taxonomy()
    text = prompt[:8000].casefold()
    if io == "text" and len(prompt) > content["long_context_characters"]:
        io = "long_context"
    task = _most_signs(text, "task") or "chat"
    domain = _most_signs(text, "domain") or "general"
    return Labels(task, _complexity(text), domain, io)


def capable(io: str, capabilities: Collection[str] | None) -> bool:
    """Whether an arm may serve a request: text always, anything else only if its capabilities name it.

    Raises:
        DataError: ``io`` is no value of the axis.
    """
    if io not in taxonomy()["axes"]["io"]:
        raise DataError(f"unknown io {io[:40]!r}", "taxonomy", ", ".join(taxonomy()["axes"]["io"]))
    return io == "text" or (capabilities is not None and io in capabilities)


@dataclass(frozen=True, kw_only=True, eq=False)
class CellTable:
    """What each arm scored and cost in each cell; the last cell is the parent, all prompts together."""

    cells: tuple[str, ...]
    n: Floats
    """(c + 1, k) prompts with a score."""
    wins: Floats
    """(c + 1, k) sum of scores."""
    dollars: Floats
    """(c + 1, k) sum of costs."""

    def score(self, kappa: float = KAPPA) -> Floats:
        """(c, k) mean scores, shrunken to the parent where a cell has fewer than `MIN_CELL` prompts."""
        return self._shrunken(self.wins, kappa)

    def cost(self, kappa: float = KAPPA) -> Floats:
        """(c, k) mean dollars, shrunken alike."""
        return self._shrunken(self.dollars, kappa)

    def frame(self, arms: Sequence[str]) -> pl.DataFrame:
        """The table in long format: cell, arm, n, wins, mean score, mean cost, taxonomy_version."""
        names = (*self.cells, "")
        rows = [
            {"cell": names[c], "arm": arm, "n": self.n[c, j], "wins": self.wins[c, j], "dollars": self.dollars[c, j]}
            for c in range(len(names))
            for j, arm in enumerate(arms)
        ]
        means = [(pl.col(total) / pl.col("n")).alias(mean) for total, mean in (("wins", "score"), ("dollars", "cost"))]
        return pl.DataFrame(rows).with_columns(*means, pl.lit(taxonomy_version()).alias("taxonomy_version"))

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, cells: Sequence[str], num_arms: int) -> "CellTable":
        """The inverse of `frame`.

        Raises:
            DataError: the table is of another taxonomy, or not of this shape.
        """
        versions = frame["taxonomy_version"].unique().to_list()
        if versions != [taxonomy_version()] or frame.height != (len(cells) + 1) * num_arms:
            raise DataError(f"a table of taxonomy {versions}", "cells", f"fit again with {taxonomy_version()}")
        shape = (len(cells) + 1, num_arms)
        n, wins, dollars = (frame[name].to_numpy().reshape(shape) for name in ("n", "wins", "dollars"))
        return cls(cells=tuple(cells), n=n, wins=wins, dollars=dollars)

    def _shrunken(self, total: Floats, kappa: float) -> Floats:
        n, parent = self.n[:-1], total[-1] / np.maximum(self.n[-1], 1.0)
        weight = np.where(n < MIN_CELL, kappa, 0.0)
        return (total[:-1] + weight * parent) / np.maximum(n + weight, 1e-12)


def fit_table(cell: Ints, cells: Sequence[str], score: Floats, cost: Floats) -> CellTable:
    """Counts scores and dollars per cell.

    Args:
        cell: (n,) cell of each prompt.
        cells: Their names.
        score: (n, k) with NaN where never asked.
        cost: (n, k) dollars.
    """
    member = np.zeros((len(cells) + 1, len(cell)))
    member[cell, np.arange(len(cell))] = 1.0
    member[-1] = 1.0
    known = ~np.isnan(score)
    n = member @ known
    return CellTable(
        cells=tuple(cells),
        n=n,
        wins=member @ np.where(known, score, 0.0),
        dollars=member @ np.where(known, np.nan_to_num(cost), 0.0),
    )


def cell_labels(prompts: Sequence[str], datasets: Sequence[str], *, min_leaf: int = MIN_LEAF) -> list[str]:
    """A training label for each prompt: its data set where every prompt has one, else its leaf of the taxonomy.

    Labels with fewer than ``min_leaf`` prompts become their task, and that failing `OTHER`.
    """
    if all(datasets):
        return _merged(list(datasets), [OTHER] * len(datasets), min_leaf)
    leaves = [label(prompt) for prompt in prompts]
    return _merged(
        [f"{leaf.task}/{leaf.complexity}" for leaf in leaves],
        _merged([leaf.task for leaf in leaves], [OTHER] * len(leaves), min_leaf),
        min_leaf,
    )


def _merged(labels: list[str], parents: list[str], min_leaf: int) -> list[str]:
    names, counts = np.unique(labels, return_counts=True)
    large = {str(name) for name, count in zip(names, counts, strict=True) if count >= min_leaf}
    return [name if name in large else parent for name, parent in zip(labels, parents, strict=True)]


def _most_signs(text: str, axis: str) -> str | None:
    counts = {value: sum(bool(sign.search(text)) for sign in signs) for value, signs in _signs(axis).items()}
    best = max(counts, key=lambda value: counts[value])
    return best if counts[best] else None


@cache
def _signs(axis: str) -> dict[str, list[re.Pattern[str]]]:
    listed: dict[str, list[str]] = taxonomy()["signs"][axis]
    return {value: [re.compile(rf"(?<!\w)(?:{sign})") for sign in signs] for value, signs in listed.items()}


def _complexity(text: str) -> str:
    limits = taxonomy()["complexity"]
    words, numbers = len(text.split()), len(re.findall(r"\d+", text))
    for level in ("high", "medium"):
        if words >= limits[f"words_{level}"] or numbers >= limits[f"numbers_{level}"]:
            return level
    return "low"
