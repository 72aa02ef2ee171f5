"""The stretches of time that the page shows, cut into buckets that start at multiples of their length."""

from typing import Literal, NamedTuple

WindowName = Literal["hour", "day", "week", "month"]


class Window(NamedTuple):
    """One stretch up to now."""

    bucket: int
    """Seconds of one bucket, the unit in which requests are summed and kept."""
    buckets: int
    """How many there are."""
    shown: int
    """Buckets that make one point of a curve."""

    def start(self, now: float) -> int:
        """Second at which the window of ``now`` starts; it ends with the bucket in which ``now`` lies."""
        return (int(now // self.bucket) - self.buckets + 1) * self.bucket


WINDOWS: dict[WindowName, Window] = {
    "hour": Window(60, 60, 1),
    "day": Window(300, 288, 6),
    "week": Window(1800, 336, 6),
    "month": Window(7200, 360, 6),
}
