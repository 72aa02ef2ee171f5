"""The models ``homespun/auto``, ``economy``, ``balanced`` and ``quality``: one question in, one answer out, and why.

The configured tiers that can serve the request are weighed by the fitted router, or by price where there is none; the
route is then one call, a cascade, or a fusion. See docs/guide/routing-live.md.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from homespun.errors import HomespunError
from homespun.records import Cost, Decision
from homespun.router.judges import Panel, Scorer
from homespun.router.outcomes import prompt_id
from homespun.router.policy import Reading
from homespun.router.store import fingerprint
from homespun.serve.gateway.config import GatewayConfig
from homespun.serve.gateway.routes import ask as asked
from homespun.serve.gateway.routes import record
from homespun.serve.gateway.routes.ask import Ask, RouterVersion
from homespun.serve.gateway.routes.cascade import Cascade, Outcome
from homespun.serve.gateway.routes.choice import Choice, by_price, by_router, eligible
from homespun.serve.gateway.routes.fitted import deliberate
from homespun.serve.gateway.routes.fuse import MOST, fuse
from homespun.serve.gateway.routes.jury import VERIFIER_TOKENS, Jury, prior_panel
from homespun.serve.gateway.routes.plan import LEAST_SAVING, Escalations, Tier, ladder, saving
from homespun.serve.gateway.routes.reader import Reader, find_problem, readable, strategy_of
from homespun.serve.gateway.routes.session import Session, Upstreams
from homespun.serve.gateway.routes.shipped import Shipped
from homespun.serve.gateway.routes.single import single
from homespun.serve.gateway.routes.versions import Live, Versions
from homespun.serve.gateway.types import NANO, Attempt, Routed

log = logging.getLogger("homespun.gateway")

DEPTH = 5
"""Most arms that a fitted cascade asks on one prompt."""
NO_ROUTER = "none"
"""What the books call the version where price alone decided."""


class Switchboard:
    """All routes of one worker.

    Args:
        config: The settings.
        fleet: Calls targets.
        panel: Fitted weights of the judges; those believed beforehand unless given.
        scorer: Judge J5, fitted; silent unless given.
    """

    def __init__(
        self, config: GatewayConfig, fleet: Upstreams, *, panel: Panel | None = None, scorer: Scorer | None = None
    ) -> None:
        self.config, self.fleet = config, fleet
        self._tiers = config.tiers()
        verifier = config.find(config.auto.verifier) if config.auto.verifier else None
        self._jury = Jury(config.auto, verifier, scorer, panel or prior_panel())
        self._versions, self._shipped, self._reader = Versions(config), Shipped(config), Reader()
        self._escalations = Escalations()
        self._recorded = any(strategy_of(target) for target in self._tiers)
        self._at_work = 0
        self._idle = asyncio.Event()
        self._idle.set()

    # --- routers ------------------------------------------------------------------------------------------------

    async def use(self, routers: Sequence[RouterVersion]) -> None:
        """Puts routers to work, the live one first, then canaries with their shares; cheap when nothing is new.

        Args:
            routers: Versions; none: the router of the settings, or the one of the recorded answers once it is fitted.

        Raises:
            ConfigError: a router's arms are not the configured tiers.
            DataError: no router lies there, or a damaged one.
        """
        await self._versions.use(routers or self._base())

    def _base(self) -> list[RouterVersion]:
        path = self.config.auto.router
        if path is not None:
            return [RouterVersion(fingerprint(path) or str(path), path, 1.0)]
        shipped = self._shipped.version()
        return [] if shipped is None else [shipped]

    async def close(self) -> None:
        """Waits for answers that are under way, then ends threads and sandbox."""
        await self._idle.wait()
        await self._shipped.close()
        self._versions.close()
        await self._reader.close()

    # --- answers ------------------------------------------------------------------------------------------------

    def bound(self, ask: Ask) -> tuple[int, int]:
        """Most (tokens, nanodollars) that the whole plan can cost: the dearest calls it may make, and the judges'."""
        session = self._session(ask, [])
        able = eligible(session, self._tiers)
        costs = sorted((self.fleet.bound(target.name, session.body) for target in able), key=lambda c: c[1])
        if self.config.auto.mode == "single" or asked.single_only(ask.body):
            most = self._most([costs[-1:]])
            return max(tokens for tokens, _ in costs), most[1]
        calls = DEPTH if session.problem is not None else max(self.config.auto.max_tiers, MOST)
        answers = costs[-calls:]
        samples = costs[-1:] * self.config.auto.samples
        judges = list[tuple[int, int]]()
        if self._jury.verifier is not None:
            small = {"messages": ask.body.get("messages"), "max_tokens": VERIFIER_TOKENS}
            judges = [self.fleet.bound(self._jury.verifier.name, small)] * calls
        return self._most([answers, samples, judges])

    @staticmethod
    def _most(parts: Sequence[Sequence[tuple[int, int]]]) -> tuple[int, int]:
        return sum(t for part in parts for t, _ in part), sum(n for part in parts for _, n in part)

    async def answer(self, ask: Ask, attempts: list[Attempt]) -> Routed:
        """Answers one request.

        Args:
            ask: The request.
            attempts: Every call of an upstream is put in here when it starts.

        Raises:
            GatewayError: no tier can serve it, the budget does not cover it, or all that were asked failed.
        """
        self._at_work += 1
        self._idle.clear()
        try:
            return await self._answer(self._session(ask, attempts))
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._idle.set()

    def _session(self, ask: Ask, attempts: list[Attempt]) -> Session:
        if ask.dial == "auto":
            ask = replace(ask, dial=self.config.auto.dial)
        problem = find_problem(asked.named_problem(ask), asked.question(ask.body)) if self._recorded else None
        return Session(ask, self.fleet, attempts, problem)

    async def _answer(self, session: Session) -> Routed:
        if session.problem is not None and not self._versions.wanted:
            await self._first_router()
        able = eligible(session, self._tiers)
        live = self._versions.assign(session.ask)
        known = {target.name for target in live.arms.values()} if live is not None else set[str]()
        arms = [target for target in able if target.name in known]
        reading = None
        if live is not None and arms:
            reading = await self._versions.read(live, session.question)
            vote = self._votes(session, live)
            choice = by_router(session, live, reading, arms, self.config, vote=vote)
        else:
            live = None
            recorded = [target for target in able if target.kind == "recorded"]  # a real answer, where there is one
            choice = by_price(session, recorded or able, dial=session.ask.dial, previous=session.ask.previous)
        outcome = await self._route(session, choice, live)
        return self._routed(session, choice, outcome, live, reading)

    async def _first_router(self) -> None:
        """A recorded question, and no router yet: have it fitted, and use it as soon as it is there."""
        self._shipped.begin()
        if (found := self._shipped.version()) is not None:
            try:
                await self._versions.use([found])
            except HomespunError as error:
                log.warning("the router of the recorded answers is not used: %s", error)

    def _votes(self, session: Session, live: Live) -> bool:
        plain = not asked.single_only(session.body) and not asked.wants_json(session.body)
        return self.config.auto.mode == "cascade" and plain and live.votes and readable(session.problem)

    async def _route(self, session: Session, choice: Choice, live: Live | None) -> Outcome:
        auto = self.config.auto
        if choice.bound:
            return await single(session, choice.tiers[:1], fallbacks=False)
        if auto.mode == "single" or asked.single_only(session.body):
            return await single(session, choice.tiers[: auto.max_tiers])
        if auto.mode == "fuse":
            return await fuse(session, self._spread(choice), self._jury, self._reader)
        if choice.talk is not None and live is not None and session.problem is not None:
            first = next(arm for arm, target in live.arms.items() if target is choice.first.target)
            return await deliberate(session, choice.talk, live.arms, self._reader, session.problem, first=first)
        return await self._cascade(session, choice)

    def _spread(self, choice: Choice) -> list[Tier]:
        return choice.tiers[:MOST] if choice.chosen else ladder(choice.tiers, MOST)

    async def _cascade(self, session: Session, choice: Choice) -> Outcome:
        auto = self.config.auto
        tiers = ladder(choice.tiers, auto.max_tiers, start=choice.first if choice.chosen else None)
        if len(tiers) > 1 and not self._saves(session, tiers, choice.cell):
            return await single(session, [tiers[-1], *reversed(tiers[:-1])])
        cascade = Cascade(
            session=session,
            jury=self._jury,
            escalations=self._escalations,
            cell=choice.cell,
            dial=session.ask.dial,
            stream_below=auto.stream_below,
        )
        return await cascade.run(tiers)

    def _saves(self, session: Session, tiers: Sequence[Tier], cell: str) -> bool:
        """The break-even rule."""
        cheap, strong = tiers[0], tiers[-1]
        rate = self._escalations.rate(cell, cheap.target.name)
        judging = self._jury.cost(session, cheap.target)
        return saving(cheap.cost, strong.cost, rate, judging) >= LEAST_SAVING

    # --- what is told -------------------------------------------------------------------------------------------

    def _routed(
        self, session: Session, choice: Choice, outcome: Outcome, live: Live | None, reading: Reading | None
    ) -> Routed:
        keep, first = self.config.learning.keep_prompts, self._asked_first(session, choice)
        confidence = None if outcome.confidence is None else min(max(outcome.confidence, 0.0), 1.0)
        decision = Decision(
            prompt_id=prompt_id(session.question),
            chosen=outcome.target.arm_name,
            path=tuple(record.told([*choice.steps, *outcome.steps], quotes=keep)),
            expected_quality=first.quality,
            expected_cost=first.cost / NANO,
            confidence=confidence,
            spent=Cost(dollars=session.spent() / NANO),
        )
        row = record.row(
            decision,
            router=NO_ROUTER if live is None else live.version,
            dial=session.ask.dial,
            cell=choice.cell,
            arms=[tier.target.arm_name for tier in choice.tiers],
            first=first.target.arm_name,
            propensity=choice.propensity if first is choice.first else 1.0,
            reading=None if live is None or reading is None else record.reading_numbers(live, reading),
            prompt=session.question if keep else None,
        )
        return Routed(
            reply=outcome.reply,
            route=outcome.route,
            tiers=session.tiers(),
            confidence=confidence,
            decision=decision,
            router=None if live is None else live.version,
            record=row,
            low_confidence=not outcome.accepted,
        )

    @staticmethod
    def _asked_first(session: Session, choice: Choice) -> Tier:
        """The tier that was asked first: the choice, unless price or the break-even rule had the last word."""
        name = next(iter(session.tiers()), None)
        return next((tier for tier in choice.tiers if tier.target.name == name), choice.first)
