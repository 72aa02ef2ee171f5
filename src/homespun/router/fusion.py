"""The router at work on living models: ask, look, and ask again only where that is worth its price; then vote.

EMAFusion §5, modes ``cascade`` and ``fuse``. The same policy that is replayed on recorded outcomes decides here, step
by step; what differs is that an arm is really called. A failed or unreadable call is evidence, and paid for all the
same.
`fuse_samples` is the plain fuse mode: two or three answers, majority, else a judge's pick.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import numpy as np

from homespun.errors import ConfigError
from homespun.records import Cost, Decision, Sample, Step
from homespun.router.decide import Router
from homespun.router.explain import text_steps
from homespun.router.outcomes import prompt_id
from homespun.router.policy import FusionPolicy
from homespun.router.posterior import canonical, encode
from homespun.router.replay import STOP, Seen

Ask = Callable[[str], Awaitable[Sample]]
"""Calls an arm by its name; the Sample's ``answer`` is what was read from the text, ``None`` if nothing."""
Pick = Callable[[Sequence[Sample]], Awaitable[int]]
"""A judge: position of the best of these samples."""


class Answered(NamedTuple):
    """What came of it."""

    sample: Sample | None
    """The sample whose answer was chosen; ``None`` when none could be read."""
    decision: Decision
    """The whole path with what was spent."""


async def answer(
    router: Router, prompt: str, ask: Ask, *, dial: str | float = "balanced", budget: float | None = None
) -> Answered:
    """Answers one prompt by the fitted cascade.

    Args:
        router: A fitted router.
        prompt: The text to route by.
        ask: Calls an arm.
        dial: Preset or μ.
        budget: Dollars after which no further arm is asked.

    Raises:
        ConfigError: the router was fitted on outcomes without answers, so there is no cascade.
    """
    policy = router.knowledge.fusion(router.setting(dial))
    if not isinstance(policy, FusionPolicy):
        raise ConfigError("fitted without answers, hence without a cascade", "fusion", "Router.decide")
    reading = router.knowledge.read([prompt])
    policy.use(reading)
    path = text_steps(router.knowledge, reading, 0)
    paid: dict[int, Sample] = {}
    while True:
        asked = tuple(sorted(paid))
        texts = np.array([[paid[arm].answer for arm in asked]], dtype=object).reshape(1, len(asked))
        codes = encode(texts, np.ones((1, len(asked)), dtype=bool))
        act = policy.act(Seen(np.zeros(1, dtype=np.int64), asked, codes))
        arm, confidence = int(act.ask[0]), float(act.confidence[0])
        if asked:
            path.append(Step(stage="judge", subject="vote", score=confidence, detail=f"{len(asked)} asked"))
        spent = Cost.total([sample.cost for sample in paid.values()])
        if arm == STOP or (budget is not None and spent.dollars >= budget and paid):
            break
        name = router.knowledge.arms[arm]
        paid[arm] = await ask(name)
        said = paid[arm].answer or paid[arm].error or "nothing readable"
        path.append(Step(stage="ask", subject=name, cost=paid[arm].cost.dollars, detail=said[:200]))
    place = int(act.answer[0])
    sample = paid[asked[place]] if place >= 0 else None
    chosen = router.knowledge.arms[asked[place]] if place >= 0 else "none"
    path.append(Step(stage="fuse" if len(paid) > 1 else "accept", subject=chosen, score=confidence))
    decision = Decision(
        prompt_id=prompt_id(prompt), chosen=chosen, path=tuple(path), confidence=confidence, spent=spent
    )
    return Answered(sample, decision)


async def fuse_samples(samples: Sequence[Sample], pick: Pick | None = None) -> int:
    """Position of the answer that most samples share; without a majority the judge's pick, or the first readable.

    Args:
        samples: Two or three answers to one prompt.
        pick: A judge to break ties.

    Raises:
        ConfigError: no samples.
    """
    if not samples:
        raise ConfigError("no answers to fuse", "fusion", "at least one sample")
    texts = [canonical(sample.answer) for sample in samples]
    readable = [i for i, text in enumerate(texts) if text is not None]
    if not readable:
        return await pick(samples) if pick is not None else 0
    counts = {text: texts.count(text) for text in texts if text is not None}
    top = max(counts.values())
    leaders = [text for text, count in counts.items() if count == top]
    if len(leaders) == 1 or pick is None:
        return texts.index(leaders[0])
    return readable[await pick([samples[i] for i in readable])]
