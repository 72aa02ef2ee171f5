"""The leaderboard of the room: ranked from the store when votes have arrived, off the event loop, and kept until then.

Every answer for one version of the votes is made once. Votes that are void, of named battles, flagged or beyond a
voter's share stay in the store and are left out here.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from homespun.arena import Config, leaderboard
from homespun.arena.covariates import NAMES
from homespun.arena.settings import SETTINGS
from homespun.arena.voters import Rules, Suspicion, left_out
from homespun.errors import ConfigError, DataError
from homespun.serve.store.arena import ArenaStore
from homespun.serve.store.arena.frames import ranked_frame
from homespun.serve.store.database import DatabaseError

log = logging.getLogger("homespun.arena")

BY = {"topic": ("topic",), "environment": ("environment_a", "environment_b"),
      "language": ("code_language_a", "code_language_b"), "natural_language": ("natural_language",)}  # fmt: skip
"""What a table can be narrowed to → the columns that must have the value."""
_OVERLAP = 60.0
"""Seconds of votes that are read again: another process's clock and commit may lag."""
_MOST_CACHED = 500
_SHARE = 10
"""At most one part in so many of the time goes into ranking, however many votes there are."""
Table = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class BoardSettings:
    """How the ranking is made."""

    seconds: float = 3.0
    """Least time between two rankings."""
    rules: Rules = field(default_factory=Rules)
    """Which votes count."""
    modes: tuple[str, ...] = ("battle",)
    """Of sessions whose votes count."""
    reweigh: bool = False
    """Weigh each vote by one over the chance of its pair, if every vote has one."""


class Board:
    """Makes and keeps the tables.

    Args:
        store: Of the votes.
        contestants: Name → title, organization and licence, to be shown.
        settings: How.
    """

    def __init__(self, store: ArenaStore, contestants: Mapping[str, Mapping[str, Any]],
                 settings: BoardSettings = BoardSettings()) -> None:  # fmt: skip
        self._store, self._contestants, self.settings = store, contestants, settings
        self.version = 0
        """Grows when new votes have been ranked."""
        self.flagged: list[Suspicion] = []
        """Voters whose votes are left out."""
        self.left_out: dict[str, int] = {}
        """Reason → votes."""
        self._known, self._newest = set[str](), 0.0
        self._every = self._frame = ranked_frame([])
        self._updated = 0.0
        self._cache: dict[tuple[Any, ...], Table] = {}
        self._dirty, self._news = asyncio.Event(), asyncio.Condition()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Ranks what there is, and again whenever `touch` has been called.

        Raises:
            DatabaseError: the votes cannot be read.
        """
        await self.refresh()
        self._task = asyncio.create_task(self._work(), name="homespun-leaderboard")

    async def close(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def touch(self) -> None:
        """Says that there is a new vote."""
        self._dirty.set()

    async def changed(self, after: int) -> int:
        """Waits for a version greater than this one; returns it."""
        async with self._news:
            await self._news.wait_for(lambda: self.version > after)
            return self.version

    async def refresh(self) -> None:
        """Reads the votes that are new, and makes the tables anew.

        Raises:
            DatabaseError: they cannot be read.
        """
        fresh = await self._store.votes(after=self._newest - _OVERLAP)
        if await self._store.count_votes() > len(self._known.union(vote.id for vote in fresh)):
            fresh = await self._store.votes()  # older ones came in late: an import
        added = [vote for vote in fresh if vote.id not in self._known]
        self._known.update(vote.id for vote in added)
        self._newest = max([self._newest, *(vote.time for vote in added)])
        if added or not self.version:
            chosen = [vote for vote in added if vote.mode in self.settings.modes and not vote.void]
            async with self._turn:
                self._every = pl.concat([self._every, ranked_frame(chosen)])
                found = await asyncio.to_thread(_counted, self._every, self.settings.rules)
                self._frame, self.flagged, self.left_out = found
                self._cache.clear()
                self._updated = time.time()
            async with self._news:
                self.version += 1
                self._news.notify_all()

    async def rows(self, setting: str = "all", by: str | None = None, value: str | None = None,
                   control: Sequence[str] = ()) -> Table:  # fmt: skip
        """One table, as `GET /api/leaderboard` answers.

        Args:
            setting: all, environment, code_language or natural_language: votes whose two sides are equal in it.
            by: topic, environment, language or natural_language: only votes with this ``value`` of it.
            value: See ``by``.
            control: Covariates whose effect is taken out.

        Raises:
            ConfigError: no such setting, column or covariate.
        """
        wanted = (setting.replace("_", "-"), by, value, tuple(sorted(set(control))))
        _check(*wanted)
        async with self._turn:
            if (table := self._cache.get(wanted)) is None:
                table = await asyncio.to_thread(self._ranked, *wanted)
                if len(self._cache) < _MOST_CACHED:
                    self._cache[wanted] = table
        return table

    def _ranked(self, setting: str, by: str | None, value: str | None, control: tuple[str, ...]) -> Table:
        frame, rows, notes = self._frame, list[dict[str, Any]](), list[str]()
        if by is not None:
            frame = frame.filter(*(pl.col(column) == value for column in BY[by]))
        if not self.settings.reweigh or frame["propensity"].null_count():
            frame = frame.drop("propensity")
        votes = frame.height
        try:
            if votes:
                found = leaderboard(frame, Config(setting=setting, control=control))
                rows, notes, votes = found.rows, found.notes, found.fits[0]["votes"]
        except DataError as error:
            notes, votes = [error.what], 0
        listed = {"topics": ("topic",), "environments": BY["environment"], "languages": BY["language"]}
        return {
            "rows": [self._shown(row) for row in rows],
            "votes": votes,
            "left_out": self.left_out,
            "notes": notes,
            "updated": self._updated,
            "setting": setting.replace("-", "_"),
            **{name: _values(self._frame, columns) for name, columns in listed.items()},
            "controls": list(NAMES),
        }

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        told = self._contestants.get(row["model"], {})
        return {
            **row,
            "title": told.get("title") or row["model"],
            "organization": told.get("organization") or "",
            "licence": told.get("licence") or "",
        }

    async def _work(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            started = time.monotonic()
            try:
                await self.refresh()
            except DatabaseError as error:
                log.warning("the leaderboard waits for the database: %s", error)
                self._dirty.set()
            except Exception:
                log.exception("the leaderboard cannot be made")
            took = time.monotonic() - started
            await asyncio.sleep(max(self.settings.seconds, _SHARE * took))


def _counted(frame: pl.DataFrame, rules: Rules) -> tuple[pl.DataFrame, list[Suspicion], dict[str, int]]:
    reasons, flagged = left_out(frame, rules)
    counts = reasons.drop_nulls().value_counts()
    return frame.filter(reasons.is_null()), flagged, dict(counts.sort("left_out").iter_rows())


def _check(setting: str, by: str | None, value: str | None, control: tuple[str, ...]) -> None:
    if setting not in SETTINGS:
        raise ConfigError("unknown setting", "setting", ", ".join(name.replace("-", "_") for name in SETTINGS))
    if by is not None and (by not in BY or value is None):
        raise ConfigError("is unknown, or has no value", "by", f"{', '.join(BY)}, with value=")
    if any(name not in NAMES for name in control):
        raise ConfigError("unknown covariate", "control", ", ".join(NAMES))


def _values(frame: pl.DataFrame, columns: tuple[str, ...]) -> list[str]:
    """What a table can be narrowed to, the most frequent first."""
    alike = frame.filter(pl.col(columns[0]) == pl.col(columns[-1]))[columns[0]].drop_nulls()
    return alike.value_counts(sort=True)[columns[0]].to_list()
