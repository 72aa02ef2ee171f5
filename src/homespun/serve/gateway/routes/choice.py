"""Which targets can serve a request, and which to ask first: by a fitted router, or by price where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homespun.records import Step
from homespun.router.decide import Conversation
from homespun.router.explain import text_steps
from homespun.router.exploration import choose, seeded
from homespun.router.fusion import Deliberation
from homespun.router.policy import Reading
from homespun.router.taxonomy import label
from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.routes.ask import awaits_tool
from homespun.serve.gateway.routes.plan import TYPICAL_OUTPUT, Tier
from homespun.serve.gateway.routes.session import Session
from homespun.serve.gateway.routes.versions import Live
from homespun.serve.gateway.types import GatewayError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Choice:
    """What is asked first, and what else there is."""

    tiers: list[Tier]
    """All that can serve, the choice first, then in the order of preference."""
    cell: str
    chosen: bool
    """Whether a router or the conversation made the choice, so that a cascade starts there."""
    propensity: float = 1.0
    bound: bool = False
    """A tool's result is awaited by the first: nobody else may answer."""
    steps: list[Step] = field(default_factory=list[Step])
    talk: Deliberation | None = None
    """The fitted cascade, where there is one for this request."""

    @property
    def first(self) -> Tier:
        """Who is asked first."""
        return self.tiers[0]


def eligible(session: Session, tiers: Sequence[Target]) -> list[Target]:
    """The targets that can serve a request.

    Raises:
        GatewayError: 400, none can; with the reason of the first.
    """
    found, reasons = list[Target](), list[str]()
    for target in tiers:
        why = session.fleet.serves(target.name, session.body)
        if why is None and target.kind == "recorded" and session.problem is None:
            why = "only recorded questions have recorded answers"
        if why is None:
            found.append(target)
        else:
            reasons.append(f"{target.name}: {why}")
    if not found:
        what = f"No model of homespun/… can serve this request; {reasons[0] if reasons else 'there are no tiers'}."
        raise GatewayError(400, what, code="model_not_able", param="model")
    return found


def by_price(session: Session, able: Sequence[Target], *, dial: str, previous: str | None) -> Choice:
    """Without a router: cheap before dear; alone, the cheapest for economy, the dearest for quality, else the middle.

    The conversation's arm is kept, since what another would gain is not known.
    """
    short = {**session.body, "max_tokens": TYPICAL_OUTPUT}
    ranked = sorted((Tier(target, float(session.fleet.bound(target.name, short)[1])) for target in able), key=_cost)
    cell = label(session.question).leaf
    kept = _position(ranked, previous)
    if kept is not None:
        stay = awaits_tool(session.body)
        step = Step(stage="stop", subject=f"stay with {ranked[kept].target.name}", detail="the conversation's model")
        return Choice(_led(ranked, kept), cell, chosen=True, bound=stay, steps=[step])
    middle = {"economy": 0, "quality": len(ranked) - 1}.get(dial, len(ranked) // 2)
    return Choice(_led(ranked, middle), cell, chosen=False)


def by_router(
    session: Session, live: Live, reading: Reading, able: Sequence[Target], config: GatewayConfig, *, vote: bool
) -> Choice:
    """With a router: best expected score less the price of money, hysteresis, exploration.

    Args:
        session: The request, its dial resolved.
        live: The router.
        reading: Of the request's text.
        able: Targets that can serve it; arms of the router among them.
        config: The settings.
        vote: Whether the fitted cascade may be used.
    """
    router, dial, names = live.router, session.ask.dial, {target.name for target in able}
    arms = router.knowledge.arms
    mask = np.array([live.arms[arm].name in names for arm in arms])
    utility = router.utility(reading, dial, mask)
    if not np.isfinite(utility).any():  # never asked in this cell, but able
        utility = np.where(mask, reading.blend[0] - router.setting(dial) * reading.cost[0], -np.inf)
    talk = Deliberation(router, session.question, dial=dial, reading=reading) if vote and mask.all() else None
    first = int(np.argmax(utility)) if talk is None else router.first(reading, utility, dial)
    stay = awaits_tool(session.body)
    known = _arm_of(live, session.ask.previous)
    at_hand = known is not None and bool(mask[arms.index(known)])
    talked = Conversation(previous=known, awaits_tool=stay, delta=config.auto.delta) if known and at_hand else None
    first, why = router.kept(first, utility, talked)
    propensity = 1.0
    if config.learning.enabled and not config.auto.safety_sensitive and not stay and talked is None:
        allowed = np.isfinite(utility) if talk is None else np.isfinite(utility) & talk.starts()
        if allowed[first]:
            first, propensity = _explored(reading, utility, allowed, live, config, session.ask.request_id)
    if talk is not None and not talk.starts()[first]:
        talk = None  # the plan does not know how to go on from there
    order = [first, *(j for j in np.argsort(-utility, kind="stable").tolist() if j != first and mask[j])]
    dollars = reading.cost[0] * router.knowledge.reference
    tiers = [Tier(live.arms[arms[j]], float(dollars[j]) * 1e9, _unit(reading.blend[0, j])) for j in order]
    cell = router.knowledge.classifier.cells[int(reading.cell[0].argmax())]
    steps = [*text_steps(router.knowledge, reading, 0), *why]
    if talk is not None:
        talk.path, steps = steps, []
    return Choice(tiers, cell, True, propensity, stay and talked is not None, steps, talk)


def _explored(
    reading: Reading, utility: Floats, allowed: Mask, live: Live, config: GatewayConfig, seed: str
) -> tuple[int, float]:
    """Thompson sampling among arms that are nearly the best.

    An arm's spread is the standard deviation of the mean score of the prompts that its cell was fitted on.
    """
    quality = np.clip(reading.blend[0], 0.0, 1.0)
    seen = reading.cell[0] @ live.router.knowledge.table.n[:-1]
    spread = np.sqrt(quality * (1.0 - quality) / (seen + 1.0))
    found = choose(utility, quality, allowed, epsilon=config.learning.explore, spread=spread, rng=seeded(seed))
    return found.arm, found.propensity


def _arm_of(live: Live, previous: str | None) -> str | None:
    """The router's arm of that name, or of the target of that name."""
    if previous is None or previous in live.arms:
        return previous
    return next((arm for arm, target in live.arms.items() if target.name == previous), None)


def _position(ranked: Sequence[Tier], previous: str | None) -> int | None:
    names = [(tier.target.name, tier.target.arm_name) for tier in ranked]
    return next((i for i, pair in enumerate(names) if previous in pair), None)


def _led(ranked: Sequence[Tier], first: int) -> list[Tier]:
    """That tier, then the dearer ones, then the cheaper ones from the dearest down."""
    return [ranked[first], *ranked[first + 1 :], *reversed(ranked[:first])]


def _cost(tier: Tier) -> float:
    return tier.cost


def _unit(value: Any) -> float:
    return min(max(float(value), 0.0), 1.0)
