"""Anthropic's Messages API in OpenAI's terms, and back.

The gateway speaks chat completions inside; a client of ``/v1/messages`` is translated at the door. What has no
counterpart: thinking blocks (dropped both ways), prompt caching marks (providers of chat completions cache by
themselves), and tools that Anthropic runs on its own servers (refused). Fields that Anthropic doesn't know go through
as they are. Shapes follow the public description of both APIs, as their official Python clients type them.
"""

from collections.abc import Mapping
from typing import Any, cast

import orjson
from pydantic_core import from_json

from homespun.serve.gateway.types import GatewayError

JSON = dict[str, Any]

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
SERVICE_TIERS = {"auto": "auto", "standard_only": "default"}
OWN_FIELDS = frozenset({
    "system", "messages", "stop_sequences", "tools", "tool_choice", "metadata", "output_config", "service_tier",
    "thinking", "cache_control", "container", "context_management", "mcp_servers", "diagnostics", "inference_geo",
    "speed", "betas",
})  # fmt: skip
"""Fields that only Anthropic's servers understand: translated or left out, never passed on."""


# --- the request ------------------------------------------------------------------------------------------------


def to_chat(body: Mapping[str, Any]) -> JSON:
    """The chat completion request that means the same. ``body`` has passed `schema.check_messages`.

    Raises:
        GatewayError: 400 for what chat completions cannot say, such as a tool that runs on Anthropic's servers.
    """
    chat: JSON = {name: value for name, value in body.items() if name not in OWN_FIELDS and value is not None}
    chat["messages"] = [*_system(body.get("system")), *(part for turn in body["messages"] for part in _turn(turn))]
    if not chat["messages"]:
        raise GatewayError(400, "The messages are empty.", param="messages")
    if stops := body.get("stop_sequences"):
        chat["stop"] = stops
    if tools := body.get("tools"):
        chat["tools"] = [_tool(tool, position) for position, tool in enumerate(tools)]
    _choose(chat, body.get("tool_choice"))
    metadata = dict(body.get("metadata") or {})
    if user := metadata.pop("user_id", None):
        chat["user"] = user
    if metadata:
        chat["metadata"] = metadata
    if (tier := SERVICE_TIERS.get(body.get("service_tier") or "")) is not None:
        chat["service_tier"] = tier
    _configure(chat, body.get("output_config") or {})
    if chat.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    return chat


def _choose(chat: JSON, choice: JSON | None) -> None:
    if choice is None:
        return
    if choice.get("type") == "tool":
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif chosen := TOOL_CHOICES.get(choice.get("type", "")):
        chat["tool_choice"] = chosen
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False


def _configure(chat: JSON, output: JSON) -> None:
    if (effort := EFFORTS.get(output.get("effort") or "")) is not None:
        chat["reasoning_effort"] = effort
    wanted = output.get("format") or {}
    if wanted.get("type") == "json_schema":
        described = {"name": "answer", "schema": wanted.get("schema", {}), "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": described}


def _tool(tool: JSON, position: int) -> JSON:
    if tool.get("type") not in (None, "custom"):
        kind = str(tool.get("type"))[:60]
        what = f"tools[{position}]: {kind!r} is a tool that Anthropic defines; only custom tools work here."
        raise GatewayError(400, what, param="tools")
    function: JSON = {"name": tool["name"], "parameters": tool["input_schema"]}
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _system(system: str | list[JSON] | None) -> list[JSON]:
    text = system if isinstance(system, str) else "\n".join(block["text"] for block in system or ())
    return [{"role": "system", "content": text}] if text else []


def _turn(turn: JSON) -> list[JSON]:
    role, content = turn["role"], turn["content"]
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if role == "assistant":
        return [_assistant(content)]
    if role == "system":
        return _system(content)
    answers: list[JSON] = []
    parts: list[JSON] = []
    for block in content:
        if block["type"] == "tool_result":
            answer, seen = _tool_answer(block)
            answers.append(answer)
            parts += seen
        else:
            parts.append(_part(block))
    return [*answers, *([{"role": role, "content": _plain(parts)}] if parts else [])]


def _plain(parts: list[JSON]) -> str | list[JSON]:
    """One piece of text stands as a string, which every provider understands."""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _assistant(content: list[JSON]) -> JSON:
    text = "".join(block["text"] for block in content if block["type"] == "text")
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": orjson.dumps(block["input"]).decode()},
        }
        for block in content
        if block["type"] == "tool_use"
    ]
    message: JSON = {"role": "assistant", "content": text or (None if calls else "")}
    return message | {"tool_calls": calls} if calls else message


def _tool_answer(block: JSON) -> tuple[JSON, list[JSON]]:
    """The tool's message, and the pictures in it, which only a user's message may carry."""
    content = block.get("content") or ""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else [_part(part) for part in content]
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    text = f"Error: {text}" if block.get("is_error") else text
    message = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}
    return message, [part for part in parts if part["type"] != "text"]


def _part(block: JSON) -> JSON:
    kind = block["type"]
    source = block["source"] if kind in ("image", "document") else {}
    where = source.get("type")
    if kind == "text":
        return {"type": "text", "text": block["text"]}
    if kind == "image" and where in ("base64", "url"):
        return {"type": "image_url", "image_url": {"url": _url(source)}}
    if kind == "document" and where == "text":
        return {"type": "text", "text": source["data"]}
    if kind == "document" and where == "base64":
        name = block.get("title") or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": _url(source)}}
    what = f"{kind} ({where})" if where else kind
    hint = "text, image (base64, url), document (text, base64), tool_use and tool_result do."
    raise GatewayError(
        400, f"Content of type {str(what)[:60]!r} has no place in a chat completion; {hint}", param="messages"
    )


def _url(source: JSON) -> str:
    if source["type"] == "url":
        return source["url"]
    return f"data:{source['media_type']};base64,{source['data']}"


# --- the answer -------------------------------------------------------------------------------------------------


def from_chat(body: Mapping[str, Any], asked: Mapping[str, Any] | None = None) -> JSON:
    """The message that a chat completion stands for; of several choices, the first.

    Args:
        body: The completion.
        asked: The client's request, for its model's name where the completion has none.
    """
    choice: JSON = next(iter(body.get("choices") or ()), {})
    message: JSON = choice.get("message") or {}
    text = (message.get("content") or "") + (message.get("refusal") or "")
    calls = list(message.get("tool_calls") or ())
    content: list[JSON] = [text_block(text)] if text else []
    content += (tool_block(call, position) for position, call in enumerate(calls))
    reason, sequence = stop_reason(choice, called=bool(calls), refused=bool(message.get("refusal")))
    return {
        "id": message_id(body.get("id")),
        "type": "message",
        "role": "assistant",
        "model": body.get("model") or (asked or {}).get("model", ""),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage(body.get("usage")),
    }


def message_id(identity: object) -> str:
    """An id in Anthropic's manner from that of a completion."""
    text = identity if isinstance(identity, str) else ""
    return text if text.startswith("msg_") else f"msg_{text.removeprefix('chatcmpl-')}"


def text_block(text: str) -> JSON:
    """A block of text."""
    return {"type": "text", "text": text}


def tool_block(call: JSON, position: int) -> JSON:
    """The block of a tool's call, with the input that its arguments spell."""
    function: JSON = call.get("function") or {}
    identity = call.get("id") or f"toolu_{position}"
    name, given = function.get("name") or "", arguments_input(function.get("arguments") or "")
    return {"type": "tool_use", "id": identity, "name": name, "input": given}


def arguments_input(arguments: str) -> JSON:
    """The object that a call's arguments spell; of arguments that were cut short, as much as there is.

    What is no object at all is kept as ``{"arguments": text}``, so that nothing is lost and the type holds.
    """
    if not arguments.strip():
        return {}
    try:
        found = from_json(arguments, allow_partial=True, allow_inf_nan=False)
    except ValueError:
        found = None
    return cast(JSON, found) if isinstance(found, dict) else {"arguments": arguments}


def stop_reason(choice: Mapping[str, Any], *, called: bool, refused: bool) -> tuple[str, str | None]:
    """Why a message ended, with the stop sequence where the provider names it (vLLM does, in ``stop_reason``)."""
    finish = choice.get("finish_reason")
    if refused:
        return "refusal", None
    if finish in (None, "stop") and called:
        return "tool_use", None
    matched = choice.get("stop_reason")
    if finish == "stop" and isinstance(matched, str):
        return "stop_sequence", matched
    return STOP_REASONS.get(finish or "stop", "end_turn"), None


def usage(counted: Mapping[str, Any] | None) -> dict[str, int]:
    """Tokens in Anthropic's split: what was read from a cache is not a part of ``input_tokens``."""
    counted = counted or {}
    prompt = counted.get("prompt_tokens") or 0
    cached = min(prompt, (counted.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
    return {
        "input_tokens": prompt - cached,
        "output_tokens": counted.get("completion_tokens") or 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }


# --- errors -----------------------------------------------------------------------------------------------------


def error_body(error: GatewayError) -> JSON:
    """The JSON that Anthropic's clients understand."""
    kind = ERROR_TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}}
