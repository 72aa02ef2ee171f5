"""Every reply of the shipped file gives exactly the program that was expected of it."""

import json
from importlib import resources

import pytest

from homespun.sandbox.reply import Found, NoProgram, read_reply

TEXT = resources.files("homespun.data").joinpath("replies/replies.jsonl").read_text(encoding="utf-8")
REPLIES = [json.loads(line) for line in TEXT.split("\n") if line]
LANGUAGES = {"python", "javascript", "typescript", "html", "c", "c++", "java", "go", "rust", "markdown"}
ENVIRONMENTS = {"react", "vue", "core_web", "gradio", "streamlit", "pygame", "mermaid", "interpreter"}


@pytest.mark.parametrize("reply", REPLIES, ids=[reply["id"] for reply in REPLIES])
def test_reply(reply: dict) -> None:
    found = read_reply(reply["text"])
    if reply["environment"] is None:
        assert isinstance(found, NoProgram)
        assert found.reason
        return
    assert isinstance(found, Found), found
    assert (found.environment, found.language) == (reply["environment"], reply["language"])
    needed = [dependency.model_dump(include={"kind", "name", "version"}) for dependency in found.dependencies]
    key = lambda each: (each["kind"], each["name"])  # noqa: E731
    assert sorted(needed, key=key) == sorted(reply["dependencies"], key=key)
    assert set(found.reasons) == {"language", "environment", "block", "dependencies"}


def test_the_file_covers_all_languages_and_environments() -> None:
    assert len(REPLIES) >= 120
    assert {reply["language"] for reply in REPLIES} - {None} == LANGUAGES
    assert {reply["environment"] for reply in REPLIES} - {None} == ENVIRONMENTS
    for environment in ENVIRONMENTS:
        assert sum(reply["environment"] == environment for reply in REPLIES) >= 4
    for language in LANGUAGES:
        assert sum(reply["language"] == language for reply in REPLIES) >= 4
