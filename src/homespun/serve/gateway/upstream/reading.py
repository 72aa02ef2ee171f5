"""What an answer holds, whole or in events: is it one, is it complete, how much text, what usage."""

from collections.abc import Sequence
from typing import Any, cast

import orjson

from homespun.serve.gateway.types import Event
from homespun.serve.gateway.upstream.failure import Failed, reported

Body = dict[str, Any]

DONE = b"[DONE]"
CHAT, RESPONSES, EMBEDDINGS = "/chat/completions", "/responses", "/embeddings"
_RESPONSE_ENDS = ("response.completed", "response.incomplete")


def text_bytes(message: Any) -> int:
    """Bytes of what a message or delta says: text, refusal, thoughts, calls of tools."""
    if not isinstance(message, dict):
        return 0
    total = 0
    for name, value in cast("Body", message).items():
        if name == "role" or not value:
            continue
        if isinstance(value, str):
            total += len(value) if value.isascii() else len(value.encode(errors="replace"))
        elif isinstance(value, list | dict):
            total += len(orjson.dumps(value))
    return total


def whole(name: str, path: str, raw: bytes, secrets: Sequence[str] = ()) -> Body:
    """The JSON of a whole answer.

    Raises:
        Failed: garbage; what came is no answer.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Failed("garbage", f"{name} sent no JSON", arrived=len(raw)) from None
    if not isinstance(body, dict):
        raise Failed("garbage", f"{name} sent JSON that is no object", arrived=len(raw))
    if body.get("error") and not body.get("choices"):
        raise reported(name, body, secrets)
    if path == CHAT and not _has_choices(cast("Body", body).get("choices")):
        raise Failed("garbage", f"{name} sent an answer without choices", arrived=len(raw))
    if path == EMBEDDINGS and not isinstance(body.get("data"), list):
        raise Failed("garbage", f"{name} sent an answer without data", arrived=len(raw))
    if path == RESPONSES and not isinstance(body.get("output"), list):
        raise Failed("garbage", f"{name} sent an answer without output", arrived=len(raw))
    return cast("Body", body)


def _has_choices(choices: Any) -> bool:
    if not isinstance(choices, list) or not choices:
        return False
    return all(isinstance(c, dict) and isinstance(c.get("message"), dict) for c in cast("list[Any]", choices))


def whole_text_bytes(path: str, body: Body) -> int:
    """Bytes of text in a whole answer."""
    if path == CHAT:
        return sum(text_bytes(choice["message"]) for choice in body["choices"])
    return len(orjson.dumps(body["output"])) if path == RESPONSES else 0


class StreamReading:
    """Follows a stream's events: makes them JSON, and knows whether the stream has come to its end.

    Args:
        name: The target, for messages.
        path: Of the call.
        choices: Asked for.
        keep_usage: Whether the client asked for the event that holds nothing but usage.
        secrets: What must not appear in a message.
    """

    __slots__ = (
        "_finished",
        "_keep_usage",
        "_name",
        "_open",
        "_responses",
        "_secrets",
        "done",
        "events",
        "made",
        "usage",
    )

    def __init__(self, name: str, path: str, choices: int, *, keep_usage: bool, secrets: Sequence[str] = ()) -> None:
        self._name, self._responses, self._keep_usage = name, path == RESPONSES, keep_usage
        self._open = set(range(choices))
        self._finished: set[int] = set()
        self._secrets = secrets
        self.done = False
        """Whether the closing ``[DONE]`` came."""
        self.events = 0
        self.made = 0
        """Bytes of text so far."""
        self.usage: Any = None
        """As the provider sent it."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: the end was announced, or every choice gave its reason to finish."""
        return self.events > 0 and (self.done or not self._open)

    def take(self, data: bytes) -> Event | None:
        """One event's data; ``None`` if there is nothing to pass on.

        Raises:
            Failed: an error in the stream's place, or no JSON.
        """
        if data == DONE:
            self.done = True
            return None
        try:
            content = orjson.loads(data)
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict):
            raise Failed("garbage", f"{self._name} sent an event that is no JSON object", arrived=self.made)
        found = cast("Body", content)
        if found.get("error") or found.get("type") in ("error", "response.failed"):
            raise self._reported(found)
        self.events += 1
        if b"\n" in data:  # an event passed on is one line
            data = orjson.dumps(found)
        if self._responses:
            self._follow_response(found)
            return Event(data, found)
        return self._follow_chat(data, found)

    def _reported(self, content: Body) -> Failed:
        fault = content.get("error") or content.get("response") or content
        return reported(self._name, {"error": fault}, self._secrets, arrived=self.made)

    def _follow_chat(self, data: bytes, content: Body) -> Event | None:
        choices = content.get("choices")
        if usage := content.get("usage"):
            self.usage = usage
        if not choices:
            return Event(data, content) if self._keep_usage or not usage else None
        if not isinstance(choices, list):
            raise Failed("garbage", f"{self._name} sent an event whose choices are no list", arrived=self.made)
        for choice in cast("list[Any]", choices):
            if not isinstance(choice, dict):
                raise Failed("garbage", f"{self._name} sent a choice that is no object", arrived=self.made)
            self._follow_choice(cast("Body", choice))
        return Event(data, content)

    def _follow_choice(self, choice: Body) -> None:
        self.made += text_bytes(choice.get("delta"))
        index = choice.get("index", 0)
        if not isinstance(index, int):
            raise Failed("garbage", f"{self._name} sent a choice whose index is no number", arrived=self.made)
        if choice.get("finish_reason") is not None:
            self._finished.add(index)
            self._open.discard(index)
        elif index not in self._finished:
            self._open.add(index)

    def _follow_response(self, content: Body) -> None:
        kind = content.get("type")
        if kind in _RESPONSE_ENDS:
            self.done = True
            response = content.get("response")
            self.usage = cast("Body", response).get("usage") if isinstance(response, dict) else None
        elif isinstance(delta := content.get("delta"), str):
            self.made += len(delta.encode(errors="replace"))
