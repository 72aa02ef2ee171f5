"""The fitted cascade on living targets: the same steps as in replay, `homespun.router.fusion.Deliberation`.

Every answer is read as `homespun grade` reads it, the vote decides whose is given, and when nothing more is worth its
price. A target that fails, or whose answer cannot be read, is evidence, paid for all the same. A step takes 0.1–0.4 ms
and stays in the loop; what takes longer, reading the prompt and running programs, has threads of its own.
"""

from collections.abc import Mapping

from homespun.records import Cost, Sample, Step
from homespun.router.fusion import Deliberation
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.routes import answers, stream
from homespun.serve.gateway.routes.cascade import Outcome
from homespun.serve.gateway.routes.reader import Problem, Reader
from homespun.serve.gateway.routes.session import Session, out_of_budget
from homespun.serve.gateway.types import GatewayError, Reply


async def deliberate(
    session: Session,
    talk: Deliberation,
    arms: Mapping[str, Target],
    reader: Reader,
    problem: Problem,
    *,
    first: str | None = None,
) -> Outcome:
    """Answers by the fitted cascade.

    Args:
        session: The request.
        talk: Its deliberation, nothing asked yet.
        arms: The target of every arm.
        reader: Reads answers.
        problem: What was asked.
        first: The arm to ask first, one of `Deliberation.starts`; the plan's own unless given.

    Raises:
        GatewayError: no arm answered: the last failure; or 429, the budget allows no call.
    """
    replies: dict[str, Reply] = {}
    failure: GatewayError | None = None
    name = talk.next() if first is None else first
    while name is not None and (why := _stop(session, arms[name], bool(talk.paid))) is None:
        place = len(session.attempts)
        try:
            reply = await session.call(arms[name])
        except GatewayError as error:
            failure = error
            talk.hear(name, _sample(name, session.since(place), error=f"failed: {error.code}"))
        else:
            replies[name] = reply
            text = answers.read(reply.body).text
            said = await reader.read(arms[name], problem, text)
            talk.hear(name, _sample(name, session.since(place), text=text, answer=said))
        name = talk.next()
    else:
        why = None
    if not replies:
        raise failure or out_of_budget()
    if why is not None:
        talk.path.append(Step(stage="stop", subject=why))
    return _given(session, talk, arms, replies, stopped=why is not None)


def _given(
    session: Session, talk: Deliberation, arms: Mapping[str, Target], replies: Mapping[str, Reply], *, stopped: bool
) -> Outcome:
    """The leading answer; where none could be read, the last one that came."""
    sample, decision = talk.result()
    name = list(replies)[-1] if sample is None else sample.model
    return Outcome(
        stream.as_asked(replies[name], session.ask),
        arms[name],
        decision.confidence if sample is not None else 0.0,
        accepted=sample is not None and not stopped,
        steps=list(decision.path),
    )


def _stop(session: Session, target: Target, asked: bool) -> str | None:
    if session.late() and asked:
        return "the deadline is near"
    return None if session.affords(target) else "the budget does not cover the next call"


def _sample(arm: str, dollars: float, *, text: str = "", answer: str | None = None, error: str | None = None) -> Sample:
    cost = Cost(dollars=dollars)
    finish = "error" if error else "stop"
    return Sample(
        id=arm, prompt_id="asked", index=0, model=arm, text=text, answer=answer, finish=finish, error=error, cost=cost
    )
