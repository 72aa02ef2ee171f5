"""Question: does the loop help when the world moves, do no harm when it does not, and refuse a bad router?

Hypothesis, before running: with labels on half of the traffic, 2 % of it shadowed and refits every 500 labels,
(a) after a change at a third of the way (a model that is asked much gets worse; models become dearer; the cheapest gets
better; the mix of cells shifts) the loop wins back utility against the same router left alone, and the alarm on the mix
sounds; (b) a candidate fitted on labels that were wrong for a while, or on very few, is refused by the gate, and one
that is let past the gate on purpose is rolled back by the canary; (c) where nothing moves the loop loses nothing and
promotes hardly ever.

    python experiments/0008_drift.py --out drift.json

Traffic is drawn from recorded outcomes (real answers of real models, graded) of questions that the first router was not
fitted on; the changes are simulated. The parts are those of the gateway: `exploration.probabilities`, `Evidence`,
`refit.propose`, the gate, `CanaryRule`, `Watch`. Intervals are 95 %, Student's t over seeds, paired by seed.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from homespun.router.exploration import probabilities
from homespun.router.learn import learn
from homespun.router.outcomes import Outcomes, from_frame, split
from homespun.router.policy import Knowledge
from homespun.router.promotion import CanaryRule
from homespun.serve.gateway.learning.evidence import Evidence
from homespun.serve.gateway.learning.learner import canary_verdict
from homespun.serve.gateway.learning.numbers import Fade, correct
from homespun.serve.gateway.learning.refit import propose
from homespun.serve.gateway.learning.watch import Mix, Watch
from homespun.serve.gateway.routes.shipped import outcomes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ARMS = ("gpt-3.5-turbo/cot", "gpt-3.5-turbo/pot", "code-davinci-002/cot", "gpt-4/pot", "gpt-4/ltm")
MU, EPSILON, SHADOW, LABELLED, EVERY = 0.1, 0.05, 0.02, 0.5, 500
CANARY_SHARE, CANARY_LABELS, WINDOW, BLOCK = 0.2, 50, 4000, 100
REQUESTS, CHANGE, SEEDS = 9000, 3000, 20
RULE = CanaryRule(labels=CANARY_LABELS, span=2.0)


@dataclass(frozen=True)
class Pool:
    """Questions that the first router was not fitted on, with what it reads from them."""

    table: Outcomes
    knowledge: Knowledge
    cell: Floats
    learned: Floats
    kind: Ints
    """Most probable cell."""


def pool() -> Pool:
    """Fits the first router on a fifth of the questions; the others are traffic."""
    table = from_frame(outcomes()).select(list(ARMS))
    parts = split(replace(table, answers=None), (0.2, 0.0, 0.8))
    knowledge = learn(parts.train).knowledge
    reading = knowledge.read(parts.test.prompts)
    return Pool(parts.test, knowledge, reading.cell, reading.learned, reading.cell.argmax(axis=1))


@dataclass(frozen=True)
class World:
    """What is asked and what arms do, before and after the change."""

    name: str
    mix: Callable[[Pool], Floats] = lambda p: np.ones(len(p.kind))
    """Weight of each question after the change."""
    score: Callable[[Pool, Floats, np.random.Generator], Floats] = lambda p, score, rng: score
    """(n, k) scores after the change, of the drawn questions."""
    price: Floats = field(default_factory=lambda: np.ones(len(ARMS)))
    """Prices after the change, over those before."""
    shadow: float = SHADOW
    """Share of requests that are shadowed."""


def _worse(p: Pool, score: Floats, rng: np.random.Generator) -> Floats:
    """The cheaper of the two models that are asked most forgets: two of three answers fail."""
    found = score.copy()
    found[:, 2] *= rng.random(len(score)) < 1 / 3
    return found


def _better(p: Pool, score: Floats, rng: np.random.Generator) -> Floats:
    """The cheapest model learns: of the answers that it had wrong four in five are right."""
    found = score.copy()
    found[:, 0] = np.maximum(found[:, 0], rng.random(len(score)) < 0.8)
    return found


WORLDS = {
    "still": World("still"),
    "worse": World("worse", score=_worse),
    "dearer": World("dearer", price=np.array([1.0, 1.0, 6.0, 1.0, 4.0])),
    "better": World("better", score=_better),
    "better, 10 % shadows": World("better", score=_better, shadow=0.1),
    "mix": World("mix", mix=lambda p: np.where(p.kind == p.kind.max(), 6.0, 1.0)),
}


@dataclass
class Version:
    """A router at work: what it reads from every question, and with which chance it asks each arm."""

    knowledge: Knowledge
    shift: Floats
    quality: Floats
    cost: Floats
    chance: Floats
    edges: Floats


def version(p: Pool, knowledge: Knowledge, shift: Floats) -> Version:
    """Chances as the switchboard has them: ε-safe Thompson sampling, spread by the labels of the cell."""
    reading = knowledge.reading(p.cell, np.clip(p.learned + shift, 0.0, 1.0))
    quality = np.clip(reading.blend, 0.0, 1.0)
    seen = p.cell @ knowledge.table.n[:-1]
    spread = np.sqrt(quality * (1.0 - quality) / (seen + 1.0))
    allowed = np.ones(len(ARMS), dtype=bool)
    chance = np.array([
        probabilities(q - MU * c, q, allowed, epsilon=EPSILON, spread=s)
        for q, c, s in zip(quality, reading.cost, spread, strict=True)
    ])  # fmt: skip
    return Version(knowledge, shift, quality, reading.cost, chance, chance.cumsum(axis=1))


@dataclass
class Run:
    """One life of the gateway."""

    p: Pool
    world: World
    seed: int
    loop: bool
    first: Version
    wrong: tuple[int, int] = (0, 0)
    """Requests between which validators say the opposite."""
    bypass: int | None = None
    """Request at which a router fitted on wrong labels is made canary without asking the gate."""
    utility: list[Floats] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)

    def run(self, requests: int = REQUESTS, change: int = CHANGE) -> "Run":
        """Serves the traffic, block by block."""
        self.live, self.canary, self.began = self.first, None, 0
        self.watch = Watch(mix=Mix())
        self.rows: list[dict[str, Any]] = []
        self.fresh, self.sides = 0, ([], [])
        draw = np.random.default_rng([self.seed, 1])  # the same traffic, whatever the routers do
        chance = np.random.default_rng([self.seed, 2])
        for start in range(0, requests, BLOCK):
            self._block(start, start >= change, draw, chance)
            if self.loop:
                self._learn(start + BLOCK)
        return self

    def _block(self, start: int, changed: bool, draw: np.random.Generator, chance: np.random.Generator) -> None:
        p, world = self.p, self.world
        weight = world.mix(p) if changed else np.ones(len(p.kind))
        question = draw.choice(len(p.kind), size=BLOCK, p=weight / weight.sum())
        score = np.nan_to_num(p.table.score[question])
        noise, dice = np.random.default_rng(draw.integers(2**63)), draw.random((BLOCK, 6))
        score = world.score(p, score, noise) if changed else score
        cost = np.nan_to_num(p.table.cost[question]) / p.knowledge.reference * (world.price if changed else 1.0)
        to_canary = (dice[:, 0] < CANARY_SHARE) & (self.canary is not None)
        for side, rows in ((self.live, ~to_canary), (self.canary, to_canary)):
            if side is None or not rows.any():
                continue
            index, q = np.flatnonzero(rows), question[rows]
            arm = (dice[rows, 1][:, None] * side.edges[q, -1:] > side.edges[q]).sum(axis=1)
            utility = score[rows, arm] - MU * cost[rows, arm]
            self.utility.append(np.column_stack([start + index, utility]))
            told = score[rows] if not self.wrong[0] <= start < self.wrong[1] else 1.0 - score[rows]
            for i, (row, a) in enumerate(zip(index, arm, strict=True)):
                shadowed, labelled = dice[row, 2] < world.shadow, dice[row, 3] < LABELLED
                if labelled or shadowed:
                    self._label(start + row, side, q[i], a, told[i], cost[row], shadowed, dice[row, 4])
                if labelled:
                    heard = told[i][a] - MU * cost[row, a]
                    self.sides[0 if side is self.canary else 1].append(
                        (float(start + row), float(np.clip(heard, -1, 1)))
                    )
                if self.loop and (alarm := self._watched(q[i], a)) is not None:
                    self.alarms.append({"at": int(start + row), "kind": alarm.kind})

    def _watched(self, question: int, arm: int) -> Any:
        cell = self.p.knowledge.classifier.cells[self.p.kind[question]]
        return self.watch.mix.observe(cell)

    def _label(
        self, at: int, side: Version, question: int, arm: int, told: Floats, cost: Floats, shadowed: bool, die: float
    ) -> None:
        known, chance = np.zeros(len(ARMS), dtype=bool), np.ones(len(ARMS))
        if shadowed:  # the strongest for certain, one of the others evenly
            strongest = int(side.quality[question].argmax())
            others = [j for j in range(len(ARMS)) if j != strongest]
            other = others[int(die * len(others))]
            known[[strongest, other]] = True
            chance[other] = 1.0 / len(others)
        else:
            known[arm], chance[arm] = True, side.chance[question, arm]
        own = np.where(known, told, np.nan)
        self.rows.append({
            "time": at, "question": question, "own": own, "chance": chance, "quality": side.quality[question],
            "cost": side.cost[question], "spent": np.where(known, cost, side.cost[question]),
        })  # fmt: skip
        self.fresh += 1

    def evidence(self, rows: Iterable[dict[str, Any]]) -> Evidence:
        """The labelled requests as the live router reads them."""
        kept = list(rows)
        question = np.array([row["question"] for row in kept])
        column = {name: np.array([row[name] for row in kept]) for name in ("own", "chance", "quality", "cost", "spent")}
        return Evidence(
            ids=[str(row["time"]) for row in kept],
            time=np.array([row["time"] for row in kept], dtype=np.float64),
            group=np.arange(len(kept)),
            cell=self.p.cell[question],
            learned=np.clip(self.p.learned[question] + self.live.shift, 0.0, 1.0),
            allowed=np.ones_like(column["own"], dtype=bool),
            mu=np.full(len(kept), MU),
            reward=column["own"] - MU * column["spent"],
            **column,
        )

    def _learn(self, now: int) -> None:
        if self.canary is not None:
            verdict, report = canary_verdict(RULE, *self.sides)
            if verdict != "wait":
                self.events.append({"at": now, "what": verdict, "why": report["why"], "labels": report["labels"]})
                self.live = self.canary if verdict == "keep" else self.live
                self.canary, self.fresh = None, 0
        elif self.bypass is not None and now >= self.bypass:
            bad = self.evidence(self.rows[-1500:])
            wrong = replace(bad, own=1.0 - bad.own)
            self._begin(correct(self.live.knowledge, wrong, Fade(0.03, np.inf)), now, "bypassed the gate")
            self.bypass = None
        elif self.fresh >= EVERY:
            self.fresh = 0
            found = propose(self.live.knowledge, self.evidence(self.rows[-WINDOW:]))
            what = "promoted" if found.gate.promote else "refused"
            gain = found.gate.gain
            self.events.append({"at": now, "what": what, "gain": gain.value, "low": gain.low,
                                "reasons": list(found.gate.reasons)})  # fmt: skip
            if found.gate.promote:
                self._begin(found.corrected, now, None)

    def _begin(self, corrected: Any, now: int, what: str | None) -> None:
        self.canary = version(self.p, corrected.knowledge, self.live.shift + corrected.shift)
        self.sides = ([], [])
        if what is not None:
            self.events.append({"at": now, "what": what})

    def curve(self, requests: int) -> Floats:
        """(requests,) utility by request."""
        found = np.concatenate(self.utility)
        out = np.empty(requests)
        out[found[:, 0].astype(np.int64)] = found[:, 1]
        return out


def interval(values: Iterable[float]) -> dict[str, float]:
    """Mean with its 95 % interval over seeds."""
    x = np.array(list(values), dtype=np.float64)
    reach = float(student.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return {"mean": float(x.mean()), "low": float(x.mean() - reach), "high": float(x.mean() + reach)}


# --- the three questions ----------------------------------------------------------------------------------------


def moved(p: Pool, first: Version, name: str, seeds: int, requests: int, change: int) -> tuple[dict[str, Any], Floats]:
    """(a) and (c): with the loop and without it, in one world; and the (2, requests) mean curves."""
    third = slice(requests - (requests - change) // 2, requests)
    gains, idle, curves = list[float](), list[float](), np.zeros((2, requests))
    promoted = refused = rolled = alarmed = early = 0
    for seed in range(seeds):
        on, off = (Run(p, WORLDS[name], seed, loop, first).run(requests, change) for loop in (True, False))
        each = np.stack([on.curve(requests), off.curve(requests)])
        curves += each / seeds
        gains.append(float((each[0] - each[1])[third].mean()))
        idle.append(float((each[0] - each[1])[:change].mean()))
        whats = [event["what"] for event in on.events]
        promoted, refused = promoted + whats.count("promoted"), refused + whats.count("refused")
        rolled += whats.count("roll back")
        early += any(alarm["at"] < change for alarm in on.alarms)
        alarmed += any(alarm["at"] >= change for alarm in on.alarms)
    found = {
        "before": float(curves[1, :change].mean()), "left alone": float(curves[1, third].mean()),
        "gain": interval(gains), "gain before the change": interval(idle), "refits": promoted + refused,
        "promoted": promoted, "rolled back": rolled, "alarmed": alarmed, "false alarms": early, "seeds": seeds,
    }  # fmt: skip
    return found, curves


def refused(p: Pool, first: Version, seeds: int, requests: int) -> dict[str, Any]:
    """(b) Candidates fitted on bad labels: how many pass the gate."""
    passed = {"wrong labels, since mended": 0, "150 labels, half of them wrong": 0, "wrong labels, gate included": 0}
    gains: dict[str, list[float]] = {name: [] for name in passed}
    for seed in range(seeds):
        run = Run(p, WORLDS["still"], seed, False, first).run(requests, requests)
        good, coin = run.evidence(run.rows), np.random.default_rng(seed)
        edge = np.arange(len(good))[:, None] < 0.6 * len(good)
        few = good.take(np.arange(150))
        flipped = np.where(coin.random((150, 1)) < 0.5, 1.0 - few.own, few.own)
        cost = good.own - good.reward
        bad = {
            "wrong labels, since mended": replace(good, own=np.where(edge, 1.0 - good.own, good.own)),
            "150 labels, half of them wrong": replace(few, own=flipped, reward=flipped - (few.own - few.reward)),
            "wrong labels, gate included": replace(good, own=1.0 - good.own, reward=1.0 - good.own - cost),
        }
        for name, evidence in bad.items():
            gate = propose(p.knowledge, evidence).gate
            passed[name] += gate.promote
            gains[name].append(gate.gain.value)
    return {name: {"passed": passed[name], "of": seeds, "estimated gain": interval(gains[name])} for name in passed}


def bypassed(p: Pool, first: Version, seeds: int, requests: int) -> dict[str, Any]:
    """(b) A bad router that was let past the gate: what the canary makes of it, and what it cost meanwhile."""
    ends, labels, losses = list[str](), list[int](), list[float]()
    for seed in range(seeds):
        on = Run(p, WORLDS["still"], seed, True, first, bypass=2000).run(requests, requests)
        off = Run(p, WORLDS["still"], seed, False, first).run(requests, requests)
        begun = next(i for i, event in enumerate(on.events) if event["what"] == "bypassed the gate")
        end = on.events[begun + 1] if begun + 1 < len(on.events) else {"what": "wait", "labels": 0}
        ends.append(end["what"])
        labels.append(int(end["labels"]))
        losses.append(float((off.curve(requests) - on.curve(requests)).sum()))
    rolled = [each for each, what in zip(labels, ends, strict=True) if what == "roll back"]
    return {"rolled back": ends.count("roll back"), "kept": ends.count("keep"), "of": seeds,
            "labels to the verdict": float(np.mean(rolled)) if rolled else None,
            "answers lost": interval(losses)}  # fmt: skip


def plot(curves: dict[str, Floats], change: int, place: Path) -> None:
    """Utility over time, with the loop and without."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.2), layout="constrained")
    for axes, (name, curve) in zip(figure.subplots(1, len(curves), sharey=True), curves.items(), strict=True):
        size = 300
        x = np.arange(size, curve.shape[1] + 1)
        for label, row, style in (("loop", curve[0], "-"), ("left alone", curve[1], "--")):
            smooth = np.convolve(row, np.ones(size) / size, mode="valid")
            axes.plot(x, smooth, style, label=label, linewidth=1.4)
        axes.axvline(change, color="grey", linewidth=0.8)
        axes.set_title(name)
        axes.set_xlabel("requests")
    figure.axes[0].set_ylabel(f"utility, mean of {size}")
    figure.axes[0].legend(frameon=False)
    figure.savefig(place, dpi=110)


def everything(seeds: int, requests: int, change: int) -> tuple[dict[str, Any], dict[str, Floats]]:
    """All answers, and the curves."""
    began = time.process_time()
    p = pool()
    first = version(p, p.knowledge, np.zeros(len(ARMS)))
    found: dict[str, Any] = {"seeds": seeds, "requests": requests, "change": change, "moved": {}}
    curves: dict[str, Floats] = {}
    for name in WORLDS:
        found["moved"][name], curves[name] = moved(p, first, name, seeds, requests, change)
    found["refused"] = refused(p, first, seeds, requests // 2)
    found["bypassed"] = bypassed(p, first, seeds, requests // 2)
    found["cpu_seconds"] = round(time.process_time() - began, 1)
    return found, curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--plot", type=Path, help="PNG of the curves")
    chosen = parser.parse_args()
    found, curves = everything(chosen.seeds, REQUESTS, CHANGE)
    chosen.out.write_text(json.dumps(found, indent=1))
    if chosen.plot is not None:
        plot(curves, CHANGE, chosen.plot)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
