"""What is asked of the switchboard, and what of it the routes look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

Body = dict[str, Any]


class RouterVersion(NamedTuple):
    """A fitted router with its share of the traffic."""

    version: str
    path: Path | str
    share: float


@dataclass(slots=True)
class Ask:
    """One request for a ``homespun/…`` model."""

    request_id: str
    body: Body
    """The client's JSON for chat completions."""
    stream: bool
    dial: str
    """quality, balanced, economy, or auto for the one of the settings."""
    deadline: float
    """Loop time at which everything must have ended."""
    key_id: str | None = None
    conversation: str | None = None
    previous: str | None = None
    """Arm (or target) that answered the conversation's last turn."""
    budget: int | None = None
    """Nanodollars left; ``None``: no limit."""
    problem: Mapping[str, str] | None = None
    """Who knows: ``{"task": …, "id": …}`` of a recorded problem."""


def question(body: Body) -> str:
    """Text of the last message of the user: what is routed by."""
    for message in reversed(_messages(body)):
        if message.get("role") == "user":
            return content_text(message.get("content"))
    return ""


def content_text(content: Any) -> str:
    """The text of a message's content, whether it is a text or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(text for text in parts if isinstance(text, str))


def awaits_tool(body: Body) -> bool:
    """Whether the last message is the result of a tool, so that the arm which called it must go on."""
    messages = _messages(body)
    if not messages:
        return False
    last = messages[-1]
    content = last.get("content")
    parts = content if isinstance(content, list) else ()
    results = any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)
    return last.get("role") in ("tool", "function") or results


def carries_tools(body: Body) -> bool:
    """Whether tools are offered, or their results are among the messages."""
    offered = bool(body.get("tools") or body.get("functions"))
    return offered or any(message.get("role") in ("tool", "function") for message in _messages(body))


def single_only(body: Body) -> bool:
    """Whether the answer cannot be judged or voted on: tools, several choices, or sound."""
    return carries_tools(body) or body.get("n") not in (None, 1) or "audio" in (body.get("modalities") or ())


def wants_json(body: Body) -> bool:
    """Whether the answer must be JSON."""
    form = body.get("response_format")
    return isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")


def wants_usage(body: Body) -> bool:
    """Whether a stream ends with its usage."""
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def named_problem(ask: Ask) -> Mapping[str, str] | None:
    """The recorded problem that the client named, in the ask or in the body's metadata."""
    if ask.problem is not None:
        return ask.problem
    metadata = ask.body.get("metadata")
    if isinstance(metadata, dict) and all(isinstance(metadata.get(name), str) for name in ("task", "id")):
        return {"task": metadata["task"], "id": metadata["id"]}
    return None


def forwarded(ask: Ask) -> Body:
    """The body as upstreams get it: a problem's name is ours alone."""
    body = dict(ask.body)
    if named_problem(ask) is not None and isinstance(body.get("metadata"), dict):
        rest = {name: value for name, value in body["metadata"].items() if name not in ("task", "id")}
        if rest:
            body["metadata"] = rest
        else:
            del body["metadata"]
    return body


def _messages(body: Body) -> list[Body]:
    messages = body.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
