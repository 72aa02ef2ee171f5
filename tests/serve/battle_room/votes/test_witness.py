"""What a vote is kept with, found out ahead of it: the same as at the vote, and only of the session as it stands."""

import asyncio
import dataclasses
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.serve.battle_room import evidence
from homespun.serve.battle_room.evidence import Evidence, Subject, Witness, findings
from homespun.serve.store.arena import Vote

pytestmark = pytest.mark.slow
texts = st.lists(st.sampled_from(["Here you are.", "I am Claude.", "def f():\n    return 1  # one", "Voilà un jeu."]))


def subject(a: list[str], b: list[str], mode: Any = "battle") -> Subject:
    return Subject(
        mode=mode,
        a=Evidence(model="local:one", replies=a),
        b=Evidence(model="local:two", replies=b),
        prompts=["Schreibe mir bitte ein Spiel mit einer Schlange."],
        names=("One", "Two"),
    )


@given(texts, texts)
def test_what_is_found_ahead_is_what_is_found_at_the_vote(a: list[str], b: list[str]) -> None:
    about = subject(a, b)

    async def ahead() -> evidence.Findings:
        witness = Witness()
        witness.look(about)
        return await witness.findings(dataclasses.replace(about))

    found = asyncio.run(ahead())
    assert found == findings(about)
    assert found["void"] == ("I am Claude." in a + b) == (found["why"] is not None)
    assert found["natural_language"] == "de"
    assert set(found) <= {field.name for field in dataclasses.fields(Vote)}


def test_each_subject_is_looked_at_once_and_another_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Subject, int]] = []

    def look(about: Subject) -> evidence.Findings:
        seen.append((about, threading.get_ident()))
        return {"void": len(seen) > 1}

    monkeypatch.setattr(evidence, "findings", look)
    first, second = subject(["x"], ["y"]), subject(["x"], ["y", "z"])

    async def go() -> list[bool]:
        witness = Witness()
        for _ in range(3):
            witness.look(subject(["x"], ["y"]))
        return [(await witness.findings(about))["void"] for about in (first, first, second, second)]

    assert asyncio.run(go()) == [False, False, True, True]
    assert [about for about, _ in seen] == [first, second]
    assert threading.get_ident() not in {thread for _, thread in seen}


def test_a_vote_that_is_given_up_leaves_the_next_its_findings() -> None:
    async def go() -> evidence.Findings:
        witness, about = Witness(), subject(["x" * 2000], ["I am Claude."])
        waiting = asyncio.create_task(witness.findings(about))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return await witness.findings(about)

    assert asyncio.run(go())["void"]


def test_a_named_battle_is_never_void() -> None:
    assert not findings(subject(["I am Claude."], [], mode="named"))["void"]
