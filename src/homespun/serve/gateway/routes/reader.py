"""Reads the answer that stands in a completion, exactly as `homespun grade` reads it, so that it can be voted on.

Task and strategy decide how: the strategy's parser cuts the span or the program out, programs run in the sandbox, the
task's grader makes the answer canonical. Programs in languages that are not run here have the answer that was recorded
with them. Only recorded questions have a task; on any other there is nothing to read by.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import polars as pl

from homespun import strategies
from homespun.data import path
from homespun.errors import ConfigError, HomespunError
from homespun.records import Execution
from homespun.router.outcomes import normalise
from homespun.sandbox import Pool, Program
from homespun.serve.gateway.config import Target
from homespun.strategies import Parsed
from homespun.tasks import TextGrader, grader_for

log = logging.getLogger("homespun.gateway")

Problem = tuple[str, str]
"""Data set and id."""
LONGEST = 10_000
"""Characters of a question that may be a recorded one."""
REMEMBERED = 4096
"""Programs whose result is kept."""


def find_problem(named: Mapping[str, str] | None, question: str) -> Problem | None:
    """The recorded problem that was named, else the one whose question this is."""
    questions, problems = _recorded()
    if named is not None:
        problem = (named["task"], named["id"].removeprefix(f"{named['task']}/"))
        return problem if problem in problems else None
    return questions.get(normalise(question)) if 0 < len(question) <= LONGEST else None


def strategy_of(target: Target) -> str | None:
    """The strategy by which a target answers, from its settings or its arm's name (``gpt-4/cot``)."""
    name = target.strategy or target.arm_name.rpartition("/")[2]
    return name if name in strategies.names() else None


class Reader:
    """Keeps one sandbox worker and one thread for it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sandbox")
        self._pool = Pool(1)
        self._known: OrderedDict[tuple[str, str], Execution] = OrderedDict()

    async def read(self, target: Target, problem: Problem, text: str) -> str | None:
        """The canonical answer in a completion; ``None`` where none can be read.

        Args:
            target: Who wrote it; its strategy says how.
            problem: What was asked.
            text: The completion.
        """
        strategy, task = strategy_of(target), problem[0]
        if strategy is None:
            return None
        parsed = strategies.strategy(strategy).parse(text, task, "strict", target.model)
        span = await self._span(parsed, target, problem, strategy)
        return None if span is None else _grader(task).read(span).answer

    async def close(self) -> None:
        """Ends the sandbox."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._pool.close)
        self._thread.shutdown(wait=False)

    async def _span(self, parsed: Parsed, target: Target, problem: Problem, strategy: str) -> str | None:
        if parsed.program is None:
            return parsed.text
        if parsed.language != "python":
            return _recorded_answers(target.model).get((*problem, strategy)) if target.kind == "recorded" else None
        execution = await self._run(parsed.program, parsed.prelude)
        return None if execution is None or execution.status != "ok" else execution.value

    async def _run(self, source: str, prelude: str) -> Execution | None:
        key = (prelude, source)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        program = Program(id="answer", source=source, prelude=prelude)
        try:
            done = await asyncio.get_running_loop().run_in_executor(self._thread, self._pool.run, program)
        except HomespunError as error:
            log.warning("a program of an answer was not run: %s", error)
            return None
        self._known[key] = done
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return done


@cache
def _grader(task: str) -> TextGrader:
    return grader_for(task, "strict")


@cache
def _recorded() -> tuple[dict[str, Problem], frozenset[Problem]]:
    """Recorded problems by their normalised question; only tasks that a grader is known for."""
    frame = pl.read_parquet(path("recorded/problems.parquet"), columns=["dataset", "id", "question"])
    found: dict[str, Problem] = {}
    for dataset, id, question in frame.iter_rows():
        found.setdefault(normalise(question), (dataset, id))
    return found, frozenset(frame.select("dataset", "id").iter_rows())


@cache
def _recorded_answers(model: str) -> dict[tuple[str, str, str], str]:
    """What the source's own solvers answered, by data set, problem and strategy."""
    table = pl.scan_parquet(path("recorded/greedy.parquet")).filter(pl.col("model") == model)
    rows = table.filter(pl.col("answer").is_not_null()).select("dataset", "id", "strategy", "answer").collect()
    return {(dataset, id, strategy): answer for dataset, id, strategy, answer in rows.iter_rows()}


def readable(problem: Problem | None) -> bool:
    """Whether answers to this problem can be read at all."""
    if problem is None:
        return False
    try:
        _grader(problem[0])
    except ConfigError:
        return False
    return True
