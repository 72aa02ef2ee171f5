"""Battles between recorded programs: each pair's programs run in the sandbox, the gold answer judges, votes are ranked.

The word problems have an answer, so the judge of these battles is that answer and not a person: a right program beats
a wrong one, two right ones tie, two wrong ones are both bad. What people would see of a battle is shown for a few
prompts whose programs are pages: run in the environments of the battle room, looked at by its browser.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from homespun import data
from homespun.arena.examples import SCRIPTED, examples, scripted_replies
from homespun.arena.leaderboard import leaderboard
from homespun.arena.pairing import Draw, Pairing
from homespun.errors import SandboxError
from homespun.models.smollm2 import cache_folder
from homespun.records import Problem
from homespun.runs.run import open_run
from homespun.sandbox.base import Program
from homespun.sandbox.pool import Pool
from homespun.sandbox.reply import Found, read_reply
from homespun.tasks.graders import grader_for

Progress = Callable[[int, int], None]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Battles:
    """Which battles."""

    dataset: str = "gsm8k"
    """Word problems with a number as the answer."""
    num_battles: int = 400
    """One problem each, drawn without repetition."""
    models: tuple[str, ...] = (
        "code-davinci-001",
        "code-davinci-002",
        "text-davinci-002",
        "text-davinci-003",
        "gpt-3.5-turbo",
        "gpt-4",
    )
    """Recorded models; their programs are those of the strategy ``pot``."""
    shown: tuple[str, ...] = ("clock", "todo")
    """Example prompts (`homespun.arena.examples`) whose programs are run as people would see them."""
    seed: int = 0


class Shown(NamedTuple):
    """One program that was run as people would see it."""

    prompt: str
    contestant: str
    environment: str
    status: str
    seconds: float
    png: bytes | None
    """The page; None if it could not be looked at, with the reason in ``note``."""
    note: str


@dataclass(frozen=True, kw_only=True)
class Battled:
    """What a stage of battles leaves."""

    rows: list[Row]
    """Rating, interval, rank and votes of each model."""
    votes: int
    folder: Path
    shown: list[Shown] = field(default_factory=list[Shown])
    note: str = ""
    """Why nothing is shown, if so."""


def battle(config: Battles, *, progress: Progress, root: Path | None = None) -> Battled:
    """Fights the battles, ranks, and shows a few; a finished stage returns at once.

    Args:
        config: Which battles.
        progress: Called with (battles done, battles in all).
        root: Folder of runs.

    Raises:
        SandboxError: bubblewrap is missing.
    """
    inputs = {name: data.path(f"recorded/{name}.parquet") for name in ("problems", "greedy")}
    inputs |= {"battles": data.path("battles/battles.jsonl"), "changes": data.path("battles/changes.json")}
    with open_run("battles", config.dataset, config=asdict(config), inputs=inputs, root=root) as run:
        if not run.done:
            votes = _votes(config, progress)
            run.write("votes", votes)
            run.write("ratings", pl.DataFrame(leaderboard(votes).rows, infer_schema_length=None))
            shown, note = _show(config.shown)
            run.write("shown", pl.DataFrame(shown, schema=_SHOWN, orient="row"))
            run.finish(metrics={"votes": votes.height, "note": note})
        return Battled(
            rows=run.read("ratings").to_dicts(),
            votes=run.read("votes").height,
            folder=run.path,
            shown=[Shown(*row) for row in run.read("shown").iter_rows()],
            note=str(run.record.metrics.get("note", "")),
        )


_SHOWN: Any = {
    "prompt": pl.String,
    "contestant": pl.String,
    "environment": pl.String,
    "status": pl.String,
    "seconds": pl.Float64,
    "png": pl.Binary,
    "note": pl.String,
}


def _votes(config: Battles, progress: Progress) -> pl.DataFrame:
    """One vote per problem: who met by `Pairing`, who won by running both programs."""
    generator = np.random.default_rng(config.seed)
    problems = pl.read_parquet(data.path("recorded/problems.parquet")).filter(pl.col("dataset") == config.dataset)
    chosen = problems[generator.permutation(problems.height)[: config.num_battles]]
    pairing = Pairing(config.models)
    draws = [pairing.draw(generator) for _ in range(chosen.height)]
    programs = _programs(config, chosen["id"].to_list(), draws)
    with Pool() as pool:
        executions = pool.run_many(programs, progress=lambda done, total: progress(done // 2, total // 2))
    answers = {item.sample_id: item.value for item in executions}
    grader = grader_for(config.dataset, "strict")
    rows: list[Row] = []
    for problem, draw in zip(chosen.iter_rows(named=True), draws, strict=True):
        gold = Problem(id=problem["id"], task=config.dataset, question=problem["question"], answer=problem["gold"])
        right = [grader.grade(gold, answers[f"{problem['id']}/{name}"]).value == 1 for name in (draw.left, draw.right)]
        rows.append(
            {
                "id": f"{config.dataset}/{problem['id']}",
                "model_a": draw.left,
                "model_b": draw.right,
                "winner": _winner(*right),
                "propensity": draw.propensity,
            }
        )
    return pl.DataFrame(rows)


def _programs(config: Battles, ids: Sequence[str], draws: Sequence[Draw]) -> list[Program]:
    table = pl.scan_parquet(data.path("recorded/greedy.parquet")).filter(
        (pl.col("dataset") == config.dataset) & (pl.col("strategy") == "pot")
    )
    said = {(id, model): text for id, model, text in table.select("id", "model", "completion").collect().iter_rows()}
    return [
        Program(id=f"{id}/{name}", source=said.get((id, name), ""))
        for id, draw in zip(ids, draws, strict=True)
        for name in (draw.left, draw.right)
    ]


def _winner(left: bool, right: bool) -> str:
    if left == right:
        return "tie" if left else "both_bad"
    return "model_a" if left else "model_b"


def _show(prompts: Sequence[str]) -> tuple[list[Shown], str]:
    """Runs the scripted contestants' programs for some prompts; without what they need there is a note instead."""
    if not prompts:
        return [], ""
    try:
        return asyncio.run(_run_all(prompts)), ""
    except SandboxError as error:
        return [], str(error)


async def _run_all(prompts: Sequence[str]) -> list[Shown]:
    from homespun.sandbox.runner import open_runner

    asked = {example.id: example.prompt for example in examples()}
    shown: list[Shown] = []
    async with open_runner(cache=cache_folder() / "packages") as runner:
        for prompt in prompts:
            for contestant in SCRIPTED:
                found = read_reply(scripted_replies(contestant)[prompt, 1])
                if not isinstance(found, Found):
                    continue
                played = await runner.run(found, run_id=f"{prompt}-{contestant}")
                shot = played.shots[-1] if played.shots else None
                shown.append(
                    Shown(
                        asked[prompt],
                        contestant,
                        found.environment,
                        played.execution.status,
                        played.execution.seconds,
                        shot.png if shot else None,
                        shot.note if shot else "it has no page",
                    )
                )
                await runner.close_run(f"{prompt}-{contestant}")
    return shown
