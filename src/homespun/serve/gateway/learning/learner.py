"""The loop that improves the router: labels in, shadows, refits through the gate, a canary, alarms.

Every worker hands its answers to `Learner.after`; one of all workers, elected in the database, runs the rest.
"""

import asyncio
import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from homespun.errors import HomespunError
from homespun.router.promotion import CanaryRule, gaps
from homespun.router.store import RouterFolder, fingerprint, load, save
from homespun.serve.gateway.config import GatewayConfig
from homespun.serve.gateway.learning import arms as newcomers
from homespun.serve.gateway.learning import history, versions
from homespun.serve.gateway.learning.election import Election
from homespun.serve.gateway.learning.jobs import Job, start
from homespun.serve.gateway.learning.judged import path_labels
from homespun.serve.gateway.learning.labels import Regenerations
from homespun.serve.gateway.learning.shadow import Shadows
from homespun.serve.gateway.learning.versions import Version
from homespun.serve.gateway.learning.watch import Watch, alarm_row
from homespun.serve.gateway.routes.ask import Ask, RouterVersion
from homespun.serve.gateway.routes.session import Upstreams
from homespun.serve.gateway.routes.shipped import place
from homespun.serve.gateway.types import Routed, new_id
from homespun.serve.store.database import Database
from homespun.serve.store.tables import decisions, labels, routers

log = logging.getLogger("homespun.gateway")

PERIOD = 5.0
"""Seconds between two looks."""
WINDOW = 4000
"""Labelled requests of which a refit is made, the latest."""
OVERLAP = 120.0
"""Seconds by which rows may come late."""
UTILITY_SPAN = 2.0
"""Utilities lie between -1 and 1, as far as the canary's test is concerned."""


class Learner:
    """Self-optimisation of one worker.

    Args:
        config: The settings; replaced when they change.
        database: The servers' database.
        books: Takes labels, alarms and attempts (``note``).
        fleet: Calls targets, for shadows.
        period: Seconds between two looks.
    """

    def __init__(
        self, config: GatewayConfig, database: Database, books: Any, fleet: Upstreams, *, period: float = PERIOD
    ) -> None:
        self._config, self.database, self.books, self.period = config, database, books, period
        self.shadows = Shadows(config, database, books, fleet)
        self._regenerations, self._election = Regenerations(), Election()
        self._arm_of = {target.name: target.arm_name for target in config.target}
        self._watch, self._started, self._seen_until = Watch(), time.time(), 0.0
        self._noted: dict[str, float] = {}
        self._job: Job | None = None
        self._loaded: tuple[str, RouterFolder] | None = None

    @property
    def config(self) -> GatewayConfig:
        """The settings in use."""
        return self._config

    @config.setter
    def config(self, config: GatewayConfig) -> None:
        """Takes changed settings over."""
        self._config = self.shadows.config = config
        self._arm_of = {target.name: target.arm_name for target in config.target}

    # --- what every worker does ---------------------------------------------------------------------------------

    def after(self, row: Mapping[str, Any], routed: Routed, text: str, ask: Ask) -> None:
        """Takes an answer that has been given. Never raises, waits for nothing; only a shadow keeps the text meanwhile.

        Args:
            row: The request's row.
            routed: How it was answered.
            text: What was answered.
            ask: What was asked.
        """
        if not self._config.learning.enabled:
            return
        try:
            self._after(row, routed, text, ask)
        except Exception:  # whatever it is: the request has been answered, and the trace is in the log
            log.exception("no labels of request %s", row.get("id"))

    def _after(self, row: Mapping[str, Any], routed: Routed, text: str, ask: Ask) -> None:
        now = time.time()
        arm = self._arm_of.get(routed.reply.target, routed.reply.target)
        said = self._regenerations.observe(row["id"], ask.key_id, arm, ask.body["messages"], row["time"], now)
        if said is not None:
            self.books.note("labels", said)
        if routed.decision is not None and row["outcome"] == "ok":
            for label in path_labels(row["id"], routed.decision.path, self._arm_of, now):
                self.books.note("labels", label)
        self.shadows.consider(row, routed, text, ask)

    async def router_versions(self) -> list[RouterVersion]:
        """Versions in use, live first; none: what the settings say.

        A folder that is not on this machine gives way to its parent's.

        Raises:
            DatabaseError: the database cannot be read.
        """
        if not self._config.learning.enabled:
            return []
        known = await self.database.run(versions.lineage, read_only=True)
        used = versions.in_use(known.values())
        found: list[RouterVersion] = []
        for version in used:
            there = versions.reachable(version, known)
            if there is not None and (version.status == "live" or there is version):
                found.append(RouterVersion(there.version, Path(there.path), version.share))
        return found if found and used[0].status == "live" else []

    # --- what the elected worker does ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Looks again and again, until cancelled; a step that fails is told in the log and tried again."""
        try:
            while True:
                await asyncio.sleep(self.period)
                if self._config.learning.enabled:
                    await self._guarded()
        finally:
            await self.shadows.close()
            if self._job is not None:
                await self._job.stop()
            await self.database.run(self._election.resign)

    async def _guarded(self) -> None:
        try:
            await self.step()
        except HomespunError as error:
            log.warning("learning: %s", error)
        except Exception:  # whatever it is: the worker goes on serving, and the trace is in the log
            log.exception("learning failed; it is tried again")

    async def step(self) -> bool:
        """One look: does what is due, if this worker is the elected one; whether it is."""
        if not await self.database.run(self._election.win):
            if self._job is not None:
                await self._job.stop()
                self._job = None
            return False
        await self._install()
        await self._alarms()
        live, canary = await self.database.run(versions.live_and_canary, read_only=True)
        if live is None:
            return True
        await self._newcomer(live, canary)
        if canary is not None:
            await self._judge(live, canary)
        elif self._job is not None:
            await self._collect(self._job)
        else:
            await self._refit(live)
        return True

    async def _install(self) -> None:
        """The router of the settings is live at first, and anew whenever the settings name another."""
        folder = self._config.auto.router or place(self._config.server.state)
        if not (folder / "router.json").is_file():
            return
        version = fingerprint(folder) or str(folder) if self._config.auto.router else folder.name

        def install(connection: Connection) -> bool:
            live, _ = versions.live_and_canary(connection)
            known = versions.lineage(connection)
            row = live
            while row is not None and row.parent is not None:
                row = known.get(row.parent)
            if row is not None and row.version == version:
                return False
            return versions.install(connection, version, folder.resolve(), time.time())

        if await self.database.run(install):
            log.info("router %s is live", version)

    async def _alarms(self) -> None:
        since = max(self._seen_until - OVERLAP, time.time() - 6 * 3600.0)
        columns = (decisions.c.request_id, decisions.c.time, decisions.c.cell, decisions.c.chosen, decisions.c.answered)
        query = select(*columns).where(decisions.c.time >= since).order_by(decisions.c.time).limit(5000)
        rows = [row for row in await history.fetch(self.database, query) if row["request_id"] not in self._noted]
        ids = [row["request_id"] for row in rows]
        spoken = await history.of_requests(
            self.database, lambda part: select(labels).where(labels.c.request_id.in_(part)), ids
        )
        for row in rows:
            self._noted[row["request_id"]] = row["time"]
            for alarm in self._watch.decision(row):
                self._raise(alarm, row["time"])
        for alarm in self._watch.labels(spoken):
            self._raise(alarm, rows[-1]["time"])
        if rows:
            self._seen_until = max(self._seen_until, rows[-1]["time"])
            edge = self._seen_until - 2 * OVERLAP
            self._noted = {name: at for name, at in self._noted.items() if at >= edge}

    def _raise(self, alarm: Any, at: float) -> None:
        if at >= self._started:  # older rows only made the baseline; another leader has told of them
            log.warning("drift: %s: %s", alarm.kind, alarm.detail)
            self.books.note("alarms", alarm_row(alarm, time.time()))

    # --- a canary -----------------------------------------------------------------------------------------------

    async def _judge(self, live: Version, canary: Version) -> None:
        router = await self._load(live)
        since = canary.created
        sides = [await history.utilities(self.database, router, name, since) for name in (canary.version, live.version)]
        rule = CanaryRule(labels=self._config.learning.canary_labels, span=UTILITY_SPAN)
        verdict, report = canary_verdict(rule, sides[0], sides[1])
        if verdict == "wait":
            return
        settle = partial(versions.settle, canary=canary, keep=verdict == "keep", report=report, now=time.time())
        if await self.database.run(settle):
            log.info("canary %s: %s: %s", canary.version, verdict, report["why"])

    # --- a refit ------------------------------------------------------------------------------------------------

    async def _refit(self, live: Version) -> None:
        def due(connection: Connection) -> int:
            last = connection.execute(select(func.max(routers.c.created))).scalar() or 0.0
            return connection.execute(select(func.count()).where(labels.c.time > last)).scalar_one()

        if await self.database.run(due, read_only=True) < self._config.learning.every:
            return
        router = await self._load(live)
        known = await self.database.run(versions.lineage, read_only=True)
        found, prompts = await history.evidence(self.database, router, known, self._arm_of, most=WINDOW)
        root = (self._config.server.state / "routers").resolve()
        for left in root.glob(".job-*"):  # of a worker that was killed
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
        self._job = await start(router, live, found, prompts, root, new_id("rtr"))

    async def _collect(self, job: Job) -> None:
        report = job.result()
        if report is None:
            return
        self._job = None
        share = self._config.learning.canary
        status = await self.database.run(
            partial(
                versions.propose,
                version=job.version,
                path=job.out,
                parent=job.parent,
                now=time.time(),
                share=share,
                report=report,
            )
        )
        log.info("router %s: %s: %s", job.version, status, "; ".join(report["reasons"]) or "passed the gate")

    # --- a new arm ----------------------------------------------------------------------------------------------

    async def _newcomer(self, live: Version, canary: Version | None) -> None:
        """A tier that the live router does not know joins its arms; while it is new, shadows are drawn for it."""
        router = await self._load(live)
        self.shadows.cells = len(router.knowledge.classifier.cells)
        young = set(_young(router))
        self.shadows.counts = {arm: await self._shadowed(arm) for arm in young}
        missing = [t for t in self._config.tiers() if t.arm_name not in router.knowledge.arms]
        if not missing or canary is not None or self._job is not None:
            return
        arm = missing[0].arm_name
        body = {"messages": [{"role": "user", "content": "x" * 2000}], "max_tokens": 300}
        prices = {t.arm_name: float(self.shadows.fleet.bound(t.name, body)[1]) for t in self._config.tiers()}
        version = new_id("rtr")
        out = (self._config.server.state / "routers" / version).resolve()
        save(newcomers.with_arm(router, arm, prices, out, version))
        report = {"promote": True, "reasons": [], "how": f"new arm {arm}"}
        await self.database.run(partial(versions.install, version=version, path=out, now=time.time(), report=report))
        log.info("router %s knows the new arm %s, which no client gets before a refit says so", version, arm)

    async def _shadowed(self, arm: str) -> Counter[str]:
        join = labels.join(decisions, decisions.c.request_id == labels.c.request_id)
        query = (
            select(decisions.c.cell, func.count().label("num"))
            .select_from(join)
            .where(labels.c.arm == arm, labels.c.source == "shadow", decisions.c.cell.is_not(None))
            .group_by(decisions.c.cell)
        )
        return Counter({row["cell"]: row["num"] for row in await history.fetch(self.database, query)})

    async def _load(self, version: Version) -> RouterFolder:
        if self._loaded is None or self._loaded[0] != version.version:
            self._loaded = version.version, await asyncio.to_thread(load, version.path)
        return self._loaded[1]


def canary_verdict(
    rule: CanaryRule, canary: list[tuple[float, float]], live: list[tuple[float, float]]
) -> tuple[str, dict[str, Any]]:
    """What becomes of a canary by the utilities of both sides since it began; see `CanaryRule`."""

    def clipped(side: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(at, min(max(utility, -1.0), 1.0)) for at, utility in side]

    return rule.judge(gaps(clipped(canary), clipped(live)))


def _young(router: RouterFolder) -> list[str]:
    """Arms without an outcome in any cell."""
    knowledge = router.knowledge
    return [arm for j, arm in enumerate(knowledge.arms) if not knowledge.table.n[:-1, j].any()]
