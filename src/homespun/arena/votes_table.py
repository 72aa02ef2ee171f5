"""Votes in: a table of who met whom and who won, hostile until checked, and the counts that ranking works on."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from homespun.arena.newton import FIRST, SECOND, TIE, Floats, Ints, Pairs, summed
from homespun.errors import DataError
from homespun.runs.tables import Kind, read_table

WINNERS = ("model_a", "model_b", "tie", "both_bad")
REQUIRED: dict[str, Kind] = {"model_a": "text", "model_b": "text", "winner": "text"}
PROPENSITY = "propensity"
"""Column, taken when it is there: the chance with which the pair was drawn."""
WEIGHT = "__weight__"
"""Column that `settings.weighed` adds: what a vote counts."""


def read_votes(path: Path | str, columns: Mapping[str, Kind] | None = None) -> pl.DataFrame:
    """Reads a table of votes: Parquet, CSV or JSONL.

    Args:
        path: A table with the columns model_a, model_b and winner (model_a, model_b, tie or both_bad).
        columns: Further columns that are wanted, with their kind; empty cells are allowed in them.

    Raises:
        DataError: unreadable, a column missing, an unknown winner, a model without a name or against itself.
    """
    wanted: dict[str, Kind] = dict(columns or {})
    optional: dict[str, Kind] = {**wanted, PROPENSITY: "fraction"}
    frame = read_table(path, REQUIRED, optional)
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise DataError(f"missing column {', '.join(map(repr, missing))}", str(path), "a column of the table of votes")
    check_votes(frame, str(path))
    return frame


def check_votes(frame: pl.DataFrame, where: str) -> None:
    """Refuses what is no vote.

    Raises:
        DataError: an unknown winner, a model without a name or against itself; the text names the first such row.
    """
    _refuse(frame, ~pl.col("winner").is_in(WINNERS), "winner", where, f"one of {', '.join(WINNERS)}")
    for side in ("model_a", "model_b"):
        _refuse(frame, pl.col(side).str.strip_chars() == "", side, where, "the name of a model")
    _refuse(frame, pl.col("model_a") == pl.col("model_b"), "model_b", where, "two different models in a vote")


def _refuse(frame: pl.DataFrame, bad: pl.Expr, column: str, where: str, hint: str) -> None:
    rows = frame.select(bad.alias("bad").arg_true())["bad"]
    if len(rows):
        value = str(frame[column][int(rows[0])])[:40]
        raise DataError(f"row {rows[0]} has {value!r}", f"{where}, column {column!r}", hint)


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """How often each pair of models ended how. Axes: M models, P pairs that met, C cells of equal votes."""

    models: list[str]
    """Names, sorted."""
    pairs: Pairs
    """With first < second in each."""
    place_C: Ints
    """outcome * P + pair."""
    number_C: Floats
    """Votes in the cell."""
    weight_C: Floats
    """What one vote of the cell counts; 1 without reweighting, mean 1 with."""

    @property
    def num_pairs(self) -> int:
        """P."""
        return len(self.pairs.first_P)

    @property
    def num_votes(self) -> int:
        """Votes in all."""
        return int(self.number_C.sum())

    def table(self, value_C: Floats) -> Floats:
        """(3, P): cells summed by outcome and pair."""
        return summed(self.place_C, value_C, 3 * self.num_pairs).reshape(3, self.num_pairs)

    @cached_property
    def weighted_3P(self) -> Floats:
        """Weight of the votes by outcome and pair."""
        return self.table(self.number_C * self.weight_C)

    @cached_property
    def votes_M(self) -> Ints:
        """Votes that each model was in."""
        met = self.table(self.number_C).sum(axis=0)
        size = len(self.models)
        both = np.bincount(self.pairs.first_P, met, size) + np.bincount(self.pairs.second_P, met, size)
        return both.astype(np.int64)


def count(frame: pl.DataFrame) -> Counts:
    """Counts the votes of a checked table; the column `WEIGHT` says what each counts."""
    weighted = WEIGHT in frame.columns
    keys = ["model_a", "model_b", "winner", *([WEIGHT] if weighted else [])]
    cells = frame.lazy().group_by(keys).len("number").sort(keys).collect()
    models = sorted(set(cells["model_a"].unique()) | set(cells["model_b"].unique()))
    names = pl.Enum(models)
    a, b = (cells[side].cast(names).to_physical().to_numpy().astype(np.int64) for side in ("model_a", "model_b"))
    won = cells["winner"].replace_strict(dict.fromkeys(WINNERS, TIE) | {"model_a": FIRST, "model_b": SECOND})
    outcome = won.to_numpy().astype(np.int64)
    outcome = np.where((a > b) & (outcome != TIE), 1 - outcome, outcome)
    codes, pair = np.unique(np.minimum(a, b) * len(models) + np.maximum(a, b), return_inverse=True)
    place = outcome * len(codes) + pair.reshape(-1)
    weight = cells[WEIGHT] if weighted else pl.Series(np.ones(cells.height))
    alike = pl.DataFrame({"place": place, "weight": weight, "number": cells["number"]})
    alike = alike.group_by("place", "weight").sum().sort("place", "weight")
    return Counts(
        models=models,
        pairs=Pairs(codes // len(models), codes % len(models), len(models)),
        place_C=alike["place"].to_numpy(),
        number_C=alike["number"].cast(pl.Float64).to_numpy(),
        weight_C=alike["weight"].to_numpy(),
    )
