"""Mode ``single``: one call, streamed from its first byte; and what is asked when that call fails.

Turns that carry tools always come here: an answer that calls a tool cannot be voted on. It can be checked, though: a
whole answer whose tool calls do not fit their parameters is a failed tier, like a target that does not answer, and the
next one is asked. While a tool's result is awaited there is no next one.
"""

from collections.abc import Sequence

from homespun.records import Step
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.routes import answers, checks, stream
from homespun.serve.gateway.routes.ask import carries_tools, wants_json
from homespun.serve.gateway.routes.cascade import Outcome
from homespun.serve.gateway.routes.plan import Tier
from homespun.serve.gateway.routes.session import Session, out_of_budget
from homespun.serve.gateway.types import GatewayError, Reply


async def single(session: Session, tiers: Sequence[Tier], *, fallbacks: bool = True) -> Outcome:
    """Asks the first tier, and the next only where one fails.

    Args:
        session: The request.
        tiers: In the order of choice.
        fallbacks: Whether the last tier's own fallbacks may answer for it.

    Raises:
        GatewayError: nobody answered: the last failure; or 429, the budget allows no call.
    """
    steps: list[Step] = []
    failure: GatewayError | None = None
    broken: tuple[Reply, Target] | None = None
    for place, tier in enumerate(tiers):
        target = tier.target
        last = place == len(tiers) - 1
        if place and session.late():
            break
        start = len(session.attempts)
        try:
            reply = await session.call(target, stream=session.ask.stream, fallbacks=fallbacks and last)
            if session.ask.stream:
                reply = await stream.begun(reply, last=last)
        except GatewayError as error:
            failure = error
            steps.append(Step(stage="ask", subject=target.name, detail=f"failed: {error.code}"))
            continue
        steps.append(Step(stage="ask", subject=target.name, cost=session.since(start)))
        if (why := _fault(session, reply)) is None or last:
            low = why is not None
            steps.append(Step(stage="accept", subject=target.name, score=tier.quality))
            return Outcome(reply, target, 0.0 if low else tier.quality, accepted=not low, steps=steps, route="single")
        steps.append(Step(stage="judge", subject="validators", score=0.0, detail=why[:200]))
        broken = reply, target
    if broken is not None:
        return Outcome(broken[0], broken[1], 0.0, accepted=False, steps=steps, route="single")
    raise failure or out_of_budget()


def _fault(session: Session, reply: Reply) -> str | None:
    """What is certainly wrong with the form of a whole answer; a stream is not withdrawn."""
    if reply.body is None or not (carries_tools(session.body) or wants_json(session.body)):
        return None
    return checks.veto(checks.hard_checks(session.body, answers.read(reply.body)))
