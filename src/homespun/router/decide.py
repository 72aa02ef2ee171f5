"""Asking a fitted router about one new prompt: which arm first, and what then; alone or within a conversation.

EMAFusion §4.3: eligible arms (capabilities) → blend → the dial; per conversation the previous arm is kept unless the
gain in utility exceeds δ, and an arm is never changed between a tool call and its result. One decision reads the text
twice through the features and costs some milliseconds on one core.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from homespun.errors import ConfigError
from homespun.records import Decision, Prompt, Step
from homespun.router.dial import PRESETS, nearest
from homespun.router.explain import text_steps
from homespun.router.outcomes import prompt_id
from homespun.router.policy import FusionPolicy, Reading
from homespun.router.replay import Seen
from homespun.router.store import RouterFolder, load
from homespun.router.taxonomy import capable, label

Floats = NDArray[np.float64]

DELTA = 0.03
"""Utility that another arm must gain before a conversation changes its arm."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What binds the next turn to the last one."""

    previous: str
    """Arm that answered before."""
    awaits_tool: bool = False
    """The last answer called a tool whose result has now come: the arm stays, whatever the gain."""
    delta: float = DELTA


class Router:
    """A fitted router, ready to decide; see `homespun.router.fit.fit` for how one is made."""

    def __init__(self, folder: RouterFolder, *, capabilities: Mapping[str, Collection[str]] | None = None) -> None:
        """Wraps a folder.

        Args:
            folder: The fitted router.
            capabilities: Per arm what it can do beyond text (values of the taxonomy's ``io`` axis).
        """
        self.folder, self.knowledge = folder, folder.knowledge
        self.capabilities = dict(capabilities or {})

    @classmethod
    def load(cls, path: Path | str, *, capabilities: Mapping[str, Collection[str]] | None = None) -> Self:
        """Reads a router's folder.

        Raises:
            DataError: no router lies there, or a damaged one.
        """
        return cls(load(path), capabilities=capabilities)

    def setting(self, dial: str | float) -> float:
        """The fitted μ of a preset's name, or nearest to a number.

        Raises:
            ConfigError: no such preset, or no number from 0.
        """
        if not isinstance(dial, str):
            return nearest(dial, tuple(mu for mu, _, _ in self.folder.validation["fusion"]))
        if dial not in self.folder.presets["fusion"]:
            raise ConfigError(f"unknown preset {dial[:40]!r}", "dial", f"{', '.join(PRESETS)} or a number")
        return self.folder.presets["fusion"][dial]

    def decide(
        self,
        prompt: str | Prompt,
        *,
        dial: str | float = "balanced",
        io: str = "text",
        conversation: Conversation | None = None,
    ) -> Decision:
        """The first arm to ask, with what is expected of it and why; nothing is called and nothing spent.

        Args:
            prompt: A text, or a Prompt, of which the last message is read.
            dial: Preset or μ.
            io: What the request needs beyond text.
            conversation: What came before.

        Raises:
            ConfigError: no arm can serve the request, or an unknown preset.
            DataError: ``io`` is no value of the axis.
        """
        text = prompt if isinstance(prompt, str) else prompt.messages[-1].content
        reading = self.knowledge.read([text])
        utility = self.utility(reading, dial, self.able(label(text, io=io).io))
        if not np.isfinite(utility).any():
            raise ConfigError(f"no arm can serve {io!r}", "route", "name its capabilities")
        first = self.first(reading, utility, dial)
        chosen, why = self.kept(first, utility, conversation)
        steps = (*text_steps(self.knowledge, reading, 0), *why)
        return Decision(
            prompt_id=prompt.id if isinstance(prompt, Prompt) else prompt_id(text),
            chosen=self.knowledge.arms[chosen],
            path=steps,
            expected_quality=float(np.clip(reading.blend[0, chosen], 0.0, 1.0)),
            expected_cost=float(reading.cost[0, chosen]) * self.knowledge.reference,
        )

    def able(self, io: str) -> NDArray[np.bool_]:
        """(k,) whether each arm may serve a request of this kind: the capability filter."""
        return np.array([capable(io, self.capabilities.get(arm)) for arm in self.knowledge.arms])

    def utility(self, reading: Reading, dial: str | float, able: NDArray[np.bool_]) -> Floats:
        """(k,) q̂ - μ·ĉ of one prompt; -inf for an arm that is not able or was never asked in its cell.

        Args:
            reading: Of the prompt.
            dial: Preset or μ.
            able: (k,) arms that may be called.
        """
        net = reading.blend[0] - self.setting(dial) * reading.cost[0]
        return np.where(reading.eligible[0] & able, net, -np.inf)

    def first(self, reading: Reading, utility: Floats, dial: str | float) -> int:
        """The arm to ask first: where the cell has a cascade its first arm, else the best utility."""
        policy = self.knowledge.fusion(self.setting(dial))
        if isinstance(policy, FusionPolicy):
            policy.use(reading)
            empty = Seen(np.zeros(1, dtype=np.int64), (), np.zeros((1, 0), dtype=np.int64))
            arm = int(policy.act(empty).ask[0])
            if np.isfinite(utility[arm]):
                return arm
        return int(np.argmax(utility))

    def kept(self, first: int, utility: Floats, conversation: Conversation | None) -> tuple[int, list[Step]]:
        """The conversation's previous arm, unless another gains more than δ; and why, as steps of the path."""
        arms = self.knowledge.arms
        if conversation is None or conversation.previous not in arms:
            return first, [Step(stage="stop", subject=f"ask {arms[first]} first")]
        previous = arms.index(conversation.previous)
        gain = float(utility[first] - utility[previous])
        if conversation.awaits_tool:
            return previous, [Step(stage="stop", subject=f"stay with {arms[previous]}", detail="a tool's result came")]
        if gain <= conversation.delta:
            detail = f"{arms[first]} would gain {gain:.3f}, no more than δ = {conversation.delta}"
            return previous, [Step(stage="stop", subject=f"stay with {arms[previous]}", detail=detail)]
        return first, [Step(stage="stop", subject=f"change to {arms[first]}", detail=f"gain {gain:.3f}")]
