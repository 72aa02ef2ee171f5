"""The router at work on living models: ask, look, and ask again only where that is worth its price; then vote.

EMAFusion §5, modes ``cascade`` and ``fuse``. The same policy that is replayed on recorded outcomes decides here, step
by step; what differs is that an arm is really called. A failed or unreadable call is evidence, and paid for all the
same.
`fuse_samples` is the plain fuse mode: two or three answers, majority, else a judge's pick.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.errors import ConfigError
from homespun.records import Cost, Decision, Sample, Step
from homespun.router.decide import Router
from homespun.router.explain import text_steps
from homespun.router.outcomes import prompt_id
from homespun.router.policy import FusionPolicy, Reading
from homespun.router.posterior import canonical, encode
from homespun.router.replay import STOP, Act, Seen

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


class Deliberation:
    """One prompt on its way through the fitted cascade, an arm at a time; whoever drives it does the calling.

    Args:
        router: A fitted router.
        prompt: The text to route by.
        dial: Preset or μ.
        reading: Of this very prompt, if already made.

    Raises:
        ConfigError: the router was fitted on outcomes without answers, so there is no cascade.
    """

    def __init__(
        self, router: Router, prompt: str, *, dial: str | float = "balanced", reading: Reading | None = None
    ) -> None:
        policy = router.knowledge.fusion(router.setting(dial))
        if not isinstance(policy, FusionPolicy):
            raise ConfigError("fitted without answers, hence without a cascade", "fusion", "Router.decide")
        self.knowledge, self.prompt, self.policy = router.knowledge, prompt, policy
        self.reading = router.knowledge.read([prompt]) if reading is None else reading
        policy.use(self.reading)
        self.path: list[Step] = text_steps(router.knowledge, self.reading, 0)
        self.paid: dict[int, Sample] = {}
        self._act: Act | None = None

    def starts(self) -> NDArray[np.bool_]:
        """(k,) the arms from which the prompt's plan knows how to go on."""
        plan = self.policy.plans[int(self.reading.cell[0].argmax())]
        return np.array([(arm,) in plan for arm in range(len(self.knowledge.arms))])

    def next(self) -> str | None:
        """The arm that is worth its price now; ``None``: none is, give the leading answer."""
        asked = tuple(sorted(self.paid))
        texts = np.array([[self.paid[arm].answer for arm in asked]], dtype=object).reshape(1, len(asked))
        codes = encode(texts, np.ones((1, len(asked)), dtype=bool))
        self._act = self.policy.act(Seen(np.zeros(1, dtype=np.int64), asked, codes))
        if asked:
            score = float(self._act.confidence[0])
            self.path.append(Step(stage="judge", subject="vote", score=score, detail=f"{len(asked)} asked"))
        arm = int(self._act.ask[0])
        return None if arm == STOP else self.knowledge.arms[arm]

    def hear(self, name: str, sample: Sample) -> None:
        """Takes what an arm answered, and what that cost; a failure is evidence too."""
        self.paid[self.knowledge.arms.index(name)] = sample
        said = sample.answer or sample.error or "nothing readable"
        self.path.append(Step(stage="ask", subject=name, cost=sample.cost.dollars, detail=said[:200]))

    def spent(self) -> Cost:
        """What the arms asked so far cost together."""
        return Cost.total([sample.cost for sample in self.paid.values()])

    def result(self) -> Answered:
        """The answer that leads, as of the last `next`."""
        if self._act is None:
            self.next()
        assert self._act is not None
        asked, place = sorted(self.paid), int(self._act.answer[0])
        sample = self.paid[asked[place]] if place >= 0 else None
        chosen = self.knowledge.arms[asked[place]] if place >= 0 else "none"
        confidence = float(self._act.confidence[0])
        last = Step(stage="fuse" if len(self.paid) > 1 else "accept", subject=chosen, score=confidence)
        return Answered(
            sample,
            Decision(
                prompt_id=prompt_id(self.prompt),
                chosen=chosen,
                path=(*self.path, last),
                confidence=confidence,
                spent=self.spent(),
            ),
        )


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
    talk = Deliberation(router, prompt, dial=dial)
    while (name := talk.next()) is not None:
        if budget is not None and talk.paid and talk.spent().dollars >= budget:
            break
        talk.hear(name, await ask(name))
    return talk.result()


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
