"""Watches decisions and labels go by, and raises alarms when the world moves, by the rules of `router.drift`.

A baseline is the first observations of each signal; what follows is held against it. After an alarm the signal learns
a new baseline, since the world that was is gone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from homespun.router.drift import RUN_LENGTH, Alarm, RateMonitor, mix_alarm, monitor
from homespun.serve.gateway.types import new_id

Row = Mapping[str, Any]

BASELINE = 400
"""Observations that make a baseline."""
RECENT = 300
"""Decisions of which a mix is made, to be held against the baseline's."""


@dataclass(kw_only=True)
class Rate:
    """A rate with its baseline."""

    kind: str
    baseline: int = BASELINE
    run_length: float = RUN_LENGTH
    hits: int = 0
    total: int = 0
    watching: RateMonitor | None = None

    def observe(self, hit: bool) -> Alarm | None:
        """Takes one observation: of the baseline until that is full, of what is watched from then on."""
        if self.watching is None:
            self.hits, self.total = self.hits + hit, self.total + 1
            if self.total >= self.baseline:
                self.watching = monitor(self.kind, self.hits, self.total, run_length=self.run_length)
            return None
        alarm = self.watching.observe(hit)
        if alarm is not None:
            self.hits, self.total, self.watching = 0, 0, None
        return alarm


@dataclass(kw_only=True)
class Mix:
    """Counts per cell, of a baseline and of the latest window."""

    baseline: int = BASELINE
    recent: int = RECENT
    before: Counter[str] = field(default_factory=Counter[str])
    now: Counter[str] = field(default_factory=Counter[str])

    def observe(self, cell: str) -> Alarm | None:
        """Takes one decision; windows do not overlap."""
        if self.before.total() < self.baseline:
            self.before[cell] += 1
            return None
        self.now[cell] += 1
        if self.now.total() < self.recent:
            return None
        alarm = mix_alarm(self.before, self.now)
        if alarm is not None:
            self.before = Counter()
        self.now = Counter()
        return alarm


@dataclass
class Watch:
    """All signals of one gateway."""

    mix: Mix = field(default_factory=Mix)
    escalation: Rate = field(default_factory=lambda: Rate(kind="escalation"))
    calm: Rate = field(default_factory=lambda: Rate(kind="acceptance"))
    """The first arm's answer was the one that was given: escalation falling is as telling as escalation rising."""
    disagreement: Rate = field(default_factory=lambda: Rate(kind="disagreement"))

    def decision(self, row: Row) -> list[Alarm]:
        """Takes a decision."""
        found = [self.mix.observe(row["cell"])] if row["cell"] else []
        if row["answered"] is not None:
            went_on = row["answered"] != row["chosen"]
            found += [self.escalation.observe(went_on), self.calm.observe(not went_on)]
        return [alarm for alarm in found if alarm is not None]

    def labels(self, rows: Iterable[Row]) -> list[Alarm]:
        """Takes labels: where a judge and a validator spoke of the same answer, whether they agree."""
        spoken: dict[tuple[str, str], dict[str, float]] = {}
        for row in rows:
            if row["source"] in ("judge", "validator"):
                spoken.setdefault((row["request_id"], row["arm"]), {})[row["source"]] = row["score"]
        found = [
            self.disagreement.observe((both["judge"] >= 0.5) != (both["validator"] >= 0.5))
            for both in spoken.values()
            if len(both) == 2
        ]
        return [alarm for alarm in found if alarm is not None]


def alarm_row(alarm: Alarm, time: float) -> dict[str, Any]:
    """A row of ``alarms``."""
    return {"id": new_id("alm"), "time": time, **alarm._asdict(), "cleared": None}
