"""Contestants that ship, and what all of them are told first."""

import anyio
import pytest

from homespun.arena.examples import examples
from homespun.records import Message, Sampling
from homespun.sandbox.environments import NAMES
from homespun.serve.battle_room.contestants import UNKNOWN, shipped
from homespun.serve.battle_room.contestants_types import ContestantError, Ended
from homespun.serve.battle_room.prompts import system_prompt

EXAMPLE = examples()[0]


def talk(*texts: str) -> list[Message]:
    """A conversation: request, answer, request …"""
    roles = ("user", "assistant")
    turns = [Message(role=roles[at % 2], content=text) for at, text in enumerate(texts)]
    return [Message(role="system", content="be brief"), *turns]


def answer(name: str, messages: list[Message]) -> tuple[str, object]:
    contestant = {item.name: item for item in shipped()}[name]

    async def collect() -> tuple[str, object]:
        pieces = [piece async for piece in contestant.stream(messages, Sampling())]
        return "".join(piece for piece in pieces if isinstance(piece, str)), pieces[-1]

    return anyio.run(collect)


def test_scripted_contestant_knows_both_turns() -> None:
    first, ended = answer("scripted:loom", talk(EXAMPLE.prompt))
    assert isinstance(ended, Ended)
    assert "useState" in first
    second, _ = answer("scripted:loom", talk(f"  {EXAMPLE.prompt}\n", first, EXAMPLE.followup or ""))
    assert "emerald" in second
    assert second != first


def test_recorded_contestant_answers_with_its_program() -> None:
    problem = next(example for example in examples() if example.followup is None)
    assert "print(answer)" in answer("recorded:gpt-4", talk(problem.prompt))[0]


def test_what_is_not_on_file_is_said_without_a_name() -> None:
    for contestant in shipped():
        assert not contestant.knows(["something new"])
        with pytest.raises(ContestantError, match="no answer on record") as raised:
            answer(contestant.name, talk("something new"))
        assert raised.value.message == UNKNOWN
        assert contestant.title.lower() not in UNKNOWN


def test_names_and_titles_are_unique() -> None:
    names = [contestant.name for contestant in shipped()]
    assert len(set(names)) == len(names) >= 8


@pytest.mark.parametrize("name", ["auto", *NAMES])
def test_every_environment_has_a_prompt_of_its_own(name: str) -> None:
    text = system_prompt(name)
    assert "one fenced block" in text
    assert "no network" in text
    others = [system_prompt(other) for other in ("auto", *NAMES) if other != name]
    assert text not in others


def test_prompt_of_all_environments_names_each() -> None:
    text = system_prompt("auto")
    assert all(word in text for word in ("React", "Vue", "Gradio", "Streamlit", "PyGame", "Mermaid", "Rust", "HTML"))
    with pytest.raises(KeyError):
        system_prompt("desktop")
