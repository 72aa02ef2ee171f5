"""A stream of chat completion chunks as Anthropic's events.

Anthropic streams one content block after the other, each opened and closed; OpenAI streams deltas that may speak of
any tool call at any time. So the blocks stand in the order in which they were first spoken of, the foremost is
written as it grows, and what is said of those behind it waits until it is whole: text once something else follows,
a tool's input once it is a complete JSON object. Put together, the events are the message that `messages.from_chat`
makes of the whole completion; only text that comes after a tool call stays behind that call.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from homespun.serve.gateway import messages
from homespun.serve.gateway.types import Event, GatewayError

JSON = dict[str, Any]


@dataclass(slots=True)
class _Block:
    key: object = None
    """Which tool call; ``None``: text."""
    position: int = 0
    """Of the call among the calls."""
    id: str = ""
    name: str = ""
    said: list[str] = field(default_factory=list[str])
    """All of it so far."""
    written: int = 0
    """Pieces of ``said`` that are out."""
    checked: int = 0
    """Pieces that there were when it was last tried whether it is whole."""

    def whole(self) -> bool:
        """Whether nothing can come any more that matters."""
        if self.key is None:
            return True
        if self.checked == len(self.said):
            return False
        self.checked = len(self.said)
        try:
            return isinstance(orjson.loads("".join(self.said)), dict)
        except orjson.JSONDecodeError:
            return False


class MessagesStream:
    """Anthropic's events for the chunks of one completion.

    Args:
        model: Name of the model where the chunks have none.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._started = self._opened = self._refused = False
        self._blocks: list[_Block] = []
        """Those not yet closed; the first is being written."""
        self._calls: dict[object, _Block] = {}
        self._index = 0
        self._choice: JSON = {}
        self._usage: JSON | None = None

    def feed(self, event: Event) -> bytes:
        """The events that one chunk gives; may be none."""
        chunk = event.json
        out = b"" if self._started else self._start(chunk)
        if counted := chunk.get("usage"):
            self._usage = counted
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue  # a message has one choice
            self._hear(choice.get("delta") or {})
            if choice.get("finish_reason"):
                self._choice = choice
        return out + self._write(to_the_end=False)

    def end(self) -> bytes:
        """The events that close the last block and the message."""
        out = b"" if self._started else self._start({})
        out += self._write(to_the_end=True)
        reason, sequence = messages.stop_reason(self._choice, called=bool(self._calls), refused=self._refused)
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        out += _event("message_delta", delta=delta, usage=messages.usage(self._usage))
        return out + _event("message_stop")

    def fail(self, error: GatewayError) -> bytes:
        """The event of a stream that broke; the message stays open, so that nobody takes it for whole."""
        return b"event: error\ndata: " + orjson.dumps(messages.error_body(error)) + b"\n\n"

    def _start(self, chunk: JSON) -> bytes:
        self._started = True
        message = {
            "id": messages.message_id(chunk.get("id")),
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model") or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": messages.usage(chunk.get("usage")),
        }
        return _event("message_start", message=message) + _event("ping")

    def _hear(self, delta: JSON) -> None:
        if text := delta.get("content"):
            self._hear_text(text)
        if refusal := delta.get("refusal"):
            self._refused = True
            self._hear_text(refusal)
        for place, call in enumerate(delta.get("tool_calls") or ()):
            block = self._call(call, place)
            function: JSON = call.get("function") or {}
            block.id = block.id or call.get("id") or ""
            block.name = block.name or function.get("name") or ""
            if arguments := function.get("arguments"):
                block.said.append(arguments)

    def _hear_text(self, text: str) -> None:
        if not self._blocks or self._blocks[-1].key is not None:
            self._blocks.append(_Block())
        self._blocks[-1].said.append(text)

    def _call(self, call: JSON, place: int) -> _Block:
        """The block of a call; where a provider leaves the index out, calls are told apart by their id, then place."""
        key: object = call.get("index")
        if key is None:
            key = call.get("id") or (next(reversed(self._calls)) if self._calls else place)
        if key not in self._calls:
            self._calls[key] = _Block(key=(key,), position=len(self._calls))
            self._blocks.append(self._calls[key])
        return self._calls[key]

    def _write(self, *, to_the_end: bool) -> bytes:
        out: list[bytes] = []
        while self._blocks:
            block, last = self._blocks[0], len(self._blocks) == 1
            if not self._opened and block.key is not None and not block.name and not to_the_end:
                break  # a tool without its name says nothing yet
            out.append(self._grow(block))
            if not to_the_end and (last or not block.whole()):
                break
            out.append(_event("content_block_stop", index=self._index))
            self._opened = False
            self._index += 1
            del self._blocks[0]
        return b"".join(out)

    def _grow(self, block: _Block) -> bytes:
        out = b""
        if not self._opened:
            self._opened = True
            out = _event("content_block_start", index=self._index, content_block=_empty(block))
        fresh = "".join(block.said[block.written :])
        block.written = len(block.said)
        if not fresh:
            return out
        kind, name = ("text_delta", "text") if block.key is None else ("input_json_delta", "partial_json")
        return out + _event("content_block_delta", index=self._index, delta={"type": kind, name: fresh})


def _empty(block: _Block) -> JSON:
    if block.key is None:
        return messages.text_block("")
    return messages.tool_block({"id": block.id, "function": {"name": block.name}}, block.position)


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))
