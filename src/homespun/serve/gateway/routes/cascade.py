"""The judged cascade: cheap before dear, each answer judged, the first that convinces is given; else the best seen.

EMAFusion §5, as in its pseudo-code. Used where no fitted cascade applies: no router, or answers that cannot be read
and voted on. A tier that fails is evidence like any other: the next one is asked. Deadline and budget end the plan;
what was seen so far is then what there is. What no judge can tell is accepted: with validators alone the first answer
that they do not veto is the answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from homespun.records import Step
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.routes import answers, checks, stream
from homespun.serve.gateway.routes.answers import Answer
from homespun.serve.gateway.routes.jury import Jury, with_logprobs, without_logprobs
from homespun.serve.gateway.routes.plan import Escalations, Tier
from homespun.serve.gateway.routes.session import Session, out_of_budget
from homespun.serve.gateway.types import GatewayError, Reply, Route


@dataclass(slots=True)
class Outcome:
    """What a route gave."""

    reply: Reply
    target: Target
    confidence: float | None = None
    accepted: bool = True
    steps: list[Step] = field(default_factory=list[Step])
    route: Route = "cascade"


@dataclass(kw_only=True)
class Cascade:
    """The cascade of one request."""

    session: Session
    jury: Jury
    escalations: Escalations
    cell: str
    dial: str
    stream_below: float
    steps: list[Step] = field(default_factory=list[Step])
    _seen: list[tuple[float, int, Reply, Target]] = field(default_factory=list[tuple[float, int, Reply, Target]])
    _failure: GatewayError | None = None

    async def run(self, tiers: Sequence[Tier]) -> Outcome:
        """Asks tier after tier.

        Raises:
            GatewayError: nobody answered: the last failure; or 429, the budget allows no call.
        """
        session = self.session
        for place, tier in enumerate(tiers):
            target = tier.target
            if (why := self._stop(target)) is not None:
                self.steps.append(Step(stage="stop", subject=why, detail=f"before {target.name}"))
                break
            if place == 0 and (early := await self._early(tier, last=len(tiers) == 1)) is not None:
                return early
            if place == 0 and self._failure is not None:
                continue
            done = await self._tier(tier, first=place == 0, alone=len(tiers) == 1)
            if place < len(tiers) - 1:
                self.escalations.note(self.cell, target.name, went_on=done is None)
            if done is not None:
                return done
        if self._seen:
            confidence, _, reply, target = max(self._seen, key=lambda each: each[:2])
            self.steps.append(Step(stage="stop", subject=f"best seen: {target.name}", score=confidence))
            return Outcome(stream.as_asked(reply, session.ask), target, confidence, accepted=False, steps=self.steps)
        raise self._failure or out_of_budget()

    def _stop(self, target: Target) -> str | None:
        if self.session.late() and (self._seen or self._failure):
            return "the deadline is near"
        if not self.session.affords(target):
            return "the budget does not cover the next call"
        return None

    async def _early(self, tier: Tier, *, last: bool) -> Outcome | None:
        """The first tier as a live stream, where the rule allows it; a failure before its first word is kept."""
        session, target = self.session, tier.target
        rate = 0.0 if last else self.escalations.rate(self.cell, target.name)
        allowed = last or stream.may_stream(session.ask, escalation=rate, below=self.stream_below)
        if not session.ask.stream or not allowed:
            return None
        try:
            reply = await session.call(target, stream=True, fallbacks=last)
            reply = await stream.begun(reply, self._noting(target), last=last)
        except GatewayError as error:
            self._failed(target, error)
            self.escalations.note(self.cell, target.name, went_on=True)
            return None
        detail = "nobody else to ask" if last else f"{rate:.1%} of such requests go on from here"
        self.steps.append(Step(stage="accept", subject=f"{target.name}, as it speaks", detail=detail))
        return Outcome(reply, target, tier.quality, steps=self.steps, route="single" if last else "cascade")

    def _noting(self, target: Target) -> Callable[[Answer], None]:
        def done(answer: Answer) -> None:
            broken = checks.veto(checks.hard_checks(self.session.body, answer)) is not None
            self.escalations.note(self.cell, target.name, went_on=broken)

        return done

    async def _tier(self, tier: Tier, *, first: bool, alone: bool) -> Outcome | None:
        """One tier's answer, if it is accepted."""
        session, target, place = self.session, tier.target, len(self.session.attempts)
        try:
            reply = await session.call(target, body=with_logprobs(session.body, target), fallbacks=alone)
        except GatewayError as error:
            self._failed(target, error)
            return None
        answer = answers.read(reply.body)
        self.steps.append(Step(stage="ask", subject=target.name, cost=session.since(place), detail=answer.text[:60]))
        threshold = self.jury.threshold(self.dial)
        judged = await self.jury.judge(session, target, answer, threshold=threshold, sampled=first and not alone)
        self.steps += judged.steps
        reply = without_logprobs(reply, session.body)
        if judged.veto is None and (judged.confidence is None or judged.confidence >= threshold):
            confidence = tier.quality if judged.confidence is None else judged.confidence
            detail = f"τ = {threshold:.2f}"
            self.steps.append(Step(stage="accept", subject=target.name, score=confidence, detail=detail))
            route: Route = "single" if alone else "cascade"
            return Outcome(stream.as_asked(reply, session.ask), target, confidence, steps=self.steps, route=route)
        self._seen.append((judged.confidence or 0.0, len(self._seen), reply, target))
        return None

    def _failed(self, target: Target, error: GatewayError) -> None:
        self._failure = error
        self.steps.append(Step(stage="ask", subject=target.name, detail=f"failed: {error.code}"))
