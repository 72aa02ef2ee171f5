"""LangChain's chat model, unchanged, against the real command."""

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]


@pytest.fixture(params=["stub", "the-usual", "homespun/auto"])
def model(request: pytest.FixtureRequest, server: Any) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=request.param, base_url=server.url, api_key=server.key, max_retries=0, timeout=20)


def weather(place: str, days: int) -> str:
    """The weather of a place."""
    return f"{place}: {days}"


def test_invoke(model: Any) -> None:
    answer = model.invoke([("system", "Be short."), ("human", "hello there")])
    assert answer.content == "You said: hello there"
    assert answer.usage_metadata["output_tokens"] == 7


def test_stream(model: Any) -> None:
    chunks = list(model.stream("hello there"))
    assert "".join(chunk.content for chunk in chunks) == "You said: hello there"
    assert len(chunks) > 3 or "homespun" in model.model_name


def test_bound_tools(model: Any) -> None:
    answer = model.bind_tools([weather]).invoke("hello there")
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"place": "Bern", "days": 2})


def test_bound_tools_streamed(model: Any) -> None:
    first, *rest = model.bind_tools([weather]).stream("hello there")
    for chunk in rest:
        first += chunk
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"place": "Bern", "days": 2})
