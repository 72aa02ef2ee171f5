"""Shadow traffic: a small share of routed requests is asked of other arms as well, after the client has its answer.

For a request that is drawn, the strongest arm (best expected score) is asked and one alternative, drawn evenly from
all others that can serve it, the one that answered included: its answer is at hand. So the strongest is known with
probability 1 and each other arm with 1/(k - 1), whatever the router chose: that chance is kept with the label.

Without a verifier the alternative's label is its agreement with the strongest arm, whose expected score s it inherits:
s where they agree, half of 1 - s where not; free texts that cannot be compared give no label. With a verifier each
answer is judged. Money: at most ``learning.shadow_dollars`` a day, shared evenly among the workers of this machine and
checked against the books, counted before the call at its bound. A new arm is drawn for certain until it has been asked
often enough in the cell at hand.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from homespun.errors import HomespunError
from homespun.records import Prompt, Sample
from homespun.router.judges import verify
from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.learning import arms as newcomers
from homespun.serve.gateway.learning.labels import inclusion_detail, label_row
from homespun.serve.gateway.routes import answers
from homespun.serve.gateway.routes.ask import Ask, carries_tools, question
from homespun.serve.gateway.routes.session import Upstreams
from homespun.serve.gateway.types import NANO, Attempt, Call, GatewayError, Routed
from homespun.serve.store.database import Database
from homespun.serve.store.keys import Limit, usage
from homespun.serve.store.tables import attempts as attempts_table
from homespun.serve.store.tables import keys, limits

log = logging.getLogger("homespun.gateway")

MOST_AT_ONCE = 2
MOST_WAITING = 50
SECONDS = 120.0
"""Longest that one shadow query may take."""
DAY = 86_400.0


@dataclass(frozen=True)
class Drawn:
    """Who is asked about a request, and the chance with which each was going to be."""

    strongest: str
    alternative: str
    inclusion: float
    expected: float
    """Expected score of the strongest arm."""


def draw(
    quality: Mapping[str, float], able: Sequence[str], wanted: Sequence[str], generator: random.Random
) -> Drawn | None:
    """Draws the arms of a shadow; ``None`` where there is no alternative.

    Args:
        quality: Expected score per arm; arms without one are as good as nothing.
        able: Arms that can serve the request.
        wanted: New arms among them that must be asked in this cell.
        generator: Source of chance.
    """
    known = [arm for arm in able if arm not in wanted] or list(able)
    strongest = max(known, key=lambda arm: (quality.get(arm, 0.0), arm))
    others = sorted(wanted) or [arm for arm in sorted(able) if arm != strongest]
    others = [arm for arm in others if arm != strongest]
    if not others:
        return None
    return Drawn(
        strongest, generator.choice(others), 1.0 / len(others), min(max(quality.get(strongest, 0.5), 0.0), 1.0)
    )


def agreement_score(same: bool, expected: float) -> float:
    """Label of an answer that agrees, or not, with that of an arm of this expected score."""
    return expected if same else (1.0 - expected) / 2.0


class Shadows:
    """The shadow queries of one worker."""

    def __init__(self, config: GatewayConfig, database: Database, books: Any, fleet: Upstreams) -> None:
        self.config, self.database, self.books, self.fleet = config, database, books, fleet
        self.counts: dict[str, Counter[str]] = {}
        """Per new arm, its shadow queries per cell."""
        self.cells = 1
        """Cells of the live router."""
        self._random = random.Random()
        self._tasks: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(MOST_AT_ONCE)
        self._day, self._spent = 0, 0

    def consider(self, row: Mapping[str, Any], routed: Routed, text: str, ask: Ask) -> bool:
        """Maybe starts a shadow of this request; at once back."""
        record, share = routed.record, self.config.learning.shadow
        if record is None or self._random.random() >= share or len(self._tasks) >= MOST_WAITING:
            return False
        if row["outcome"] != "ok" or row["cache"] in ("exact", "semantic") or carries_tools(ask.body) or not text:
            return False
        task = asyncio.get_running_loop().create_task(self._shadow(dict(record), text, ask))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def settled(self) -> None:
        """Waits for all that is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Ends what is under way, at once; what it cost is on the books."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _shadow(self, record: dict[str, Any], text: str, ask: Ask) -> None:
        with suppress(HomespunError):
            async with self._gate:
                await self._ask(record, text, ask)

    async def _ask(self, record: dict[str, Any], text: str, ask: Ask) -> None:
        targets = {target.arm_name: target for target in self.config.tiers()}
        body = {name: value for name, value in ask.body.items() if name not in ("stream", "stream_options", "n")}
        able = [arm for arm, target in targets.items() if self.fleet.serves(target.name, body) is None]
        wanted = [arm for arm in able if arm in self.counts and self._wants(arm, record["cell"])]
        drawn = draw((record["reading"] or {}).get("quality", {}), able, wanted, self._random)
        if drawn is None or await self._broke(ask.key_id):
            return
        said: dict[str, str] = {record["answered"]: text}
        missing = [arm for arm in (drawn.strongest, drawn.alternative) if arm not in said]
        bound = sum(self.fleet.bound(targets[arm].name, body)[1] for arm in missing)
        if not await self._affords(bound):
            return
        spent: list[Attempt] = []
        try:
            for arm in missing:
                said[arm] = await self._call(targets[arm], body, ask, spent)
            await self._label(drawn, said, ask, spent)
        except GatewayError as error:
            log.info("a shadow of %s ended: %s", ask.request_id, error)
        finally:
            self._spent += sum(attempt.nanodollars for attempt in spent) - bound
            for attempt in spent:
                self.books.note("attempts", attempt_row(ask.request_id, attempt))
        if drawn.alternative in self.counts and record["cell"]:
            self.counts[drawn.alternative][record["cell"]] += 1

    async def _call(self, target: Target, body: dict[str, Any], ask: Ask, spent: list[Attempt]) -> str:
        deadline = asyncio.get_running_loop().time() + SECONDS
        call = Call(
            path="/chat/completions",
            body=body,
            deadline=deadline,
            purpose="shadow",
            problem=ask.problem,
        )
        reply = await self.fleet.call(target.name, call, spent, fallbacks=False)
        return answers.read(reply.body).text

    async def _label(self, drawn: Drawn, said: Mapping[str, str], ask: Ask, spent: list[Attempt]) -> None:
        chances = {drawn.strongest: 1.0, drawn.alternative: drawn.inclusion}
        verifier = self.config.auto.verifier
        scores: dict[str, float] = {}
        if verifier is not None:
            for arm in chances:
                value = await self._verified(self.config.find(verifier), question(ask.body), said[arm], ask, spent)
                if value is not None:
                    scores[arm] = value
        else:
            left, right = (answers.comparable(said[arm]) for arm in (drawn.strongest, drawn.alternative))
            if left is not None and right is not None:
                scores[drawn.alternative] = agreement_score(left == right, drawn.expected)
        how = "verifier" if verifier is not None else f"agreement with {drawn.strongest}"
        for arm, score in scores.items():
            detail = inclusion_detail(chances[arm], how)
            self.books.note("labels", label_row(ask.request_id, arm, "shadow", score, time.time(), detail=detail))

    async def _verified(
        self, verifier: Target, asked: str, answer: str, ask: Ask, spent: list[Attempt]
    ) -> float | None:
        async def ask_it(body: dict[str, Any]) -> str:
            return await self._call(verifier, body, ask, spent)

        return await verify(asked, answer, _Verifier(verifier.name, ask_it))

    def _wants(self, arm: str, cell: str | None) -> bool:
        return cell is not None and newcomers.wanted(self.counts[arm], self.cells, cell)

    # --- money --------------------------------------------------------------------------------------------------

    async def _affords(self, bound: int) -> bool:
        """Whether the day's allowance covers the call; if so it is set aside."""
        today = int(time.time() // DAY)
        if today != self._day:
            self._day, self._spent = today, 0
        most = self.config.learning.shadow_dollars * NANO
        if self._spent + bound > most / self.config.server.workers:
            return False
        self._spent += bound
        booked = await self.database.run(partial(shadow_spent, since=today * DAY), read_only=True)
        if booked + bound > most:
            self._spent -= bound
            return False
        return True

    async def _broke(self, key_id: str | None) -> bool:
        """Whether a limit of the key, its team or of all is used up."""
        if key_id is None:
            return False
        return await self.database.run(partial(used_up, key_id=key_id), read_only=True)


@dataclass
class _Verifier:
    """The verifier target as a `Model`."""

    name: str
    ask: Callable[[dict[str, Any]], Awaitable[str]]

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        body: dict[str, Any] = {
            "messages": [message.model_dump() for message in prompt.messages],
            "max_tokens": prompt.sampling.max_tokens,
            "temperature": prompt.sampling.temperature,
        }
        text = await self.ask(body)
        return [Sample(id=prompt.id, prompt_id=prompt.id, index=0, model=self.name, text=text)]


def shadow_spent(connection: Connection, since: float) -> int:
    """Nanodollars of shadow traffic on the books since then."""
    column = func.coalesce(func.sum(attempts_table.c.nanodollars), 0)
    chosen = (attempts_table.c.purpose == "shadow") & (attempts_table.c.time >= since)
    return int(connection.execute(select(column).where(chosen)).scalar_one())


def used_up(connection: Connection, key_id: str) -> bool:
    """Whether any limit of the key, of its team or of all has nothing left."""
    team = connection.execute(select(keys.c.team).where(keys.c.id == key_id)).scalar()
    subjects = [("key", key_id), ("all", ""), ("team", team)]
    wanted = or_(
        *(and_(limits.c.subject_kind == kind, limits.c.subject == name) for kind, name in subjects if name is not None)
    )
    found = [Limit(*row) for row in connection.execute(select(limits).where(wanted))]
    return any(row["left"] <= 0 for row in usage(connection, found, time.time()))


def attempt_row(request_id: str, attempt: Attempt) -> dict[str, Any]:
    """A row of ``attempts``."""
    return {
        "id": attempt.id,
        "request_id": request_id,
        "time": attempt.time,
        "target": attempt.target,
        "purpose": "shadow",
        "outcome": attempt.outcome,
        "status": attempt.status,
        "error": attempt.error,
        "input_tokens": attempt.usage.input,
        "cached_tokens": attempt.usage.cached,
        "output_tokens": attempt.usage.output,
        "estimated": attempt.usage.estimated,
        "nanodollars": attempt.nanodollars,
        "seconds": attempt.seconds,
        "first_byte_seconds": attempt.first_byte_seconds,
    }
