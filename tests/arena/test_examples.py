"""The example battles that ship: every reply holds the program that its prompt asks for."""

import json

import pytest

from homespun import data
from homespun.arena.examples import SCRIPTED, examples, recorded_contestants, recorded_replies, scripted_replies
from homespun.sandbox.environments import NAMES
from homespun.sandbox.reply import Found, read_reply


def test_every_environment_has_an_example_with_a_second_request() -> None:
    scripted = [example for example in examples() if example.followup]
    assert {example.environment for example in scripted} == set(NAMES)
    assert len({example.id for example in examples()}) == len(examples())


@pytest.mark.parametrize("contestant", SCRIPTED)
def test_scripted_replies_hold_the_program_that_is_asked_for(contestant: str) -> None:
    replies = scripted_replies(contestant)
    for example in examples():
        if example.followup is None:
            continue
        for turn in (1, 2):
            found = read_reply(replies[example.id, turn])
            assert isinstance(found, Found)
            assert found.environment == example.environment, (example.id, turn)
        assert replies[example.id, 1] != replies[example.id, 2]


def test_contestants_differ_and_never_name_themselves() -> None:
    loom, wheel = (scripted_replies(name) for name in SCRIPTED)
    assert all(loom[key] != wheel[key] for key in loom)
    for name in SCRIPTED:
        texts = " ".join(scripted_replies(name).values()).lower().replace("warp the loom", "")
        assert name not in texts, "a name in a reply voids the vote"


def test_changes_belong_to_replies_that_ship() -> None:
    known = {f"{example.id}.{name}" for example in examples() for name in SCRIPTED}
    assert set(json.loads(data.path("battles/changes.json").read_text())) <= known


def test_recorded_models_answer_the_word_problems_with_programs() -> None:
    problems = [example.prompt for example in examples() if example.followup is None]
    assert problems
    for model in recorded_contestants():
        replies = recorded_replies(model)
        assert len(replies) > 1000
        for prompt in problems:
            found = read_reply(replies[prompt])
            assert isinstance(found, Found)
            assert found.language == "python"
            assert found.code.rstrip().endswith("print(answer)")


def test_unknown_contestant() -> None:
    with pytest.raises(KeyError):
        scripted_replies("jenny")
