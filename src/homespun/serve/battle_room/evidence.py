"""What a vote is about, and what of it is kept with the vote: whether it is void, and what could sway a voter.

That takes longer than all else that is done for a vote (a reply is searched for names, its language told, its program
measured), and it is known as soon as both answers are: so a `Witness` finds it out while people look at them, on a
thread of its own, and the vote finds it there.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from homespun.arena.covariates import natural_language, of_run
from homespun.arena.leak import leaked
from homespun.serve.store.arena import RunRow
from homespun.serve.store.arena.types import Mode

_EYES = ThreadPoolExecutor(1, "homespun-evidence")
"""One for all rooms: there is no hurry, and several would take the processor from each other."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One side of a battle."""

    model: str
    replies: Sequence[str]
    run: RunRow | None = None
    """Shown last."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a vote is about."""

    mode: Mode
    a: Evidence
    b: Evidence
    prompts: Sequence[str]
    names: Sequence[str] = ()
    """Titles by which the contestants are known beside their ids."""


Findings = dict[str, Any]
"""Columns of a `Vote`, all that follow from its subject."""


def findings(subject: Subject) -> Findings:
    """What is kept with a vote on this."""
    why = None
    if subject.mode == "battle":
        known = (subject.a.model, subject.b.model, *subject.names)
        words = leaked((*subject.a.replies, *subject.b.replies), known)
        why = None if words is None else f"a reply tells whose it is: {words!r}"
    covariates = {
        f"{name}_{side}": value
        for side, evidence in (("a", subject.a), ("b", subject.b))
        for name, value in covariates_of(evidence).items()
    }
    a, b = subject.a.run, subject.b.run
    return {
        "void": why is not None,
        "why": why,
        "environment_a": a and a.environment,
        "environment_b": b and b.environment,
        "code_language_a": a and a.language,
        "code_language_b": b and b.language,
        "natural_language": natural_language(subject.prompts[0]) if subject.prompts else None,
        "covariates": covariates,
    }


def covariates_of(evidence: Evidence) -> dict[str, float | None]:
    """The `homespun.arena.covariates.NAMES` of a side; unknown without a run."""
    found: dict[str, float | None] = {"length": float(len(evidence.replies[-1])) if evidence.replies else 0.0}
    run = evidence.run
    if run is None:
        return found
    blanks = [bool(shot.get("blank")) for shot in run.screenshots if shot.get("blob")]
    return {
        **found,
        **of_run(
            run.code,
            run.language,
            stderr=run.stderr,
            dependencies=len(run.dependencies),
            seconds=run.seconds,
            ok=run.status == "ok",
            blank=all(blanks) if blanks else None,
        ),
    }


class Witness:
    """Knows the findings on one session as it stands."""

    def __init__(self) -> None:
        self._subject: Subject | None = None
        self._found: asyncio.Future[Findings] | None = None

    def look(self, subject: Subject) -> "asyncio.Future[Findings]":
        """Begins to find out, unless this very subject is known; comes back at once."""
        if self._found is None or subject != self._subject:
            self._subject = subject
            self._found = asyncio.get_running_loop().run_in_executor(_EYES, findings, subject)
        return self._found

    async def findings(self, subject: Subject) -> Findings:
        """The findings, as soon as they are there."""
        return await asyncio.shield(self.look(subject))


def warm(names: Sequence[str]) -> "asyncio.Future[Findings]":
    """Has what is loaded or compiled at its first use ready before the first vote; comes back at once.

    Args:
        names: Ids and titles of all contestants.
    """
    side = Evidence(model="", replies=[f"this is {name}" for name in names])
    sample = Subject(mode="battle", a=side, b=side, prompts=["Write a page, please."], names=names)
    return asyncio.get_running_loop().run_in_executor(_EYES, findings, sample)
