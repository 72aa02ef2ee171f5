"""Example battles that ship: prompts for every environment, and contestants that answer them with real programs.

Two kinds of contestant need neither a key nor a model. The scripted ones, *loom* and *wheel*, give the replies in
``data/battles``, of our own writing. The recorded ones give the programs that real models wrote for grade-school word
problems (``data/recorded``, strategy ``pot``), with a line added that prints the answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from homespun import data
from homespun.models.recorded import RECORDED_MODELS

SCRIPTED = ("loom", "wheel")
WORD_PROBLEMS = ("38", "68", "191")
"""Ids of the GSM8K problems that are offered as example prompts: short ones, on which the models differ."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One prompt to start a battle with. ``followup`` is a second request that the scripted contestants know."""

    id: str
    title: str
    topic: str
    environment: str
    prompt: str
    followup: str | None = None


@cache
def examples() -> tuple[Example, ...]:
    """All example prompts: one or more for each environment, then word problems."""
    lines = data.path("battles/battles.jsonl").read_text().splitlines()
    scripted = tuple(Example(**json.loads(line)) for line in lines)
    problems = _word_problems()
    return scripted + tuple(
        Example(
            id=f"gsm8k-{id}",
            title=_title(problems[id]),
            topic="Problem Solving",
            environment="interpreter",
            prompt=problems[id],
        )
        for id in WORD_PROBLEMS
    )


@cache
def scripted_replies(contestant: str) -> Mapping[tuple[str, int], str]:
    """What a scripted contestant answers: (example id, turn from 1) → reply.

    Raises:
        KeyError: there is no such contestant.
    """
    if contestant not in SCRIPTED:
        raise KeyError(contestant)
    changes: dict[str, list[tuple[str, str]]] = json.loads(data.path("battles/changes.json").read_text())
    replies: dict[tuple[str, int], str] = {}
    for example in examples():
        if example.followup is None:
            continue
        first = data.path(f"battles/replies/{example.id}.{contestant}.1.md").read_text()
        replies[example.id, 1] = first
        key = f"{example.id}.{contestant}"
        replies[example.id, 2] = (
            _changed(first, changes[key]) if key in changes else data.path(f"battles/replies/{key}.2.md").read_text()
        )
    return replies


@cache
def recorded_replies(model: str) -> Mapping[str, str]:
    """What a recorded model answers: text of a GSM8K question → a reply with its program."""
    rows = (
        pl.scan_parquet(data.path("recorded/greedy.parquet"))
        .filter((pl.col("model") == model) & (pl.col("dataset") == "gsm8k") & (pl.col("strategy") == "pot"))
        .select("id", "completion")
        .collect()
    )
    questions = _word_problems()
    return {questions[id]: _as_reply(completion) for id, completion in rows.iter_rows() if id in questions}


def recorded_contestants() -> tuple[str, ...]:
    """Names of the recorded models, best first as in the name of their family."""
    return RECORDED_MODELS


@cache
def _word_problems() -> dict[str, str]:
    rows: Any = (
        pl.scan_parquet(data.path("recorded/problems.parquet"))
        .filter(pl.col("dataset") == "gsm8k")
        .select("id", "question")
        .collect()
        .iter_rows()
    )
    return {id: question.strip() for id, question in rows}


def _as_reply(completion: str) -> str:
    return f"```python\n{completion.strip()}\nprint(answer)\n```\n"


def _changed(text: str, changes: list[tuple[str, str]]) -> str:
    for old, new in changes:
        if old not in text:
            raise ValueError(f"nothing to change: {old!r}")
        text = text.replace(old, new)
    return text


def _title(question: str) -> str:
    return " ".join(question.split()[:4]).rstrip(".,") + " …"
