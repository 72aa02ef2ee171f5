"""Parts of the switchboard by themselves: order of tiers, break-even, what escalates, checks, what can be compared."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.router.judges import Panel
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.routes import answers, checks
from homespun.serve.gateway.routes import ask as asked
from homespun.serve.gateway.routes.answers import Answer
from homespun.serve.gateway.routes.plan import HALF_LIFE, Escalations, Tier, ladder, saving


def tier(name: str, cost: float, quality: float | None = None) -> Tier:
    return Tier(Target(name=name, kind="scripted", model="echo"), cost, quality)


def names(tiers) -> list[str]:
    return [each.target.name for each in tiers]


def test_dominated_tiers_are_dropped_and_the_rest_climbs_in_price() -> None:
    tiers = [tier("dear", 9, 0.9), tier("bad", 3, 0.4), tier("cheap", 1, 0.5), tier("good", 4, 0.8)]
    assert names(ladder(tiers, 3)) == ["cheap", "good", "dear"]
    assert names(ladder(tiers, 3, start=tiers[3])) == ["good", "dear"]
    assert names(ladder(tiers, 1)) == ["cheap"]


TIERS = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), min_size=1, max_size=8)


@pytest.mark.slow
@given(TIERS, st.integers(1, 5))
def test_laws_of_the_ladder(numbers, most) -> None:
    tiers = [tier(str(i), *pair) for i, pair in enumerate(numbers)]
    found = ladder(tiers, most)
    assert 1 <= len(found) <= most
    assert len(set(names(found))) == len(found)
    costs, qualities = [each.cost for each in found], [each.quality for each in found]
    assert costs == sorted(costs)
    assert qualities == sorted(qualities)  # who costs more and stayed is better
    best = max(each.quality for each in tiers)
    if most > 1:
        assert qualities[-1] == best
    assert costs[0] == min(each.cost for each in tiers)


@given(st.floats(0.01, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_the_saving_is_the_expected_cost_less_the_strong_tier(strong, share, went, judging) -> None:
    cheap = share * strong
    cascade = cheap + judging * strong + went * strong
    assert saving(cheap, strong, went, judging * strong) == pytest.approx(1 - cascade / strong)


def test_free_tiers_save_nothing() -> None:
    assert saving(0, 0, 0, 0) == 0


def test_escalations_start_at_the_prior_follow_what_is_seen_and_fade() -> None:
    now = [0.0]
    seen = Escalations(clock=lambda: now[0])
    assert seen.rate("c", "t") == 0.3
    for went in (True, False, False, False):
        seen.note("c", "t", went_on=went)
    assert seen.rate("c", "t") == pytest.approx((1 + 3) / (4 + 10))
    assert seen.rate("other", "t") == seen.rate("c", "other") == 0.3
    now[0] = HALF_LIFE
    assert seen.rate("c", "t") == pytest.approx((0.5 + 3) / (2 + 10))
    now[0] = 50 * HALF_LIFE
    assert seen.rate("c", "t") == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("42", "42.0"),
        ("So it is:\n" + "x" * 90 + "\nthe total is $1,200.", "1200"),
        ('{"b": 1, "a": 2}', '{"a":2,"b":1}'),
    ],
)
def test_what_can_be_compared(text: str, same: str) -> None:
    assert answers.comparable(text) == answers.comparable(same) is not None


@pytest.mark.parametrize("text", ["", "A long essay. " * 20, "[" * 50_000, "{not json"])
def test_what_cannot(text: str) -> None:
    assert answers.comparable(text) is None


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "message", "content", "tool_calls", "function", "arguments", "name", "logprobs", "text",
             "messages", "role", "tools", "response_format", "type", "json_schema", "schema", "parameters", "refusal"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.slow
@given(ODD, ODD)
def test_whatever_comes_in_nothing_breaks(request, reply) -> None:
    body = request if isinstance(request, dict) else {"messages": request, "tools": request}
    found = answers.read({"choices": [reply]} if not isinstance(reply, dict) else reply)
    assert isinstance(found.text, str)
    listed = checks.hard_checks(body, found)
    assert all(check.passed is not False for check in listed[:-1])
    for look in (asked.question, asked.awaits_tool, asked.carries_tools, asked.single_only, asked.wants_json):
        look(body)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(), "empty"),
        (Answer(text="x", finish="length"), "truncated"),
        (Answer(text="x", finish="content_filter"), "refused"),
        (Answer(text="I cannot assist with that request."), "refused"),
        (Answer(refusal="no"), "refused"),
        (Answer(text="2 + 2 = 5"), "2 + 2 is not 5"),
        (Answer(text="```py\nreturn (\n```"), "does not compile"),
    ],
)
def test_what_is_certainly_wrong(answer: Answer, why: str) -> None:
    assert why in (checks.veto(checks.hard_checks({}, answer)) or "")


@pytest.mark.parametrize(
    "text", ["2 + 2 = 4", "```python\nx = 1\n```", "I cannot say who was first, but it was in 1901.", "Sorry, yes."]
)
def test_what_is_not(text: str) -> None:
    assert checks.veto(checks.hard_checks({}, Answer(text=text))) is None


def test_a_schema_with_a_runaway_pattern_or_a_remote_reference_asks_for_nothing_or_ends_at_once() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    form = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    text = json.dumps({"a": "a" * 5000 + "!"})
    assert "does not match" in (checks.veto(checks.hard_checks(form, Answer(text=text))) or "")
    schema["properties"]["a"] = {"$ref": "https://example.com/x.json"}
    assert checks.veto(checks.hard_checks(form, Answer(text=text))) is None


def test_a_panel_is_settled_when_those_who_can_still_speak_cannot_change_it() -> None:
    panel = Panel(mode="weighted", weights=np.array([0, 0.25, 0.15, 0.25, 0.2]), ece=1.0)
    row = np.array([np.nan, np.nan, np.nan, 0.0, np.nan])
    assert not panel.settled(row, 0.7)  # three others could outweigh it
    assert panel.settled(row, 0.7, able=[False, True, False, True, False])
    assert panel.settled(np.array([np.nan, np.nan, np.nan, 0.9, np.nan]), 0.7, able=[False] * 5)
