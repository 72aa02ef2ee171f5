"""A whole completion split into events and put together again is the same completion."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from homespun.serve.gateway.chunks import Assembler, split

text = st.text(max_size=20)
call = st.fixed_dictionaries(
    {
        "id": text.filter(bool),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": text, "arguments": text}),
    }
)
message = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | text}, optional={"tool_calls": st.lists(call, min_size=1)}
)
finish = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])


@st.composite
def bodies(draw: Any) -> dict[str, Any]:
    choices = draw(st.lists(st.tuples(message, finish), min_size=1, max_size=3))
    return {
        "id": "x",
        "created": 1,
        "model": "m",
        "object": "chat.completion",
        "choices": [{"index": i, "message": said, "finish_reason": reason} for i, (said, reason) in enumerate(choices)],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


@given(bodies())
def test_split_and_assembled_is_the_same(body):
    whole = Assembler()
    for event in split(body, usage=True):
        whole.feed(event.json)
    assert whole.body == body
    assert whole.text == (body["choices"][0]["message"]["content"] or "")


@given(bodies())
def test_usage_comes_only_when_it_is_asked_for(body):
    assert not any("usage" in event.json for event in split(body))
    assert split(body, usage=True)[-1].json["usage"] == body["usage"]


def test_argument_deltas_are_joined_by_index():
    whole = Assembler()
    for part in (
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}},
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    ):
        whole.feed({"choices": [{"index": 0, "delta": {"tool_calls": [part]}, "finish_reason": None}]})
    calls = whole.body["choices"][0]["message"]["tool_calls"]
    assert [(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in calls] == [
        ("a", "f", '{"x": 1}'),
        ("b", "g", ""),
    ]


def test_logprobs_are_joined():
    whole = Assembler()
    for token in ("a", "b"):
        piece = {"index": 0, "delta": {"content": token}, "logprobs": {"content": [{"token": token, "logprob": -1.0}]}}
        whole.feed({"choices": [piece]})
    assert [row["token"] for row in whole.body["choices"][0]["logprobs"]["content"]] == ["a", "b"]
    assert whole.text == "ab"


def test_a_huge_or_missing_index_costs_nothing():
    whole = Assembler()
    for index in (10**9, None, "x"):
        part = {"index": index, "id": str(index), "function": {"name": "f"}}
        whole.feed({"choices": [{"index": 0, "delta": {"tool_calls": [part]}}]})
    calls = whole.body["choices"][0]["message"]["tool_calls"]
    assert [one["id"] for one in calls] == ["None", "x", "1000000000"]
