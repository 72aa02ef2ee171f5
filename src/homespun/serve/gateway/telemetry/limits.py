"""How much of each limit is left in its current window, as the database says."""

import time
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from homespun.serve.store import tables

SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 31 * 86_400}
"""Longest window of each period."""


class Limit(NamedTuple):
    """One limit with its current window. ``spent`` is settled; ``reserved`` is held by workers to grant from."""

    id: str
    subject_kind: str
    subject: str
    unit: str
    period: str
    amount: int
    spent: int
    reserved: int
    window: int | None
    """Second at which the window began; ``None``: nothing was asked in it yet."""

    @property
    def left(self) -> int:
        """What can still be granted."""
        return max(0, self.amount - self.spent - self.reserved)


def current(period: str, window: int, now: float) -> bool:
    """Whether the window that began at second ``window`` is the one of ``now``."""
    if period == "ever":
        return True
    if period == "month":
        begun, today = (datetime.fromtimestamp(second, UTC) for second in (window, now))
        return (begun.year, begun.month) == (today.year, today.month)
    return window <= now < window + SECONDS[period]


def limits_now(connection: Connection, now: float | None = None) -> list[Limit]:
    """Every limit, those for all first."""
    now = time.time() if now is None else now
    meters = tables.meters
    recent = sa.or_(meters.c.window == 0, meters.c.window > now - SECONDS["month"] - SECONDS["day"])
    windows: dict[str, list[tuple[int, int, int]]] = {}
    for row in connection.execute(sa.select(meters).where(recent)):
        windows.setdefault(row.limit_id, []).append((row.window, row.spent, row.reserved))
    found: list[Limit] = []
    for row in connection.execute(sa.select(tables.limits)):
        mine = [window for window in windows.get(row.id, []) if current(row.period, window[0], now)]
        window, spent, reserved = max(mine, default=(None, 0, 0))
        found.append(
            Limit(row.id, row.subject_kind, row.subject, row.unit, row.period, row.amount, spent, reserved, window)
        )
    return sorted(found, key=lambda limit: (["all", "team", "key"].index(limit.subject_kind), limit))
