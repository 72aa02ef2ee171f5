"""Question: what does the gateway save on recorded traffic, and is that what `route eval` says it saves?

Hypothesis, before running: the live gateway decides by the same policy on the same text and reads answers as they are
graded, so a replay of the held-out questions through it gives the same answer for the same dollars as the replay of
recorded outcomes, question by question. Dollars agree to half a nanodollar per call, in which the books count. So
`economy`, `balanced` and `quality` stand where route eval puts them: about the best single pair's score for a tenth of
its cost, five points and more above it for a third, nine for less than its cost.

    python experiments/0007_gateway_savings.py                                     # through Switchboard and Fleet
    python experiments/0007_gateway_savings.py --url http://127.0.0.1:8080 --key hs-…   # through `homespun serve`

Over HTTP every answer's grade is sent back as feedback, and what the dashboard then tells of these requests is set
beside the sums: dollars, dollars of the strongest, the share saved with its interval, and the labels behind the
reliability diagram.

The questions are those that the router out of the box was not fitted on. Intervals are 95 %, by bootstrap over
questions; savings are paired with the best single pair. Over HTTP the server must use the router out of the box.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np
from numpy.typing import NDArray

from homespun.data import path
from homespun.router.evaluation import held_out
from homespun.router.frontier import oracle
from homespun.router.intervals import resamples
from homespun.router.learn import best_single
from homespun.router.outcomes import Outcomes, read_outcomes
from homespun.router.policy import SinglePolicy
from homespun.router.replay import Replay, replay
from homespun.router.store import RouterFolder, load
from homespun.serve.gateway import config as settings
from homespun.serve.gateway.config import GatewayConfig
from homespun.serve.gateway.routes import Ask, Switchboard, shipped
from homespun.serve.gateway.routes.reader import Reader
from homespun.serve.gateway.types import Attempt, Call
from homespun.serve.gateway.upstream import Fleet
from homespun.tasks import grader_for, problems_from_table

Floats = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]
PRESETS = ("economy", "balanced", "quality")
NANODOLLAR = 1e-9
SECONDS = 120.0


class Got(NamedTuple):
    """What came of one question."""

    target: str
    text: str
    dollars: float
    route: str
    confidence: float | None
    calls: int
    request: str | None = None
    """Its id, from a live server."""


class Row(NamedTuple):
    """One policy on all questions."""

    name: str
    score: Floats
    cost: Floats
    differences: list[dict[str, Any]]


Asker = Callable[[str, str, str], Awaitable[Got]]
"""Model's name, id of the question (``task/id``), its text."""


# --- the two ways in --------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def in_process(config: GatewayConfig) -> AsyncIterator[Asker]:
    """Switchboard and Fleet, without a server."""
    fleet = Fleet(config)
    board = Switchboard(config, fleet)
    await board.use([])

    async def ask(model: str, name: str, text: str) -> Got:
        attempts: list[Attempt] = []
        task, _, number = name.partition("/")
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
        problem = {"task": task, "id": number}
        deadline = asyncio.get_running_loop().time() + SECONDS
        if not model.startswith("homespun/"):
            reply = await fleet.call(
                model, Call("/chat/completions", body, deadline=deadline, problem=problem), attempts
            )
            route, confidence = "single", None
        else:
            dial = model.partition("/")[2]
            routed = await board.answer(Ask(name, body, False, dial, deadline, problem=problem), attempts)
            reply, route, confidence = routed.reply, routed.route, routed.confidence
        assert reply.body is not None
        dollars = sum(attempt.nanodollars for attempt in attempts) * NANODOLLAR
        return Got(reply.target, _content(reply.body), dollars, route, confidence, len(attempts))

    try:
        yield ask
    finally:
        await board.close()
        await fleet.close()


@contextlib.asynccontextmanager
async def over_http(url: str, key: str | None) -> AsyncIterator[Asker]:
    """A live server, by its documented headers."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:

        async def ask(model: str, name: str, text: str) -> Got:
            task, _, number = name.partition("/")
            body = {
                "model": model,
                "messages": [{"role": "user", "content": text}],
                "metadata": {"task": task, "id": number},
            }
            async with session.post(f"{url.rstrip('/')}/v1/chat/completions", json=body) as response:
                content = await response.json()
                if response.status != 200:
                    raise SystemExit(f"{model} on {name}: {response.status} {content}")
                told = response.headers
                confidence = told.get("x-homespun-confidence")
                return Got(
                    told["x-homespun-model"],
                    _content(content),
                    float(told["x-homespun-cost"]),
                    told["x-homespun-route"],
                    None if confidence is None else float(confidence),
                    len([tier for tier in told["x-homespun-tiers"].split(",") if tier]),
                    told["x-request-id"],
                )

        yield ask


async def send_grades(url: str, key: str | None, grades: dict[str, float], side: int) -> dict[str, Any]:
    """Tells a live server what its answers were worth; gives back what its dashboard shows for the last day."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    gate = asyncio.Semaphore(side)
    async with aiohttp.ClientSession(url.rstrip("/"), headers=headers) as session:

        async def send(request: str, score: float) -> None:
            async with gate, session.post("/v1/feedback", json={"id": request, "score": score}) as response:
                if response.status != 200:
                    raise SystemExit(f"feedback on {request}: {response.status} {await response.text()}")

        await asyncio.gather(*(send(request, score) for request, score in grades.items()))
        await asyncio.sleep(3)  # until the books and the dashboard's sums have caught up
        shown: dict[str, Any] = {}
        for part in ("overview", "confidence"):
            async with session.get(f"/dashboard/api/{part}?window=day") as response:
                shown[part] = await response.json()
    return {"savings": shown["overview"]["savings"], "confidence": shown["confidence"]}


async def router_is_there(ask: Asker, table: Outcomes) -> None:
    """Waits until a recorded question is answered with a confidence: by the router, which a new server must fit."""
    until = time.monotonic() + 300
    while (await ask("homespun/balanced", table.ids[0], table.prompts[0])).confidence is None:
        if time.monotonic() > until:
            raise SystemExit("after 300 s recorded questions are still answered without a router")
        await asyncio.sleep(2)


# --- what is compared -------------------------------------------------------------------------------------------


class Bench:
    """The held-out questions, what route eval says of them, and a grader for what comes back."""

    def __init__(self, config: GatewayConfig, router: RouterFolder, table: Outcomes) -> None:
        self.router, self.table = router, table
        self.grades: dict[str, float] = {}
        self.targets = {target.name: target for target in config.target}
        problems = problems_from_table(path("recorded/problems.parquet"))
        self.golds = {f"{item.task}/{item.id}": grader_for(item.task).gold(item) for item in problems if item.answer}

    async def run(self, name: str, model: str, expected: Replay, ask: Asker, reader: Reader, side: int) -> Row:
        """All questions of one model, a few side by side, against their replay."""
        gate = asyncio.Semaphore(side)

        async def one(place: int) -> tuple[Got, float]:
            async with gate:
                question = self.table.ids[place]
                got = await ask(model, question, self.table.prompts[place])
                score = await self._score(question, got, reader)
                if got.request is not None and model.startswith("homespun/"):
                    self.grades[got.request] = score
                return got, score

        found = await asyncio.gather(*(one(place) for place in range(len(self.table))))
        differences = [
            difference
            for place, (got, score) in enumerate(found)
            if (difference := self._difference(place, got, score, expected)) is not None
        ]
        scores = np.array([score for _, score in found])
        return Row(name, scores, np.array([got.dollars for got, _ in found]), differences)

    async def _score(self, question: str, got: Got, reader: Reader) -> float:
        task, _, number = question.partition("/")
        said = await reader.read(self.targets[got.target], (task, number), got.text)
        return float(said is not None and grader_for(task).same(said, self.golds[question]))

    def _difference(self, place: int, got: Got, score: float, expected: Replay) -> dict[str, Any] | None:
        """What of a question is not as in the replay; a call is rounded to a whole nanodollar."""
        arm = int(expected.chosen[place])
        wanted = self.table.arms[arm] if arm >= 0 else None
        faults = [
            score != expected.score[place],
            abs(got.dollars - expected.cost[place]) > (0.5 * got.calls + 1e-3) * NANODOLLAR,
            wanted is not None and self.targets[got.target].arm_name != wanted,
            got.calls != expected.calls[place],
        ]
        if not any(faults):
            return None
        return {
            "id": self.table.ids[place],
            "gateway": [got.target, score, got.dollars, got.calls],
            "replay": [wanted, float(expected.score[place]), float(expected.cost[place]), int(expected.calls[place])],
        }


def told(row: Row, best: Row, table: Outcomes, eval_row: dict[str, float]) -> dict[str, Any]:
    """Score, dollars per 1,000 questions and what is saved, with intervals, beside route eval's row."""
    weights = np.concatenate(list(resamples(len(table), groups=table.groups())))
    total = weights.sum(axis=1)

    def interval(values: Floats) -> list[float]:
        return [float(v) for v in np.quantile(values, [0.025, 0.975])]

    cost, score = weights @ row.cost / total, weights @ row.score / total
    return {
        "name": row.name,
        "n": len(table),
        "score": float(row.score.mean()),
        "score_interval": interval(score),
        "dollars_per_1000": 1000 * float(row.cost.mean()),
        "dollars_per_1000_interval": interval(1000 * cost),
        "gain": float((row.score - best.score).mean()),
        "gain_interval": interval(score - weights @ best.score / total),
        "saved": 1 - float(row.cost.mean() / best.cost.mean()),
        "saved_interval": interval(1 - cost / (weights @ best.cost / total)),
        "route_eval": {"score": eval_row["score"], "dollars_per_1000": 1000 * eval_row["cost"]},
        "differences": row.differences,
    }


async def measure(chosen: argparse.Namespace, config: GatewayConfig) -> dict[str, Any]:
    """Replays everything through the gateway."""
    folder = shipped.place(config.server.state)
    shipped.make(folder)
    router = load(folder)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "outcomes.parquet"
        shipped.outcomes().write_parquet(file)
        whole = read_outcomes(file)
    table = held_out(router, whole, "outcomes")
    table = table if chosen.limit is None else table.take(list(range(chosen.limit)))
    bench = Bench(config, router, table)
    single = SinglePolicy("best single", best_single(held_out(router, whole, "outcomes")))
    arm = table.arms[single.arm]
    plans = {"best single": (f"recorded:{arm}", replay(single, table))}
    for preset in PRESETS:
        policy = router.knowledge.fusion(router.presets["fusion"][preset])
        plans[preset] = f"homespun/{preset}", replay(policy, table)
    way = over_http(chosen.url, chosen.key) if chosen.url else in_process(config)
    reader, rows, started = Reader(), dict[str, Row](), time.perf_counter()
    async with way as ask:
        await router_is_there(ask, table)
        for name, (model, expected) in plans.items():
            rows[name] = await bench.run(name, model, expected, ask, reader, chosen.side)
    await reader.close()
    shown = await send_grades(chosen.url, chosen.key, bench.grades, chosen.side) if chosen.url else None
    means = {name: {"score": float(e.score.mean()), "cost": float(e.cost.mean())} for name, (_, e) in plans.items()}
    ceiling = oracle(table.score, table.cost)
    return {
        "way": "http" if chosen.url else "in process",
        "router": router.origin["fingerprint"],
        "best_single": arm,
        "questions": len(table),
        "seconds": round(time.perf_counter() - started, 1),
        "oracle": {"score": float(ceiling.score.mean()), "dollars_per_1000": 1000 * float(np.nanmean(ceiling.cost))},
        "dashboard": shown,
        "rows": [told(rows[name], rows["best single"], table, means[name]) for name in plans],
    }


def _content(body: dict[str, Any]) -> str:
    return body["choices"][0]["message"]["content"] or ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="base URL of a live server, without /v1")
    parser.add_argument("--key", default=os.environ.get("HOMESPUN_KEY"), help="its key; default $HOMESPUN_KEY")
    parser.add_argument("--state", type=Path, default=ROOT / "runs" / "experiments" / "0007" / "state")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "experiments" / "0007" / "gateway_savings.json")
    parser.add_argument("--side", type=int, default=8, help="questions side by side")
    parser.add_argument("--limit", type=int, help="only so many questions")
    chosen = parser.parse_args()
    server = settings.Server(state=chosen.state)
    config = GatewayConfig(target=settings.built_in(), server=server)
    found = asyncio.run(measure(chosen, config))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(found, indent=1))
    print(
        f"{found['questions']} held-out questions, {found['way']}, {found['seconds']} s; "
        f"best single: {found['best_single']}"
    )
    print(f"{'':12}  {'score':>22}  {'$ per 1,000':>24}  {'saved':>22}  route eval (score, $)   differences")
    for row in found["rows"]:
        low, high = row["score_interval"]
        cheap, dear = row["dollars_per_1000_interval"]
        less, more = row["saved_interval"]
        print(
            f"{row['name']:12}  {row['score']:7.2%} [{low:.1%}, {high:.1%}]  {row['dollars_per_1000']:8.3f} "
            f"[{cheap:.2f}, {dear:.2f}]  {row['saved']:7.1%} [{less:.1%}, {more:.1%}]  "
            f"{row['route_eval']['score']:7.2%} {row['route_eval']['dollars_per_1000']:8.3f}   "
            f"{len(row['differences'])}"
        )
    if (shown := found["dashboard"]) is not None:
        print(f"dashboard: {json.dumps(shown['savings'])}")
    if any(row["differences"] for row in found["rows"]):
        first = next(row["differences"][0] for row in found["rows"] if row["differences"])
        sys.exit(f"not equal question by question; the first difference: {json.dumps(first)}")


if __name__ == "__main__":
    main()
