"""OpenAI's Responses API for targets that only speak chat completions.

A target with the capability ``responses`` gets the request as it is. For the others, and for ``homespun/…``, what a
chat completion can say is translated: texts, pictures, files, functions and their results, JSON by schema. What it
cannot is refused by name: state kept on a server (``previous_response_id``), and tools that run there.
"""

import time
from collections.abc import Mapping
from typing import Any, NoReturn

from homespun.serve.gateway import checks, schema
from homespun.serve.gateway.types import GatewayError

JSON = dict[str, Any]

STATE = ("previous_response_id", "conversation", "prompt", "background")
OWN_FIELDS = frozenset({
    *STATE, "input", "instructions", "max_output_tokens", "tools", "tool_choice", "text", "reasoning", "store",
    "include", "truncation", "stream_options", "max_tool_calls", "context_management",
})  # fmt: skip
"""Fields that chat completions don't know: translated, refused or left out."""
REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def _cannot(what: str, param: str) -> NoReturn:
    hint = "a target with the capability 'responses' is needed, or POST /v1/chat/completions."
    raise GatewayError(400, f"{what} has no place in a chat completion; {hint}", code="model_not_able", param=param)


# --- the request ------------------------------------------------------------------------------------------------


def to_chat(body: Mapping[str, Any]) -> JSON:
    """The chat completion request that means the same. ``body`` has passed `schema.check_responses`.

    Raises:
        GatewayError: 400 for what chat completions cannot say.
    """
    for name in STATE:
        if body.get(name):
            _cannot(repr(name), name)
    chat: JSON = {name: value for name, value in body.items() if name not in OWN_FIELDS and value is not None}
    chat["messages"] = _messages(body)
    if (most := body.get("max_output_tokens")) is not None:
        chat["max_tokens"] = most
    if tools := body.get("tools"):
        chat["tools"] = [_tool(tool, position) for position, tool in enumerate(tools)]
    if (choice := body.get("tool_choice")) is not None:
        chat["tool_choice"] = choice if isinstance(choice, str) else _choice(choice)
    _configure(chat, body)
    if chat.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    schema.check_chat(chat)
    return chat


def _messages(body: Mapping[str, Any]) -> list[JSON]:
    said: list[JSON] = []
    if instructions := body.get("instructions"):
        said.append({"role": "system", "content": instructions})
    given = body["input"]
    if isinstance(given, str):
        return [*said, {"role": "user", "content": given}]
    for position, item in enumerate(given):
        _add(said, item, f"input[{position}]")
    return said


def _add(said: list[JSON], item: JSON, param: str) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        content = item.get("content")
        parts = content if isinstance(content, str) else [_part(part, param) for part in checks.list_(content, param)]
        said.append({"role": item.get("role"), "content": _plain(parts)})
    elif kind == "function_call":
        function = {"name": item.get("name"), "arguments": item.get("arguments")}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        if said and said[-1]["role"] == "assistant":
            said[-1].setdefault("tool_calls", []).append(call)
        else:
            said.append({"role": "assistant", "content": None, "tool_calls": [call]})
    elif kind == "function_call_output":
        output = item.get("output")
        parts = output if isinstance(output, str) else [_part(part, param) for part in checks.list_(output, param)]
        said.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": _plain(parts)})
    elif kind != "reasoning":
        _cannot(f"An item of type {str(kind)[:60]!r}", param)


def _plain(parts: str | list[JSON]) -> str | list[JSON]:
    """One piece of text stands as a string, which every provider understands."""
    return parts[0]["text"] if not isinstance(parts, str) and len(parts) == 1 and "text" in parts[0] else parts


def _part(part: Any, param: str) -> JSON:
    checks.object_(part, f"{param}.content")
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.get("text")}
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if kind == "input_image" and part.get("image_url"):
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind == "input_file" and part.get("file_data"):
        return {"type": "file", "file": {name: part[name] for name in ("filename", "file_data") if part.get(name)}}
    _cannot(f"Content of type {str(kind)[:60]!r}", f"{param}.content")


def _tool(tool: JSON, position: int) -> JSON:
    if tool["type"] != "function":
        _cannot(f"A tool of type {tool['type'][:60]!r}", f"tools[{position}]")
    fields = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in fields if tool.get(name) is not None}}


def _choice(choice: Any) -> JSON:
    checks.object_(choice, "tool_choice")
    if choice.get("type") != "function":
        _cannot("This choice", "tool_choice")
    return {"type": "function", "function": {"name": choice.get("name")}}


def _configure(chat: JSON, body: Mapping[str, Any]) -> None:
    for name in ("text", "reasoning"):
        checks.optional(checks.object_)(body.get(name), name)
    wanted = (body.get("text") or {}).get("format")
    checks.optional(checks.object_)(wanted, "text.format")
    if wanted and wanted.get("type") == "json_schema":
        described = {name: wanted[name] for name in ("name", "schema", "strict") if wanted.get(name) is not None}
        chat["response_format"] = {"type": "json_schema", "json_schema": described}
    elif wanted and wanted.get("type") == "json_object":
        chat["response_format"] = {"type": "json_object"}
    if effort := (body.get("reasoning") or {}).get("effort"):
        chat["reasoning_effort"] = effort


# --- the answer -------------------------------------------------------------------------------------------------


def from_chat(body: Mapping[str, Any], asked: Mapping[str, Any]) -> JSON:
    """The response that a chat completion stands for; of several choices, the first."""
    choice: JSON = next(iter(body.get("choices") or ()), {})
    message: JSON = choice.get("message") or {}
    identity = suffix(body.get("id"))
    output: list[JSON] = []
    if text := message.get("content"):
        output.append(message_item(identity, text))
    elif refusal := message.get("refusal"):
        output.append(message_item(identity, refusal, refusal=True))
    output += (call_item(identity, position, call) for position, call in enumerate(message.get("tool_calls") or ()))
    created = int(body.get("created") or time.time())
    head = response(identity, created, body.get("model") or asked.get("model", ""), asked)
    return ended(head, output, choice.get("finish_reason"), body.get("usage"))


def suffix(identity: object) -> str:
    """What is one's own of a completion's id."""
    return identity.removeprefix("chatcmpl-") if isinstance(identity, str) else ""


def response(identity: str, created: int, model: str, asked: Mapping[str, Any]) -> JSON:
    """A response at its beginning, with what was asked."""
    told = {"instructions": None, "metadata": {}, "temperature": None, "top_p": None, "max_output_tokens": None}
    return {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": asked.get("tools") or [],
        "usage": None,
        **{name: asked.get(name) or empty for name, empty in told.items()},
    }


def ended(head: JSON, output: list[JSON], finish: str | None, counted: Mapping[str, Any] | None) -> JSON:
    """The response at its end."""
    reason = REASONS.get(finish or "stop")
    return head | {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": usage(counted),
    }


def message_item(identity: str, text: str, *, refusal: bool = False, done: bool = True) -> JSON:
    """An item of text."""
    content = [text_part(text, refusal=refusal)] if done else []
    status = "completed" if done else "in_progress"
    return {"id": f"msg_{identity}", "type": "message", "role": "assistant", "status": status, "content": content}


def text_part(text: str, *, refusal: bool = False) -> JSON:
    """The content of an item of text."""
    if refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def call_item(identity: str, position: int, call: JSON, *, done: bool = True) -> JSON:
    """An item that calls a function."""
    function: JSON = call.get("function") or {}
    return {
        "id": f"fc_{identity}_{position}",
        "type": "function_call",
        "status": "completed" if done else "in_progress",
        "call_id": call.get("id") or f"call_{position}",
        "name": function.get("name") or "",
        "arguments": (function.get("arguments") or "") if done else "",
    }


def usage(counted: Mapping[str, Any] | None) -> JSON | None:
    """Tokens under the names of this API; unknown stays unknown."""
    if not counted:
        return None
    given, made = counted.get("prompt_tokens") or 0, counted.get("completion_tokens") or 0
    cached = (counted.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    thought = (counted.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": given + made,
    }
