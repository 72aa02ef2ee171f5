"""Votes as a table for `homespun rank` and for the leaderboard."""

from collections.abc import Sequence

import polars as pl

from homespun.arena.covariates import NAMES
from homespun.serve.store.arena.types import Vote

WINNER = {"a": "model_a", "b": "model_b", "tie": "tie", "both_bad": "both_bad"}
_TEXT = ("environment_a", "environment_b", "code_language_a", "code_language_b", "natural_language", "topic",
         "prompt_hash")  # fmt: skip
COVARIATES = tuple(f"{name}_{side}" for name in NAMES for side in "ab")


def ranked_frame(votes: Sequence[Vote]) -> pl.DataFrame:
    """One row a vote: id, time, voter, model_a, model_b, winner, what both sides were, propensity, covariates."""
    columns: dict[str, pl.Series] = {}
    for name in ("id", "voter", "model_a", "model_b", *_TEXT):
        columns[name] = pl.Series([getattr(vote, name) for vote in votes], dtype=pl.String)
    columns["time"] = pl.Series([vote.time for vote in votes], dtype=pl.Float64)
    columns["propensity"] = pl.Series([vote.propensity for vote in votes], dtype=pl.Float64)
    columns["winner"] = pl.Series([WINNER[vote.winner] for vote in votes], dtype=pl.String)
    for side in "ab":
        columns[f"natural_language_{side}"] = columns["natural_language"]
    for name in COVARIATES:
        columns[name] = pl.Series([vote.covariates.get(name) for vote in votes], dtype=pl.Float64, strict=False)
    return pl.DataFrame(columns)
