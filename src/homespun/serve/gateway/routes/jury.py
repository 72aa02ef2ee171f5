"""The judges J1–J5 of one free answer, cheap before dear, until none that is left can change the decision.

EMAFusion §5. J1 `checks` vetoes; J3 log-probs where the target tells them; J5 the learned scorer where one was fitted;
J4 the verifier target; J2 agreement with extra samples of the cheap tier. Without a fitted panel the judges that spoke
are averaged with the weights below; an answer that only J1 has seen has no confidence: unknown is not zero.
"""

import asyncio
from dataclasses import dataclass, field
from math import exp
from typing import NamedTuple

import numpy as np

from homespun.records import Prompt, Sample, Step
from homespun.router.judges import NAMES, Panel, Scorer, agreement, verify
from homespun.serve.gateway.config import Auto, Target
from homespun.serve.gateway.routes import answers, checks
from homespun.serve.gateway.routes.answers import Answer
from homespun.serve.gateway.routes.ask import Body
from homespun.serve.gateway.routes.plan import TYPICAL_OUTPUT
from homespun.serve.gateway.routes.session import Session
from homespun.serve.gateway.types import GatewayError, Reply

PRIOR_AUROC = {"agreement": 0.75, "logprobs": 0.65, "verifier": 0.75, "scorer": 0.70}
"""How well each judge is believed to tell right from wrong before outcomes have said so."""
SAMPLE_TEMPERATURE = 0.7
VERIFIER_TOKENS = 8
VALIDATORS, AGREEMENT, LOGPROBS, VERIFIER, SCORER = range(len(NAMES))


def prior_panel() -> Panel:
    """The weighted mean by `PRIOR_AUROC`; its numbers are no probabilities, and validators only veto."""
    weights = np.array([max(0.0, PRIOR_AUROC.get(name, 0.5) - 0.5) for name in NAMES])
    return Panel(mode="weighted", weights=weights, ece=1.0)


class Judged(NamedTuple):
    """What the jury found."""

    confidence: float | None
    """0 for a veto; ``None``: nobody who was asked could tell."""
    veto: str | None
    steps: list[Step]


@dataclass
class Jury:
    """Who judges; one for all requests."""

    auto: Auto
    verifier: Target | None = None
    scorer: Scorer | None = None
    panel: Panel = field(default_factory=prior_panel)

    def threshold(self, dial: str) -> float:
        """Confidence that accepts: the doubt that ``accept`` allows, halved for quality, half again for economy."""
        doubt = (1.0 - self.auto.accept) * {"quality": 0.5, "economy": 1.5}.get(dial, 1.0)
        return max(0.0, 1.0 - doubt)

    def able(self, target: Target, *, sampled: bool) -> list[bool]:
        """Which judges can speak on this target's answers, in the order of `NAMES`."""
        verifies = self.verifier is not None and self.verifier.name != target.name
        tells = "logprobs" in target.capabilities
        return [True, sampled and self.auto.samples > 0, tells, verifies, self.scorer is not None]

    def cost(self, session: Session, target: Target) -> float:
        """Nanodollars that judging an answer of the first tier can cost."""
        able = self.able(target, sampled=True)
        paid = 0.0
        if able[VERIFIER] and self.verifier is not None:
            paid += session.fleet.bound(self.verifier.name, {**session.body, "max_tokens": VERIFIER_TOKENS})[1]
        if able[AGREEMENT]:
            paid += (
                self.auto.samples * session.fleet.bound(target.name, {**session.body, "max_tokens": TYPICAL_OUTPUT})[1]
            )
        return paid

    async def judge(
        self, session: Session, target: Target, answer: Answer, *, threshold: float, sampled: bool
    ) -> Judged:
        """Judges one answer.

        Args:
            session: The request; judges' calls are billed to it.
            target: Who answered.
            answer: What it said.
            threshold: Confidence that accepts.
            sampled: Whether the target is the cheap tier, of which extra samples may be drawn.
        """
        found = checks.hard_checks(session.body, answer)
        row = np.full(len(NAMES), np.nan)
        steps: list[Step] = []
        if (why := checks.veto(found)) is not None:
            return Judged(0.0, why, [_step(VALIDATORS, 0.0, why)])
        if any(check.passed for check in found):
            row[VALIDATORS] = 1.0
            steps.append(_step(VALIDATORS, 1.0, "; ".join(check.reason for check in found if check.passed)))
        able = self.able(target, sampled=sampled)
        able[VALIDATORS] = False
        for number in (LOGPROBS, SCORER, VERIFIER, AGREEMENT):
            if not able[number]:
                continue
            if self.panel.settled(row, threshold, able=able) and self._spoke(row):
                break
            able[number] = False
            place = len(session.attempts)
            value = await self._ask(number, session, target, answer)
            if value is not None:
                row[number] = value
                steps.append(_step(number, value, "", session.since(place)))
        confidence = float(self.panel.predict(row[None, :])[0]) if self._spoke(row) else None
        return Judged(confidence, None, steps)

    def _spoke(self, row: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
        """Whether anyone whose word has weight has said something."""
        if self.panel.mode == "stacked":
            return True
        return bool((np.isfinite(row) & (self.panel.weights > 0)).any())

    async def _ask(self, number: int, session: Session, target: Target, answer: Answer) -> float | None:
        if number == LOGPROBS:
            return exp(sum(answer.logprobs) / len(answer.logprobs)) if answer.logprobs else None
        if number == SCORER:
            return None if self.scorer is None else self.scorer.predict([session.question], [answer.text])[0]
        if session.late():
            return None
        if number == VERIFIER:
            return await self.verify(session, answer)
        return await self._agree(session, target, answer)

    async def verify(self, session: Session, answer: Answer) -> float | None:
        """J4 on one answer; ``None`` where the verifier is not there, failed, or may not be paid for."""
        if self.verifier is None or not answer.text:
            return None
        return await verify(session.question, answer.text, _Verifier(session, self.verifier))

    async def _agree(self, session: Session, target: Target, answer: Answer) -> float | None:
        first = answers.comparable(answer.text)
        if first is None:
            return None
        warm = max(_number(session.body.get("temperature")), SAMPLE_TEMPERATURE)
        body: Body = {**session.body, "temperature": warm}
        body.pop("seed", None)
        calls = (session.call(target, purpose="sample", body=body, alone=False) for _ in range(self.auto.samples))
        replies = await asyncio.gather(*calls, return_exceptions=True)
        said = [answers.comparable(answers.read(each.body).text) for each in replies if isinstance(each, Reply)]
        return agreement([first, *said])


class _Verifier:
    """The verifier target as a `Model`."""

    def __init__(self, session: Session, target: Target) -> None:
        self.name = target.name
        self._session, self._target = session, target

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        sampling = prompt.sampling
        body: Body = {
            "messages": [message.model_dump() for message in prompt.messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        try:
            reply = await self._session.call(self._target, purpose="judge", body=body)
        except GatewayError as error:
            return [self._row(prompt, "", str(error))]
        return [self._row(prompt, answers.read(reply.body).text, None)]

    def _row(self, prompt: Prompt, text: str, error: str | None) -> Sample:
        finish = "stop" if error is None else "error"
        return Sample(
            id=prompt.id, prompt_id=prompt.id, index=0, model=self.name, text=text, finish=finish, error=error
        )


def with_logprobs(body: Body, target: Target) -> Body:
    """The body, asking for log-probs where the target can tell them."""
    return {**body, "logprobs": True} if "logprobs" in target.capabilities else body


def without_logprobs(reply: Reply, body: Body) -> Reply:
    """The reply without log-probs that only the jury had asked for."""
    if body.get("logprobs") or reply.body is None:
        return reply
    choices = reply.body.get("choices")
    if isinstance(choices, list) and any(isinstance(choice, dict) and "logprobs" in choice for choice in choices):
        bare = [{name: value for name, value in choice.items() if name != "logprobs"} for choice in choices]
        reply.body, reply.raw = {**reply.body, "choices": bare}, None
    return reply


def _step(number: int, value: float, detail: str, cost: float = 0.0) -> Step:
    return Step(stage="judge", subject=NAMES[number], score=value, cost=cost, detail=detail[:200])


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
