"""The gateway of one worker: its parts, who may ask, which model a name means, and new settings without a restart."""

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from homespun.errors import ConfigError, HomespunError
from homespun.serve.gateway import config as settings
from homespun.serve.gateway.config import AUTO, GatewayConfig, Target
from homespun.serve.gateway.http import bearer
from homespun.serve.gateway.kept import Kept
from homespun.serve.gateway.learning import Learner
from homespun.serve.gateway.routes import Switchboard
from homespun.serve.gateway.telemetry import Telemetry
from homespun.serve.gateway.types import GatewayError, Routed, new_id
from homespun.serve.gateway.upstream import Fleet
from homespun.serve.store.books import Books
from homespun.serve.store.database import Database
from homespun.serve.store.keys import Key

log = logging.getLogger("homespun.gateway")

PREFIX = "homespun/"
RELOAD_SECONDS = 1.0
"""Between two looks at the file."""
CONVERSATIONS = 50_000
"""Conversations whose last arm a worker remembers; older ones are looked up in the books."""


class Conversations:
    """Which target answered a conversation last; the longest unused is forgotten."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, str] = OrderedDict()

    def get(self, conversation: str) -> str | None:
        """The target, if this worker knows."""
        return self._last.get(conversation)

    def put(self, conversation: str, target: str) -> None:
        """Notes who answered."""
        self._last[conversation] = target
        self._last.move_to_end(conversation)
        if len(self._last) > CONVERSATIONS:
            self._last.popitem(last=False)


class Gateway:
    """All that one worker process needs to serve.

    Args:
        config: The settings.
        path: The file that they came from, watched for changes; ``None``: they never change.
        auth: Whether a key is needed.
    """

    database: Database
    books: Books
    fleet: Fleet
    switchboard: Switchboard
    learner: Learner
    telemetry: Telemetry
    kept: Kept

    def __init__(self, config: GatewayConfig, *, path: Path | None = None, auth: bool = True) -> None:
        self.config, self.path, self.auth = config, path, auth
        self.worker = new_id("worker")
        self.ready, self.at_work = False, 0
        self.conversations = Conversations()
        self._strongest: str | None = None
        self._recorded = frozenset[str]()
        self.fault: str | None = None
        """What is wrong with the file as it stands now, if the settings in use are older."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Opens the books and everything else.

        Raises:
            HomespunError: something cannot be had; nothing is left open.
        """
        config, state = self.config, self.config.server.state
        self.fleet = Fleet(config)
        self._compare()
        self.database = Database(config.database_url())
        self.books = await Books.open(self.database, state, worker=self.worker)
        self.telemetry = Telemetry(config, state, self.worker)
        self.telemetry.watch(self)
        self.kept = Kept(config.cache, self.database)
        self.switchboard = Switchboard(config, self.fleet)
        self.learner = Learner(config, self.database, self.books, self.fleet)
        await self.switchboard.use(await self.learner.router_versions())
        self._tasks = [asyncio.create_task(self.learner.run()), asyncio.create_task(self._follow())]
        self.ready = True

    async def stop(self) -> None:
        """Closes everything, once running requests have ended."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError, HomespunError):
                await task
        await self.switchboard.close()
        await self.fleet.close()
        await self.books.close()
        self.telemetry.close()
        await asyncio.to_thread(self.database.close)

    def status(self) -> dict[str, Any]:
        """How this worker stands."""
        return {
            "worker": self.worker,
            "at_work": self.at_work,
            "settings": self.fault or "ok",
            "books": self.books.status(),
            "upstreams": self.fleet.health(),
        }

    # --- who may ask --------------------------------------------------------------------------------------------

    def authenticate(self, request: Any, *, admin: bool = False) -> Key | None:
        """The key of a request (anything with a ``scope``, or a scope); ``None`` where none is needed.

        Raises:
            GatewayError: 401 without a valid key, 403 where an admin's is needed.
        """
        if not self.auth:
            return None
        scope: Mapping[str, Any] = request if isinstance(request, dict) else request.scope
        token = bearer(scope)
        key = self.books.key(token) if token else None
        if key is None:
            what = "The API key is not valid." if token else "An API key is needed: Authorization: Bearer hs-…"
            raise GatewayError(401, what, kind="authentication_error", code="invalid_api_key")
        if admin and not key.admin:
            raise GatewayError(403, "This needs an admin's key.", kind="permission_error", code="admin_only")
        return key

    # --- what a name means --------------------------------------------------------------------------------------

    def resolve(self, name: str, key: Key | None) -> Target | str:
        """The target of a model's name, or the dial of a ``homespun/…`` name.

        Raises:
            GatewayError: 404, no such model; 403, not for this key.
        """
        if name.startswith(PREFIX):
            dial = name[len(PREFIX) :]
            if dial in AUTO:
                self._allow(key, name)
                return self.config.auto.dial if dial == "auto" else dial
        else:
            with suppress(ConfigError):
                target = self.config.find(name)
                self._allow(key, name, target.name)
                return target
        what = f"The model {name[:80]!r} does not exist; GET /v1/models lists those that do."
        raise GatewayError(404, what, code="model_not_found", param="model")

    def _allow(self, key: Key | None, *names: str) -> None:
        if key is not None and key.models is not None and key.models.isdisjoint(names):
            what = f"This key may not ask for {names[0]!r}; it may ask for {', '.join(sorted(key.models))}."
            raise GatewayError(403, what, kind="permission_error", code="model_not_allowed", param="model")

    def reference(self, routed: Routed, body: dict[str, Any]) -> int | None:
        """Nanodollars that the strongest target would have cost for this request; ``None`` where nobody knows.

        Of a recorded answer that is known. Of any other the strongest is taken to read and write as many tokens as
        the one that answered.
        """
        strongest, answered = self._strongest, routed.reply.target
        if strongest is None or not routed.tiers:
            return None
        if strongest in self._recorded:
            return self.fleet.bound(strongest, body)[1] if answered in self._recorded else None
        return self.fleet.price(strongest, routed.reply.attempt.usage)

    def models(self, key: Key | None) -> list[dict[str, Any]]:
        """What ``GET /v1/models`` lists for a key."""
        names = [*(PREFIX + dial for dial in AUTO), *(t.name for t in self.config.target), *self.config.alias]
        allowed = None if key is None else key.models
        return [
            {"id": name, "object": "model", "created": 0, "owned_by": "homespun"}
            for name in names
            if allowed is None or name in allowed or self.config.alias.get(name) in allowed
        ]

    def _compare(self) -> None:
        """Finds out against what savings are told."""
        self._strongest = self.fleet.strongest()
        self._recorded = frozenset(target.name for target in self.config.target if target.kind == "recorded")

    # --- new settings -------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Reads the file anew when it changes, and asks for the newest routers."""
        seen = self._stamp()
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            if (stamp := self._stamp()) != seen:
                seen = stamp
                await self.reload()
            with suppress(HomespunError):
                await self.switchboard.use(await self.learner.router_versions())

    def _stamp(self) -> tuple[int, int] | None:
        if self.path is None:
            return None
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    async def reload(self) -> None:
        """Takes the file's settings over; a faulty file changes nothing and is told in the log and by readiness."""
        try:
            new = settings.load(self.path)
            if new.server != self.config.server:
                log.warning("changes under [server] take effect at the next start")
                new = new.model_copy(update={"server": self.config.server})
            await self.fleet.update(new)
            old, self.switchboard = self.switchboard, Switchboard(new, self.fleet)
            self.kept.config = new.cache
            self.learner.config = new
            self.config, self.fault = new, None
            self._compare()
            await self.switchboard.use(await self.learner.router_versions())
            await old.close()
            log.info("took over %s", self.path)
        except HomespunError as error:
            self.fault = str(error)
            log.error("%s; the settings in use stay", error)


async def inspect(config: GatewayConfig) -> list[dict[str, Any]]:
    """Makes everything that a start makes, and takes it down again: what would fail at the start fails here.

    Returns:
        One row per target.

    Raises:
        HomespunError: what is wrong.
    """
    fleet, database = Fleet(config), Database(config.database_url())
    switchboard = Switchboard(config, fleet)
    try:
        await asyncio.to_thread(database.migrate)
        await switchboard.use([])
        return [_row(target) for target in config.target]
    finally:
        await switchboard.close()
        await fleet.close()
        await asyncio.to_thread(database.close)


def _row(target: Target) -> dict[str, Any]:
    price = target.price
    return {
        "target": target.name,
        "kind": target.kind,
        "model": target.model,
        "price": "by table" if price is None else f"{price.input:g} in, {price.output:g} out",
        "keys": ", ".join(f"${name}" for name in target.key_env),
        "able": ", ".join(sorted(target.capabilities)),
    }
