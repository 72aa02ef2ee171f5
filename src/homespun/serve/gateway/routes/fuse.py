"""Mode ``fuse``: two or three targets answer side by side, and the answer that most share is given.

Without a majority the verifier picks, and without a verifier the first in the order of expected worth. What can be read
is compared as it is read; free answers are compared where they are comparable, else the verifier scores them.
"""

import asyncio
from collections.abc import Sequence

from homespun.records import Cost, Sample, Step
from homespun.router.fusion import Pick, fuse_samples
from homespun.serve.gateway.routes import answers, checks, stream
from homespun.serve.gateway.routes.cascade import Outcome
from homespun.serve.gateway.routes.jury import Jury
from homespun.serve.gateway.routes.plan import Tier
from homespun.serve.gateway.routes.reader import Reader, readable
from homespun.serve.gateway.routes.session import Session, out_of_budget
from homespun.serve.gateway.types import GatewayError, Reply

MOST = 3


async def fuse(session: Session, tiers: Sequence[Tier], jury: Jury, reader: Reader) -> Outcome:
    """Asks up to three tiers at once and gives one answer.

    Raises:
        GatewayError: nobody answered: one of the failures; or 429, the budget allows no call.
    """
    asked = tiers[:MOST]
    got = await asyncio.gather(*(session.call(tier.target, alone=False) for tier in asked), return_exceptions=True)
    found: list[tuple[Tier, Reply, Sample]] = []
    steps: list[Step] = []
    failure: GatewayError | None = None
    for tier, reply in zip(asked, got, strict=True):
        if isinstance(reply, Reply):
            sample = await _sample(session, tier, reply, reader)
            found.append((tier, reply, sample))
            steps.append(
                Step(stage="ask", subject=tier.target.name, cost=sample.cost.dollars, detail=sample.answer or "")
            )
        elif isinstance(reply, GatewayError):
            failure = reply
            steps.append(Step(stage="ask", subject=tier.target.name, detail=f"failed: {reply.code}"))
        else:
            raise reply
    if not found:
        raise failure or out_of_budget()
    samples = [sample for _, _, sample in found]
    scores: dict[str, float] = {}
    place = await fuse_samples(samples, None if jury.verifier is None else _picker(session, jury, scores))
    tier, reply, sample = found[place]
    agreed = sum(each.answer is not None and each.answer == sample.answer for each in samples)
    confidence = scores.get(sample.model, agreed / len(samples) if agreed else None)
    steps.append(
        Step(stage="fuse", subject=tier.target.name, score=confidence, detail=f"{agreed} of {len(samples)} agree")
    )
    sure = confidence is not None and confidence >= jury.threshold(session.ask.dial)
    return Outcome(
        stream.as_asked(reply, session.ask), tier.target, confidence, accepted=sure, steps=steps, route="fuse"
    )


async def _sample(session: Session, tier: Tier, reply: Reply, reader: Reader) -> Sample:
    answer = answers.read(reply.body)
    if checks.veto(checks.hard_checks(session.body, answer)) is not None and not readable(session.problem):
        said = None
    elif session.problem is not None and readable(session.problem):
        said = await reader.read(tier.target, session.problem, answer.text)
    else:
        said = answers.comparable(answer.text)
    cost = Cost(dollars=reply.attempt.nanodollars / 1e9)
    name = tier.target.name
    return Sample(id=name, prompt_id="asked", index=0, model=name, text=answer.text, answer=said, cost=cost)


def _picker(session: Session, jury: Jury, scores: dict[str, float]) -> Pick:
    async def pick(samples: Sequence[Sample]) -> int:
        values: list[float] = []
        for sample in samples:
            mine = jury.verifier is not None and jury.verifier.name == sample.model
            value = None if mine or session.late() else await jury.verify(session, answers.Answer(text=sample.text))
            values.append(0.5 if value is None else value)
            if value is not None:
                scores[sample.model] = value
        return max(range(len(values)), key=lambda i: (values[i], -i))

    return pick
