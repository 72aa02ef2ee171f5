"""From votes to the table: settings, groups, fit, intervals, ranks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import polars as pl
from scipy.stats import norm

from homespun.arena import intervals, style
from homespun.arena.newton import Floats, PairModel
from homespun.arena.rank import (
    ELO,
    PRIOR,
    BradleyTerry,
    elo,
    fit,
    never_lost_or_won,
    require_connected,
    strongly_connected,
)
from homespun.arena.settings import SETTINGS, columns_of, matched, weighed
from homespun.arena.ties import Davidson, RaoKupper
from homespun.arena.votes_table import PROPENSITY, Counts, count
from homespun.errors import ConfigError, DataError
from homespun.runs.tables import Kind

Method = Literal["bt", "rao-kupper", "davidson"]
METHODS: tuple[str, ...] = get_args(Method)
SAME = 6
"""Decimals to which two ratings must differ to have different ranks."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is asked of the votes."""

    method: Method = "bt"
    """bt counts a tie as half a win; rao-kupper and davidson give ties a chance of their own."""
    setting: str = "all"
    """Which votes count: one of `settings.SETTINGS`."""
    by: str | None = None
    """Column; a table of its own for each of its values."""
    control: tuple[str, ...] = ()
    """Stems of covariates NAME_a, NAME_b whose effect is taken out (bt only)."""
    anchor: tuple[str, float] | None = None
    """Model and its rating; by default the mean is 1000."""
    bootstrap: int = 0
    """Resamples for percentile intervals and ranks by the median (the paper: 100); 0 for the sandwich."""
    seed: int = 0
    """Of the resamples."""
    level: float = 0.95
    """Coverage of the intervals."""

    def check(self) -> None:
        """Refuses what makes no sense.

        Raises:
            ConfigError: naming the option.
        """
        if self.method not in METHODS:
            raise ConfigError(f"unknown method {self.method!r}", "--method", ", ".join(METHODS))
        if self.setting not in SETTINGS:
            raise ConfigError(f"unknown setting {self.setting!r}", "--setting", ", ".join(SETTINGS))
        if self.control and self.method != "bt":
            raise ConfigError(f"style control is not defined for {self.method}", "--control", "--method bt")
        if self.bootstrap < 0 or 0 < self.bootstrap < 10:
            raise ConfigError(f"{self.bootstrap} resamples say nothing", "--bootstrap", "0 for none, or at least 10")
        if not 0 < self.level < 1:
            raise ConfigError(f"{self.level} is no coverage", "level", "0.95")
        if self.anchor is not None and not np.isfinite(self.anchor[1]):
            raise ConfigError(f"{self.anchor[1]} is no rating", "--anchor", "MODEL=1000")

    def columns(self) -> dict[str, Kind]:
        """Columns of the votes that are needed beyond model_a, model_b and winner."""
        wanted: dict[str, Kind] = dict.fromkeys(columns_of(self.setting), "text")
        wanted.update((f"{name}_{side}", "number") for name in self.control for side in "ab")
        if self.by:
            wanted[self.by] = "text"
        return wanted


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Rows to show, and what stands behind them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """model, rating, low, high, rank, votes; with ``by`` also group, with ``bootstrap`` also median."""
    fits: list[dict[str, Any]] = field(default_factory=list)
    """Per group, or one: votes, models, prior, tie (theta or nu, else None), style (one entry per covariate)."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know: votes left out, priors that were needed, groups that could not be ranked."""


class _Rated(NamedTuple):
    """Ratings of the models of some votes."""

    rating_M: Floats
    low_M: Floats
    high_M: Floats
    median_M: Floats | None
    tie: float | None
    prior: float
    style: list[dict[str, Any]]


def leaderboard(votes: pl.DataFrame, config: Config = Config()) -> Leaderboard:
    """Ranks the models of checked votes.

    Args:
        votes: As from `votes_table.read_votes` with ``config.columns()``.
        config: What is asked.

    Raises:
        ConfigError: the configuration makes no sense, or names a model that has no vote.
        DataError: the votes can't be ranked; with ``by`` only where that holds for every group.
    """
    config.check()
    board = Leaderboard()
    frame = weighed(_complete(matched(votes, config.setting), config, board.notes))
    if PROPENSITY in votes.columns:
        board.notes.append("votes are weighed by one over the propensity of their pair")
    if config.by is None:
        _rank(frame, config, board, None)
        return board
    for group, part in sorted(frame.partition_by(config.by, as_dict=True).items(), key=lambda item: str(item[0][0])):
        try:
            _rank(part, config, board, str(group[0]))
        except (DataError, ConfigError) as error:
            board.notes.append(f"{config.by} {str(group[0])[:40]!r} is left out: {error}")
    if not board.rows:
        raise DataError(f"no {config.by} can be ranked: {board.notes[-1]}", "votes", "more votes, or no --by")
    return board


def _complete(frame: pl.DataFrame, config: Config, notes: list[str]) -> pl.DataFrame:
    """Votes that have what is asked for."""
    needed = [name for name in config.columns() if name not in columns_of(config.setting)]
    found = frame.drop_nulls(needed) if needed else frame
    if found.height == 0:
        raise DataError("no vote has a value in all of them", f"columns {', '.join(needed)}", "fill them, or fewer")
    if found.height < frame.height:
        notes.append(f"{frame.height - found.height:,} votes without {', '.join(needed)} are left out")
    return found


def _rank(frame: pl.DataFrame, config: Config, board: Leaderboard, group: str | None) -> None:
    """Adds the rows, the fit and the notes of one group."""
    counts = count(frame)
    anchor = _anchor(config, counts.models)
    rated = _controlled(frame, counts, config, anchor) if config.control else _plain(counts, config, anchor)
    first = {} if group is None else {"group": group}
    columns = {"rating": rated.rating_M, "low": rated.low_M, "high": rated.high_M}
    if rated.median_M is not None:
        columns["median"] = rated.median_M
    key = np.round(rated.rating_M if rated.median_M is None else rated.median_M, SAME)
    for place in np.argsort(-key, kind="stable"):
        values = {name: float(column[place]) for name, column in columns.items()}
        rank = 1 + int((key > key[place]).sum())
        board.rows.append(
            {**first, "rank": rank, "model": counts.models[place], **values, "votes": int(counts.votes_M[place])}
        )
    size = {"votes": counts.num_votes, "models": len(counts.models)}
    board.fits.append({**first, **size, "prior": rated.prior, "tie": rated.tie, "style": rated.style})
    if rated.prior:
        board.notes.append(_prior_note(counts, group))


def _plain(counts: Counts, config: Config, anchor: intervals.Anchor) -> _Rated:
    models: Mapping[str, PairModel] = {"bt": BradleyTerry(), "rao-kupper": RaoKupper(), "davidson": Davidson()}
    model = models[config.method]
    found = fit(counts, model)
    rating = elo(found.strength_M, anchor)
    median = None
    if config.bootstrap:
        drawn = intervals.bootstrap(counts, model, found, num_resamples=config.bootstrap, seed=config.seed)
        low, median, high = intervals.percentile_interval(drawn, anchor, config.level)
    else:
        covariance = intervals.sandwich(counts, model, found)
        low, high = intervals.sandwich_interval(rating, covariance, anchor, config.level)
    tie = model.constant(found.tie) if isinstance(model, RaoKupper | Davidson) else None
    return _Rated(rating, low, high, median, tie, found.prior, [])


def _controlled(frame: pl.DataFrame, counts: Counts, config: Config, anchor: intervals.Anchor) -> _Rated:
    require_connected(counts)
    data = style.design(frame, counts.models, config.control)
    prior = 0.0 if strongly_connected(counts, counts.weighted_3P[None])[0] else PRIOR
    value = style.fit(data, data.weight_N, prior=prior)
    size = len(counts.models)
    rating, median = elo(value[:size], anchor), None
    if config.bootstrap:
        drawn = style.bootstrap(data, value, prior=prior, num_resamples=config.bootstrap, seed=config.seed)
        low, median, high = intervals.percentile_interval(drawn[:, :size], anchor, config.level)
        ends = np.quantile(drawn[:, size:], [(1 - config.level) / 2, (1 + config.level) / 2], axis=0)
    else:
        covariance = style.sandwich(data, value, prior=prior)
        low, high = intervals.sandwich_interval(rating, covariance[:size, :size], anchor, config.level)
        half = norm.ppf((1 + config.level) / 2) * np.sqrt(np.diag(covariance)[size:])
        ends = np.array([value[size:] - half, value[size:] + half])
    effects = [
        {"covariate": name, "points": ELO * float(middle), "low": ELO * float(lowest), "high": ELO * float(highest)}
        for name, middle, lowest, highest in zip(config.control, value[size:], *ends, strict=True)
    ]
    return _Rated(rating, low, high, median, None, prior, effects)


def _anchor(config: Config, models: list[str]) -> intervals.Anchor:
    if config.anchor is None:
        return None
    name, value = config.anchor
    if name not in models:
        raise ConfigError(f"no vote has the model {name[:40]!r}", "--anchor", f"one of {', '.join(models[:8])}")
    return models.index(name), value


def _prior_note(counts: Counts, group: str | None) -> str:
    where = "" if group is None else f"{group[:40]}: "
    extreme = never_lost_or_won(counts)
    who = ", ".join(name[:40] for name in extreme[:5]) or "some models, against all others,"
    prior = f"a weak prior (deviation {ELO / PRIOR**0.5:.0f}) keeps ratings finite"
    return f"{where}{who} never lost or never won a point: {prior}"
