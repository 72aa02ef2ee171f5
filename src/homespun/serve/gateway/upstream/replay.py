"""Recorded answers as an upstream: real answers of 2023 at what they cost then.

Which problem is asked is told by the call, or found by the exact text of the question (white space aside) in the last
message of the user. An answer's dollars are those of the recorded convention, `Sample.cost.dollars`: the exact value of
that float, in nanodollars, rounded half to even.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from math import ceil
from typing import Any, cast

import polars as pl
from anyio import to_thread

from homespun.data import path
from homespun.models.recorded import Recorded, recorded_cost_frame
from homespun.records import Cost, Prompt, Sample
from homespun.serve.gateway.chunks import split
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import NANO, Event, Usage
from homespun.serve.gateway.upstream.failure import Failed
from homespun.serve.gateway.upstream.prompts import MOST_CHOICES, choices, completion, prompt
from homespun.serve.gateway.upstream.source import Answer, Body, Request
from homespun.serve.gateway.upstream.usage import Bound
from homespun.tasks import problems_from_table

Place = tuple[str, str]
"""Data set and id."""


class RecordedSource:
    """One recorded model under one strategy.

    Raises:
        ConfigError: no answers of that model were recorded.
    """

    def __init__(self, target: Target) -> None:
        self._target, self._model = target, Recorded(target.model)
        self._read = False

    async def whole(self, request: Request) -> Answer:
        """The recorded answer; for several choices the recorded variations.

        Raises:
            Failed: 404; no answer was recorded, or not so many.
        """
        number = choices(request.body)
        if not self._read:  # the tables are read once, aside
            await to_thread.run_sync(self.bound, request.body)
            self._read = True
        place = _named(request.problem) or find(request.body)
        if place is None:
            raise self._unrecorded("the user's last message is no question of the recorded data sets")
        asked = prompt(self._target, request, task=place[0], problem=place[1])
        samples = await self._model.sample(asked, number)
        if missing := next((sample for sample in samples if sample.finish == "error"), None):
            raise self._unrecorded(missing.error or "no answer was recorded")
        total = sum(exact_nanodollars(sample.cost.dollars) for sample in samples)
        return Answer(completion(self._target, samples), None, usage_of(samples), total)

    async def open(self, request: Request) -> "WholeFeed":
        """The same as a stream."""
        return WholeFeed(await self.whole(request), request.body)

    def bound(self, body: Body) -> tuple[Bound, int]:
        """The most tokens of any answer of this model, and what the answer cost if its question is found."""
        wanted = body.get("n")
        number = wanted if type(wanted) is int and 1 <= wanted <= MOST_CHOICES else 1
        tokens, most = dearest(self._target.model, self._target.strategy or "")
        tokens = Bound(number * tokens.input, number * tokens.output)
        if (place := _named(body.get("metadata")) or find(body)) is None:
            return tokens, number * most
        asked = Prompt(id="", problem_id=place[1], strategy=self._target.strategy or "", messages=(), task=place[0])
        exact = exact_nanodollars(self._model.worst_case(asked, number))
        return tokens, exact if number == 1 else exact + number  # each sample is rounded by itself

    def _unrecorded(self, why: str) -> Failed:
        what = f"{self._target.name} only has recorded answers: {why}. Ask one of its questions, or another model."
        error = Failed("refused", what, status=404, code="not_recorded", then="elsewhere", faulty=False)
        error.kind, error.param = "invalid_request_error", "messages"
        return error

    async def close(self) -> None:
        """Nothing is held."""


class WholeFeed:
    """A whole answer, told as a stream."""

    def __init__(self, answer: Answer, body: Body) -> None:
        options: Any = body.get("stream_options")
        wanted = isinstance(options, dict) and bool(cast("Body", options).get("include_usage"))
        self.headers: Mapping[str, str] = answer.headers
        self.nanodollars = answer.nanodollars
        self._events, self._usage = split(answer.body, usage=wanted), answer.usage

    async def read(self) -> list[Event]:
        """All events; then none."""
        events, self._events = self._events, []
        return events

    def usage(self) -> Usage:
        """Of the whole answer, which was made before the first event."""
        return self._usage

    def close(self) -> None:
        """Nothing is held."""


def exact_nanodollars(dollars: float) -> int:
    """The exact value of a float of dollars in nanodollars, rounded half to even."""
    return round(Fraction(dollars) * NANO)


def usage_of(samples: Sequence[Sample]) -> Usage:
    """Tokens of samples together."""
    cost = Cost.total(sample.cost for sample in samples)
    return Usage(input=cost.input_tokens, output=cost.output_tokens)


def find(body: Body) -> Place | None:
    """The recorded problem whose question is the last message of the user."""
    messages: Any = body.get("messages")
    for message in reversed(cast("list[Any]", messages) if isinstance(messages, list) else []):
        if isinstance(message, dict) and cast("Body", message).get("role") == "user":
            return _questions().get(_plain(cast("Body", message).get("content")))
    return None


def _named(problem: Any) -> Place | None:
    if not isinstance(problem, Mapping):
        return None
    task, number = (cast("Mapping[str, Any]", problem).get(name) for name in ("task", "id"))
    return (task, number) if isinstance(task, str) and isinstance(number, str) else None


def _plain(content: Any) -> str:
    if isinstance(content, list):
        parts = [cast("Body", part).get("text") for part in cast("list[Any]", content) if isinstance(part, dict)]
        content = " ".join(part for part in parts if isinstance(part, str))
    return " ".join(content.split()) if isinstance(content, str) else ""


@cache
def _questions() -> dict[str, Place]:
    """Places by question; of equal questions the first counts."""
    found: dict[str, Place] = {}
    for problem in problems_from_table(path("recorded") / "problems.parquet"):
        found.setdefault(_plain(problem.question), (problem.task, problem.id))
    return found


@cache
def dearest(model: str, strategy: str) -> tuple[Bound, int]:
    """The most tokens and nanodollars of any recorded answer of a model under a strategy."""
    columns = ["dataset", "id", "model", "strategy", "completion"]
    chosen = (pl.col("model") == model) & (pl.col("strategy") == strategy)
    most, given, made = 0.0, 0, 0
    for table in ("greedy", "variations"):
        rows = pl.scan_parquet(path("recorded") / f"{table}.parquet").filter(chosen).select(columns).collect()
        if rows.is_empty():
            continue
        costs = recorded_cost_frame(rows).select(pl.max("dollars", "input_tokens", "output_tokens")).row(0)
        most, given, made = max(most, costs[0]), max(given, costs[1]), max(made, costs[2])
    return Bound(given, made), ceil(Fraction(most) * NANO) + 1  # a float sum may differ in its last place
