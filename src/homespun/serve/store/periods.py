"""Windows of time over which a limit counts: whole periods in UTC, weeks from Monday, as in ISO 8601."""

from datetime import UTC, datetime
from math import inf
from typing import Literal, get_args

Period = Literal["minute", "hour", "day", "week", "month", "ever"]
PERIODS: tuple[Period, ...] = get_args(Period)
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_MONDAY = 4 * 86_400
"""The first Monday after 1970 began, which was a Thursday."""


def window(period: Period, now: float) -> tuple[int, float]:
    """The window in which a moment lies.

    Args:
        period: Its length.
        now: Seconds since 1970.

    Returns:
        The second at which it starts, and that at which it is over; 0 and infinity for ``ever``.
    """
    if period == "ever":
        return 0, inf
    if period == "month":
        first = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        return int(first.timestamp()), after.timestamp()
    length, offset = _SECONDS[period], _MONDAY if period == "week" else 0
    start = int((now - offset) // length) * length + offset
    return start, float(start + length)
