"""Scripts: which rule answers, what it says, when it is used up; and names of models."""

import json

import pytest

from homespun.errors import ConfigError
from homespun.models import Model, model, names
from homespun.models.scripted import Rule, Scripted, scripted
from homespun.runs.cost import Rates

pytestmark = pytest.mark.anyio


async def test_the_first_rule_that_matches_answers(ask):
    double = Scripted([Rule(match="France", replies=("Paris", "Lyon")), Rule(replies=("no idea",))])
    assert [row.text for row in await double.sample(ask("capital of France?"), 3)] == ["Paris", "Lyon", "Paris"]
    assert [row.text for row in await double.sample(ask("capital of Chad?"))] == ["no idea"]
    assert double.calls == 2


async def test_a_rule_is_used_up(ask):
    rules = [Rule(status=429, retry_after=2, times=1), Rule(error="gone", times=1), Rule(strategy="cot")]
    double = Scripted(rules)
    first, second, third = [(await double.sample(ask()))[0] for _ in range(3)]
    assert (first.status, first.retryable, first.retry_after, first.error) == (429, True, 2, "status 429")
    assert (second.retryable, second.error) == (False, "gone")
    assert third.finish == "stop"


async def test_no_rule_is_a_row_with_a_reason(ask):
    [row] = await Scripted([Rule(strategy="pot")]).sample(ask())
    assert (row.finish, row.error) == ("error", "no rule of the script matches")


async def test_costs_are_at_most_the_worst_case(ask):
    rates = Rates(input=1, cached_input=1, output=2)
    double = Scripted([Rule(replies=("abcdefgh", "a"))], rates=rates)
    rows = await double.sample(ask("12345678"), 2)
    assert sum(row.cost.dollars for row in rows) == pytest.approx((2 + 2 * 2 + 2 + 1 * 2) / 1e6)
    assert sum(row.cost.dollars for row in rows) <= double.worst_case(ask("12345678"), 2)


async def test_a_script_is_a_file(ask, tmp_path):
    file = tmp_path / "double.json"
    file.write_text(json.dumps([{"match": "^Hi", "replies": ["you said {prompt}"]}]))
    [row] = await model(f"scripted:{file}").sample(ask("Hi there"))
    assert (row.text, row.model) == ("you said Hi there", "scripted:double")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"match": "("}]', '[{"replys": []}]', '[{"delay": -1}]'])
async def test_a_file_that_is_no_script_is_one_line(content, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"bad\.json") as caught:
        scripted(str(file))
    assert "\n" not in str(caught.value)


async def test_every_name_stands_for_a_model(ask):
    for name in names():
        assert isinstance(model(name), Model)
        assert model(name).name == name
    [row] = await model("scripted:echo").sample(ask("ping"))
    assert row.text == "ping"


async def test_an_endpoint_is_named_by_its_address():
    assert model("http://127.0.0.1:9/v1#llama", api_key="").name == "http://127.0.0.1:9/v1#llama"
    assert model("openai:gpt-9", api_key="", base_url="https://api.openai.com/v1").name == "openai:gpt-9"


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("recorded:gpt4", "gpt-4"),
        ("gpt-4", "recorded:gpt-4"),
        ("locale:smollm2", "local:smollm2"),
        ("recorded:", "recorded:gpt-4"),
        ("", "openai:MODEL"),
        ("http://host/v1", "#"),
        ("scripted:nothing", "echo"),
        ("local:llama", "smollm2"),
    ],
)
async def test_a_name_for_nothing_is_refused_with_close_ones(spec, hint):
    with pytest.raises(ConfigError) as caught:
        model(spec)
    assert hint in str(caught.value)
