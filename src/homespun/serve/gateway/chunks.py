"""A whole chat completion as the events of a stream, and the events of a stream as a whole chat completion."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson

from homespun.serve.gateway.types import Event

Body = dict[str, Any]


def event(content: Body) -> Event:
    """One event of these contents."""
    return Event(orjson.dumps(content), content)


def split(body: Body, *, usage: bool = False) -> list[Event]:
    """The events that stream a whole completion: role, content, tool calls, the reason to finish; usage on request."""
    head = {
        "id": body.get("id", "chatcmpl"),
        "object": "chat.completion.chunk",
        "created": body.get("created", 0),
        "model": body.get("model", ""),
    }
    events: list[Event] = []
    for choice in body["choices"]:
        message = choice["message"]
        delta: Body = {"role": message.get("role", "assistant"), "content": message.get("content")}
        delta |= {name: value for name, value in message.items() if name not in ("role", "content", "tool_calls")}
        if message.get("tool_calls"):
            delta["tool_calls"] = [{"index": i, **call} for i, call in enumerate(message["tool_calls"])]
        piece: Body = {"index": choice.get("index", 0), "delta": delta, "finish_reason": None}
        if choice.get("logprobs") is not None:
            piece["logprobs"] = choice["logprobs"]
        events.append(event({**head, "choices": [piece]}))
        last = {"index": choice.get("index", 0), "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
        events.append(event({**head, "choices": [last]}))
    if usage and body.get("usage"):
        events.append(event({**head, "choices": [], "usage": body["usage"]}))
    return events


async def replay(body: Body, *, usage: bool = False) -> AsyncGenerator[Event]:
    """The same as the events of an upstream's stream."""
    for one in split(body, usage=usage):
        yield one


class Assembler:
    """Puts the events of a stream together; `body` is the whole completion."""

    def __init__(self) -> None:
        self._head: Body = {}
        self._choices: dict[int, Body] = {}
        self._usage: Body | None = None

    def feed(self, content: Body) -> None:
        """Takes the JSON of one event."""
        if not self._head:
            self._head = {name: content.get(name) for name in ("id", "created", "model")}
        self._usage = content.get("usage") or self._usage
        for piece in content.get("choices") or ():
            choice = self._choices.setdefault(
                piece.get("index", 0), {"message": {"role": "assistant", "content": None}}
            )
            self._add(choice, piece.get("delta") or {})
            choice["finish_reason"] = piece.get("finish_reason") or choice.get("finish_reason")
            if logprobs := piece.get("logprobs"):
                kept = choice.setdefault("logprobs", {})
                for name, rows in logprobs.items():
                    kept[name] = (kept.get(name) or []) + (rows or [])

    @staticmethod
    def _add(choice: Body, delta: Body) -> None:
        message = choice["message"]
        for name, value in delta.items():
            if name == "tool_calls":
                for part in value or ():
                    _add_call(choice.setdefault("calls", {}), part)
            elif name in ("content", "refusal", "reasoning_content") and isinstance(value, str):
                message[name] = (message.get(name) or "") + value
            elif name != "role" and value is not None:
                message[name] = value

    @property
    def text(self) -> str:
        """The first choice's content so far."""
        return (self._choices.get(0, {}).get("message", {}).get("content")) or ""

    @property
    def body(self) -> Body:
        """The completion that the events told of."""
        choices = [{"index": index, **_whole(self._choices[index])} for index in sorted(self._choices)]
        body = {**self._head, "object": "chat.completion", "choices": choices}
        return body if self._usage is None else body | {"usage": self._usage}


def _add_call(calls: dict[int, Body], part: Body) -> None:
    index = part.get("index")
    place = index if isinstance(index, int) else len(calls)
    call = calls.setdefault(place, {"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
    function = part.get("function") or {}
    call["id"] = part.get("id") or call["id"]
    call["type"] = part.get("type") or call["type"]
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _whole(choice: Body) -> Body:
    """A choice with its tool calls in the order of their index, whatever numbers the upstream gave them."""
    calls: dict[int, Body] = choice.get("calls", {})
    rest = {name: value for name, value in choice.items() if name != "calls"}
    if not calls:
        return rest
    return rest | {"message": choice["message"] | {"tool_calls": [calls[index] for index in sorted(calls)]}}
