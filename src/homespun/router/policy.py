"""The router's parts and their fusion, each as a policy of `replay`.

EMAFusion §4.3: blend q̂ = α·Φ + (1 - α)·ŝ with α = n_cell/(n_cell + 50)·(1 - H/H_max), so that a familiar cell trusts
the taxonomy's table Φ and an ambiguous prompt the learned predictor ŝ; choose argmax q̂ - μ·ĉ/c_ref. Fusion on top: the
cell's cascade (`cascade`) decides what to ask next and when to stop, and the vote over all paid answers (`posterior`)
which answer is given. Where outcomes carry no answers there is nothing to vote on, and fusion is the blended choice.

Legend: n prompts, c cells, k arms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.router.cascade import Plan, judge, next_arm
from homespun.router.classifier import Classifier, certainty
from homespun.router.learned import Predictor
from homespun.router.replay import STOP, Act, Policy, Seen
from homespun.router.taxonomy import CellTable
from homespun.router.thresholds import PlainCascade, ThresholdPolicy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HALF = 50.0
"""Prompts of a cell at which table and predictor weigh alike when the cell is certain."""
Source = Literal["taxonomy", "learned", "blend"]


class Reading(NamedTuple):
    """What the text of n prompts tells, before anything is paid for."""

    cell: Floats
    """(n, c) probability of each cell."""
    taxonomy: Floats
    """(n, k) Φ, expected score by the cells' table."""
    learned: Floats
    """(n, k) ŝ, expected score by the predictor."""
    blend: Floats
    """(n, k) q̂."""
    alpha: Floats
    """(n,) weight of Φ in q̂."""
    cost: Floats
    """(n, k) expected dollars over the reference cost."""
    eligible: NDArray[np.bool_]
    """(n, k) whether the arm was ever asked in the prompt's most probable cell."""
    prior: Floats
    """(n,) ŝ averaged over the arms, in standard deviations from the cell's mean."""


@dataclass(kw_only=True, eq=False)
class Knowledge:
    """What was learned from outcomes; everything that a decision needs."""

    arms: tuple[str, ...]
    reference: float
    """c_ref: mean dollars of the best single arm."""
    predictor: Predictor
    classifier: Classifier
    table: CellTable
    centre: Floats
    """(c, 2) mean and standard deviation of ŝ averaged over the arms, per cell."""
    plans: dict[float, list[Plan]]
    """Per dial setting, one plan per cell; empty where outcomes carry no answers."""
    _last: tuple[list[str], Reading] | None = field(default=None, init=False, repr=False)

    def read(self, prompts: Sequence[str]) -> Reading:
        """Reads prompts: nothing but their text. The last reading is kept, for many policies on the same prompts."""
        if self._last is None or self._last[0] != prompts:
            seen = self.predictor.features.transform(prompts)
            reading = self.reading(self.classifier.predict(seen), self.predictor.predict(prompts).mean)
            self._last = (list(prompts), reading)
        return self._last[1]

    def reading(self, cell: Floats, learned: Floats) -> Reading:
        """The same from (n, c) cell probabilities and (n, k) predicted scores."""
        taxonomy, cost = cell @ self.table.score(), cell @ self.table.cost() / self.reference
        size = self.table.n[:-1].max(axis=1)
        alpha = cell @ (size / (size + HALF)) * certainty(cell)
        blend = alpha[:, None] * taxonomy + (1.0 - alpha)[:, None] * learned
        likely = cell.argmax(axis=1)
        mean, spread = self.centre[likely].T
        prior = np.clip((learned.mean(axis=1) - mean) / spread, -3.0, 3.0)
        return Reading(cell, taxonomy, learned, blend, alpha, cost, self.table.n[likely] > 0, prior)

    def fusion(self, mu: float, name: str = "fusion") -> "FusionPolicy | ChoicePolicy":
        """The whole router at one of its dial settings."""
        return FusionPolicy(name, self, self.plans[mu]) if self.plans else ChoicePolicy(name, self, "blend", mu)


@dataclass(eq=False)
class SinglePolicy:
    """Always the same arm."""

    name: str
    arm: int

    def begin(self, prompts: Sequence[str]) -> None:
        """It does not look."""

    def act(self, seen: Seen) -> Act:
        """Asks its arm, then stops."""
        return _once(seen, np.full(len(seen.rows), self.arm, dtype=np.int64), np.zeros(len(seen.rows)))


class ChoicePolicy:
    """One call per prompt: the arm of the best expected score less μ times its cost."""

    def __init__(self, name: str, knowledge: Knowledge, source: Source, mu: float) -> None:
        self.name, self.knowledge, self.source, self.mu = name, knowledge, source, mu
        self._arm: Ints = np.zeros(0, dtype=np.int64)
        self._score: Floats = np.zeros(0)

    def begin(self, prompts: Sequence[str]) -> None:
        """Reads the prompts and chooses."""
        self.use(self.knowledge.read(prompts))

    def use(self, reading: Reading) -> None:
        """Chooses from a reading already made."""
        score = {"taxonomy": reading.taxonomy, "learned": reading.learned, "blend": reading.blend}[self.source]
        net = np.where(reading.eligible, score - self.mu * reading.cost, -np.inf)
        self._arm = np.argmax(net, axis=1)
        self._score = score[np.arange(len(score)), self._arm]

    def act(self, seen: Seen) -> Act:
        """Asks the chosen arm, then stops."""
        return _once(seen, self._arm[seen.rows], self._score[seen.rows])


class FusionPolicy:
    """Taxonomy, predictor, cascade and vote together."""

    def __init__(self, name: str, knowledge: Knowledge, plans: Sequence[Plan]) -> None:
        self.name, self.knowledge, self.plans = name, knowledge, plans
        self._cell: Ints = np.zeros(0, dtype=np.int64)
        self._prior: Floats = np.zeros(0)

    def begin(self, prompts: Sequence[str]) -> None:
        """Reads the prompts: each gets its most probable cell."""
        self.use(self.knowledge.read(prompts))

    def use(self, reading: Reading) -> None:
        """The same from a reading already made."""
        self._cell, self._prior = reading.cell.argmax(axis=1), reading.prior

    def act(self, seen: Seen) -> Act:
        """Votes on what was paid for; asks what is worth its price."""
        num = len(seen.rows)
        act = Act(np.full(num, STOP, dtype=np.int64), np.full(num, -1, dtype=np.int64), np.zeros(num), np.zeros(num))
        cells = self._cell[seen.rows]
        for cell in np.unique(cells):
            rows = np.flatnonzero(cells == cell)
            node = self.plans[cell][seen.asked]
            codes, prior = seen.codes[rows], self._prior[seen.rows[rows]]
            vote = judge(node, codes, prior) if seen.asked else None
            act.ask[rows], act.worth[rows] = next_arm(node, vote, codes, prior)
            if vote is not None:
                act.answer[rows], act.confidence[rows] = vote.leader, vote.first
        return act


def policies(knowledge: Knowledge, plain: Mapping[float, PlainCascade], mu: float) -> dict[str, Policy]:
    """The fusion and each of its parts at one setting of the dial; no cascade where outcomes carry no answers."""
    made: dict[str, Policy] = {
        "fusion": knowledge.fusion(mu),
        "taxonomy": ChoicePolicy("taxonomy-only", knowledge, "taxonomy", mu),
        "learned": ChoicePolicy("learned-only", knowledge, "learned", mu),
    }
    if plain:
        made["cascade"] = ThresholdPolicy("cascade-only", plain[mu].tiers, plain[mu].weights)
    return made


def _once(seen: Seen, arm: Ints, score: Floats) -> Act:
    num = len(seen.rows)
    if not seen.asked:
        return Act(arm, np.full(num, -1, dtype=np.int64), np.zeros(num), score)
    readable = seen.codes[:, 0] > 0
    stop = np.full(num, STOP, dtype=np.int64)
    return Act(stop, np.where(readable, 0, -1).astype(np.int64), score, np.zeros(num))
