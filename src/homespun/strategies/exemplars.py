"""Our own worked examples, one record each, from which every strategy takes the form that it needs.

A step is one sub-question: its answer in words (chain of thought, least-to-most) and in code (program of thought,
faithful chain of thought). Nothing here is taken from the prompts of another project. Every program runs in the tests
and must give the answer beside it.
"""

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import Field

from homespun.records import Record
from homespun.strategies.kinds import Kind


class Step(Record):
    """One sub-question, answered in words and in code."""

    question: str
    words: str
    code: str
    support: str = ""
    """The words of the question, or the outside knowledge, that the step rests on."""
    after: tuple[int, ...] = ()
    """Numbers, from 1, of the steps that it builds on."""


class Exemplar(Record):
    """A question worked out in full."""

    question: str
    answer: str
    steps: tuple[Step, ...] = Field(min_length=1)
    imports: str = ""


@cache
def _shipped() -> dict[str, tuple[Exemplar, ...]]:
    text = files("homespun.strategies").joinpath("exemplars.toml").read_text(encoding="utf-8")
    return {kind: tuple(map(Exemplar.model_validate, rows)) for kind, rows in tomllib.loads(text).items()}


def exemplars(kind: Kind) -> tuple[Exemplar, ...]:
    """The worked examples for a kind of answer; for free text, one each of three kinds."""
    shipped = _shipped()
    if kind == "text":
        return shipped["boolean"][1], shipped["number"][0], shipped["date"][0]
    return shipped[kind]
