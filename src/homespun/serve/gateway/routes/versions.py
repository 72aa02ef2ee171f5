"""Fitted routers at work: which version decides on which request, and what it reads from a prompt.

Reading a prompt takes 1–9 ms of one core. It is done in one long-lived thread, so that the loop goes on meanwhile, and
kept for a minute, since a retried or repeated question is read again within seconds.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from homespun.errors import ConfigError, HomespunError
from homespun.router.decide import Router
from homespun.router.policy import Reading
from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.routes.ask import Ask, RouterVersion
from homespun.serve.gateway.routes.reader import strategy_of

T = TypeVar("T")

KEPT_SECONDS = 60.0
KEPT = 1024
"""Readings."""


@dataclass(frozen=True)
class Live:
    """One version at work."""

    version: str
    router: Router
    arms: Mapping[str, Target]
    """The target of every arm."""
    share: float

    @property
    def votes(self) -> bool:
        """Whether it has a cascade, and every arm's answers can be read."""
        return bool(self.router.knowledge.plans) and all(strategy_of(target) for target in self.arms.values())


class Versions:
    """The routers in use, live first; nothing is in use before `use` has been called."""

    def __init__(self, config: GatewayConfig) -> None:
        self._arms = {target.arm_name: target for target in config.tiers()}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="router", initializer=_one_core)
        self._readings: OrderedDict[tuple[str, bytes], tuple[float, Reading]] = OrderedDict()
        self._live: tuple[Live, ...] = ()
        self._refused: tuple[tuple[RouterVersion, ...], HomespunError] | None = None
        self._loading = asyncio.Lock()
        self.wanted: tuple[RouterVersion, ...] = ()

    async def use(self, wanted: Sequence[RouterVersion]) -> None:
        """Loads what is new and puts it to work; what is in use stays if anything is wrong.

        Raises:
            ConfigError: a router's arms are not the configured tiers.
            DataError: no router lies there, or a damaged one.
        """
        versions = tuple(RouterVersion(*version) for version in wanted)
        if versions == self.wanted:
            return
        async with self._loading:
            await self._load(versions)

    async def _load(self, versions: tuple[RouterVersion, ...]) -> None:
        if versions == self.wanted:
            return
        if self._refused is not None and self._refused[0] == versions:
            raise self._refused[1]
        known = {live.version: live for live in self._live}
        loaded: list[Live] = []
        try:
            for version, path, share in versions:
                old = known.get(version)
                router = await self._run(Router.load, path) if old is None else old.router
                loaded.append(Live(version, router, self._targets(version, router), share))
        except HomespunError as error:
            self._refused = versions, error
            raise
        self._live, self.wanted, self._refused = tuple(loaded), versions, None

    def assign(self, ask: Ask) -> Live | None:
        """The version for a request: by a stable hash of its conversation, else of itself."""
        if not self._live:
            return None
        place = _uniform(ask.conversation or ask.request_id)
        for canary in self._live[1:]:
            if place < canary.share:
                return canary
            place -= canary.share
        return self._live[0]

    async def read(self, live: Live, text: str) -> Reading:
        """What a router reads from a prompt."""
        key = live.version, hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        now = time.monotonic()
        if (kept := self._readings.get(key)) is not None and now - kept[0] < KEPT_SECONDS:
            return kept[1]
        reading = await self._run(live.router.knowledge.read, [text])
        self._readings[key] = now, reading
        self._readings.move_to_end(key)
        while len(self._readings) > KEPT:
            self._readings.popitem(last=False)
        return reading

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[Any], T], argument: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, argument)

    def _targets(self, version: str, router: Router) -> dict[str, Target]:
        missing = [arm for arm in router.knowledge.arms if arm not in self._arms]
        if missing:
            listed = ", ".join(list(self._arms)[:5]) or "none"
            raise ConfigError(
                f"router {version[:40]!r} knows {len(missing)} arms that are no tier, such as {missing[0]!r}",
                "auto.router",
                f"a router fitted on the arms of auto.tiers ({listed}), or targets with these arms",
            )
        return {arm: self._arms[arm] for arm in router.knowledge.arms}


def _uniform(text: str) -> float:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _one_core() -> None:
    threadpool_limits(limits=1)  # one prompt is too little work to share; and sums stay equal
