"""A stream of chat completion chunks as the events of the Responses API.

Its items carry an index, so that several may grow at once: a delta is passed on as it comes. An item opens when it is
first spoken of (a call, when its name is known), and all close at the end.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from homespun.serve.gateway import responses
from homespun.serve.gateway.types import Event, GatewayError

JSON = dict[str, Any]


@dataclass(slots=True)
class _Item:
    index: int = -1
    """Where it stands in the output; -1: not yet opened."""
    position: int = 0
    """Of a call among the calls."""
    call_id: str = ""
    name: str = ""
    said: str = ""
    refusal: bool = False


class ResponsesStream:
    """The events for the chunks of one completion.

    Args:
        asked: The client's request.
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self._asked = asked
        self._head: JSON = {}
        self._identity = ""
        self._number = 0
        self._opened: list[_Item] = []
        self._text: _Item | None = None
        self._calls: dict[object, _Item] = {}
        self._finish: str | None = None
        self._usage: JSON | None = None

    def feed(self, event: Event) -> bytes:
        """The events that one chunk gives; may be none."""
        chunk = event.json
        out = b"" if self._head else self._start(chunk)
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue  # a response has one choice
            self._finish = choice.get("finish_reason") or self._finish
            delta: JSON = choice.get("delta") or {}
            for name in ("content", "refusal"):
                if delta.get(name):
                    out += self._hear_text(delta[name], refusal=name == "refusal")
            for place, call in enumerate(delta.get("tool_calls") or ()):
                out += self._hear_call(call, place)
        return out

    def end(self) -> bytes:
        """The events that close every item and the response."""
        out = b"" if self._head else self._start({})
        for item in self._calls.values():
            out += self._open_call(item) if item.index < 0 else b""
        items = [self._whole(item) for item in self._opened]
        for item, whole in zip(self._opened, items, strict=True):
            out += self._close(item, whole)
        done = responses.ended(self._head, items, self._finish, self._usage)
        return out + self._event(f"response.{done['status']}", response=done)

    def fail(self, error: GatewayError) -> bytes:
        """The event of a stream that broke; none says that the response is complete."""
        return self._event("error", code=error.code, message=error.message, param=error.param)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = orjson.dumps({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def _start(self, chunk: JSON) -> bytes:
        self._identity = responses.suffix(chunk.get("id"))
        model = chunk.get("model") or self._asked.get("model", "")
        created = int(chunk.get("created") or time.time())
        self._head = responses.response(self._identity, created, model, self._asked)
        return self._event("response.created", response=self._head) + self._event(
            "response.in_progress", response=self._head
        )

    def _open(self, item: _Item, shape: JSON) -> bytes:
        item.index = len(self._opened)
        self._opened.append(item)
        return self._event("response.output_item.added", output_index=item.index, item=shape)

    def _open_call(self, item: _Item) -> bytes:
        call = {"id": item.call_id, "function": {"name": item.name}}
        out = self._open(item, responses.call_item(self._identity, item.position, call, done=False))
        return out + (self._arguments(item, item.said) if item.said else b"")

    def _hear_text(self, text: str, *, refusal: bool) -> bytes:
        out = b""
        if self._text is None:
            self._text = item = _Item(refusal=refusal)
            out = self._open(item, responses.message_item(self._identity, "", done=False))
            part = responses.text_part("", refusal=refusal)
            out += self._event("response.content_part.added", **self._place(item), part=part)
        self._text.said += text
        kind = "refusal" if self._text.refusal else "output_text"
        extra: JSON = {} if self._text.refusal else {"logprobs": []}
        return out + self._event(f"response.{kind}.delta", **self._place(self._text), delta=text, **extra)

    def _hear_call(self, call: JSON, place: int) -> bytes:
        key: object = call.get("index")
        if key is None:
            key = call.get("id") or (next(reversed(self._calls)) if self._calls else place)
        item = self._calls.setdefault(key, _Item(position=len(self._calls)))
        function: JSON = call.get("function") or {}
        item.call_id = item.call_id or call.get("id") or ""
        item.name = item.name or function.get("name") or ""
        fresh = function.get("arguments") or ""
        item.said += fresh
        if item.index < 0:
            return self._open_call(item) if item.name else b""
        return self._arguments(item, fresh) if fresh else b""

    def _arguments(self, item: _Item, fresh: str) -> bytes:
        identity = f"fc_{self._identity}_{item.position}"
        kind = "response.function_call_arguments.delta"
        return self._event(kind, item_id=identity, output_index=item.index, delta=fresh)

    def _place(self, item: _Item) -> JSON:
        return {"item_id": f"msg_{self._identity}", "output_index": item.index, "content_index": 0}

    def _whole(self, item: _Item) -> JSON:
        if item is self._text:
            return responses.message_item(self._identity, item.said, refusal=item.refusal)
        call = {"id": item.call_id, "function": {"name": item.name, "arguments": item.said}}
        return responses.call_item(self._identity, item.position, call)

    def _close(self, item: _Item, whole: JSON) -> bytes:
        if item is self._text:
            (part,) = whole["content"]
            done: JSON = {"refusal": item.said} if item.refusal else {"text": item.said, "logprobs": []}
            kind = "refusal" if item.refusal else "output_text"
            out = self._event(f"response.{kind}.done", **self._place(item), **done)
            out += self._event("response.content_part.done", **self._place(item), part=part)
        else:
            fields = {"item_id": whole["id"], "output_index": item.index, "name": item.name, "arguments": item.said}
            out = self._event("response.function_call_arguments.done", **fields)
        return out + self._event("response.output_item.done", output_index=item.index, item=whole)
