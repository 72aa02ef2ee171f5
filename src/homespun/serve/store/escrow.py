"""What a worker may grant by itself: its leases, in memory, from which a request is let through in microseconds.

A request reserves the most that it can cost, of every limit that it counts against, in the windows of that moment;
when it is settled, what it did not use is free again, and what it used stays taken from the lease until the database
knows. A request belongs to the windows in which it began, however long it runs and whatever the clock does meanwhile.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from homespun.serve.store.keys import UNITS, Key, Limit, Registry
from homespun.serve.store.leases import SHARE, Asking, Grant, Place
from homespun.serve.store.periods import window

IDLE_SECONDS = 1.0
"""A lease of which nothing was taken for so long goes back."""
_FIRST = 16
"""A first lease is as large as so many requests like the one that asks, if there is enough."""


class Lease:
    """What this worker holds of one window of a limit: free, held by running requests, or used but not booked."""

    __slots__ = (
        "asked", "barred", "barred_need", "denied", "end", "free", "granted", "held", "least", "limit", "low",
        "others", "place", "size", "start", "unbooked", "used", "wanted",
    )  # fmt: skip

    def __init__(self, limit: Limit, start: int, end: float) -> None:
        self.limit, self.start, self.end = limit, start, end
        self.place: Place = (limit.id, start)
        self.free = self.held = self.unbooked = 0
        self.asked = self.least = 0
        """What requests that wait need: together, and the smallest."""
        self.size = self.low = 0
        """What to hold, and below what to ask for more before it is needed."""
        self.used = self.granted = 0.0
        self.denied = False
        self.others = self.wanted = 0
        self.barred, self.barred_need = 0.0, 0
        """Until when a request that needs so much or more is refused without asking again."""


_NONE = Lease(Limit("", "all", "", "requests", "ever", 0), 0, 0.0)
"""Covers no moment."""


class Meter:
    """A limit, with the lease of its present window."""

    __slots__ = ("lease", "limit", "unit")

    def __init__(self, limit: Limit) -> None:
        self.limit, self.unit, self.lease = limit, UNITS.index(limit.unit), _NONE


@dataclass(slots=True, eq=False)
class Hold:
    """What was set aside for one request."""

    key: Key | None
    meters: tuple[Meter, ...]
    leases: tuple[Lease, ...]
    needs: tuple[int, int, int]
    """Nanodollars, requests, tokens, as in `keys.UNITS`."""
    state: int = 0
    """0 reserved, 1 begun, 2 over."""
    begun: object = None


class Escrow:
    """The leases of one worker."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._meters: dict[str, Meter] = {}
        self._plans: dict[str, tuple[Meter, ...]] = {}
        self.leases: dict[Place, Lease] = {}
        self.touched: set[Lease] = set()
        """Leases about which the database has to be told, or asked."""
        self.running_low = False

    def use(self, registry: Registry) -> None:
        """Takes over changed keys and limits; of a limit that was changed, all that is free goes back."""
        self._registry = registry
        self._plans.clear()
        limits = {limit.id: limit for found in registry.limits.values() for limit in found}
        for id, meter in list(self._meters.items()):
            limit = limits.get(id)
            if limit != meter.limit:
                self.give_back(lease for lease in self.leases.values() if lease.place[0] == id)
                meter.lease = _NONE
                if limit is None:
                    del self._meters[id]
                else:
                    meter.limit = limit
        for lease in self.leases.values():
            lease.limit = limits.get(lease.place[0], lease.limit)

    def meters_of(self, key: Key | None) -> tuple[Meter, ...]:
        """The meters that a request of this key counts against."""
        name = "" if key is None else key.id
        if (plan := self._plans.get(name)) is None:
            plan = self._plans[name] = tuple(self._meter(limit) for limit in self._registry.limits_of(key))
        return plan

    def try_reserve(self, key: Key | None, needs: tuple[int, int, int]) -> Hold | None:
        """Sets aside what a request may need, if the leases cover it."""
        plan = self._plans.get("" if key is None else key.id)
        if plan is None:
            plan = self.meters_of(key)
        if not plan:
            return Hold(key, plan, (), needs)
        now = time.time()
        for meter in plan:
            lease = meter.lease
            if lease.free < needs[meter.unit] or now >= lease.end or now < lease.start:
                return None
        leases: list[Lease] = []
        for meter in plan:
            lease, need = meter.lease, needs[meter.unit]
            lease.free -= need
            lease.held += need
            lease.used = now
            if lease.free < lease.low:
                self.running_low = True
                self.touched.add(lease)
            leases.append(lease)
        return Hold(key, plan, tuple(leases), needs)

    def lacking(self, plan: Iterable[Meter], needs: tuple[int, int, int]) -> list[tuple[Lease, int]]:
        """The leases of now that do not cover a request, with what it needs of them."""
        now = time.time()
        return [
            (lease, needs[meter.unit])
            for meter in plan
            if (lease := self._current(meter, now)).free < needs[meter.unit]
        ]

    def ask(self, lacking: Iterable[tuple[Lease, int]]) -> None:
        """Notes what leases lack for a request, for the next transaction."""
        for lease, need in lacking:
            lease.asked += need
            lease.denied = False
            lease.least = min(need, lease.least or need)
            self.touched.add(lease)

    def release(self, hold: Hold) -> None:
        """Gives back all of what a request that never began had set aside."""
        for meter, lease in zip(hold.meters, hold.leases, strict=True):
            lease.held -= hold.needs[meter.unit]
            lease.free += hold.needs[meter.unit]
            lease.barred = 0.0
            self.touched.add(lease)

    def charge(self, hold: Hold, costs: tuple[int, int, int]) -> list[tuple[str, int, int, int]]:
        """Takes what a request really cost out of its leases, and frees the rest.

        Returns:
            For each limit: its id, the window, the cost, and how much of that the lease covers.
        """
        charges: list[tuple[str, int, int, int]] = []
        for meter, lease in zip(hold.meters, hold.leases, strict=True):
            need, cost = hold.needs[meter.unit], costs[meter.unit]
            lease.held -= need
            covered = cost
            if cost <= need:
                lease.free += need - cost
            else:  # dearer than anybody thought possible: what is free goes too, the rest is above the limit
                more = min(lease.free, cost - need)
                lease.free -= more
                covered = need + more
            lease.barred = 0.0
            lease.unbooked += covered
            self.touched.add(lease)
            charges.append((*lease.place, cost, covered))
        return charges

    # --- the database's side ------------------------------------------------------------------------------------

    def holding(self, now: float) -> dict[Place, int]:
        """What is held of each lease that was touched; what is free of a past window is let go."""
        held: dict[Place, int] = {}
        for lease in self.touched:
            if self.leases.get(lease.place) is not lease:
                continue  # nothing is left of it, and another may have taken its place
            if now >= lease.end:
                lease.free = 0
            held[lease.place] = lease.free + lease.held + lease.unbooked
        return held

    def asking(self, now: float) -> list[Asking]:
        """What to ask of the database; the requests that wait are answered by it."""
        asking: list[Asking] = []
        for lease in self.touched:
            low = lease.low > lease.free and not lease.asked
            if (lease.asked or low) and lease.start <= now < lease.end:
                if low:
                    quick = now - lease.granted < IDLE_SECONDS
                    lease.size = lease.size * 2 if quick else lease.size
                    lease.low = 0  # until the answer is there
                wished = max(lease.size, _FIRST * lease.least) - lease.free
                missing = max(0, lease.asked - lease.free) if lease.asked else 0
                least = max(0, lease.least - lease.free) if lease.asked else 1
                asking.append(Asking(lease.place, missing, least, max(0, wished)))
            lease.asked = lease.least = 0
        self.running_low = False
        return sorted(asking, key=lambda wish: wish.place)

    def book(self, covered: Mapping[Place, int], grants: Mapping[Place, Grant], now: float) -> None:
        """Takes over what a transaction did."""
        for place, amount in covered.items():
            if (lease := self.leases.get(place)) is not None:
                lease.unbooked -= amount
        for place, grant in grants.items():
            if (lease := self.leases.get(place)) is not None:
                lease.free += grant.amount
                lease.others, lease.wanted, lease.denied = grant.others, grant.wanted, not grant.amount
                if grant.amount:
                    lease.granted = lease.used = now
                    lease.size = max(lease.size, lease.free + lease.held) if grant.left > SHARE * lease.free else 0
                    lease.low = lease.size // 4

    def give_back(self, leases: Iterable[Lease]) -> None:
        """Lets go of what is free; the database is told with the next batch."""
        for lease in leases:
            if lease.free:
                lease.free = 0
                self.touched.add(lease)
            lease.size = lease.low = 0

    def idle(self, now: float) -> list[Lease]:
        """Leases of which nothing was taken lately, or whose window is over."""
        return [
            lease
            for lease in self.leases.values()
            if lease.free and (now - lease.used > IDLE_SECONDS or now < lease.used or now >= lease.end)
        ]

    def forget(self) -> None:
        """Drops the leases of which nothing is left."""
        for place, lease in list(self.leases.items()):
            if not (lease.free or lease.held or lease.unbooked or lease.asked or lease in self.touched):
                del self.leases[place]
                meter = self._meters.get(place[0])
                if meter is not None and meter.lease is lease:
                    meter.lease = _NONE

    def _meter(self, limit: Limit) -> Meter:
        if (meter := self._meters.get(limit.id)) is None:
            meter = self._meters[limit.id] = Meter(limit)
        return meter

    def _current(self, meter: Meter, now: float) -> Lease:
        lease = meter.lease
        if not lease.start <= now < lease.end:
            start, end = window(meter.limit.period, now)
            lease = self.leases.get((meter.limit.id, start))
            if lease is None:
                lease = self.leases[meter.limit.id, start] = Lease(meter.limit, start, end)
            lease.used = now
            meter.lease = lease
        return lease
