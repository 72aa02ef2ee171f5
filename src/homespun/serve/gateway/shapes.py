"""The shapes of requests and answers as JSON Schema, the same that `schema` checks by hand."""

from typing import Any

JSON = dict[str, Any]

STRING: JSON = {"type": "string"}
NAME: JSON = {"type": "string", "minLength": 1}
OBJECT: JSON = {"type": "object"}
BOOLEAN: JSON = {"type": "boolean"}
TOKENS: JSON = {"type": "integer", "minimum": 1, "maximum": 10_000_000}
COUNT: JSON = {"type": "integer", "minimum": 0}

# --- pieces -----------------------------------------------------------------------------------------------------


def _number(least: float, most: float) -> JSON:
    return {"type": "number", "minimum": least, "maximum": most}


def _integer(least: int, most: int) -> JSON:
    return {"type": "integer", "minimum": least, "maximum": most}


def _or_null(schema: JSON) -> JSON:
    return {"anyOf": [schema, {"type": "null"}]}


def _shape(required: JSON, optional: JSON | None = None) -> JSON:
    """An object; optional fields may be null, and unknown ones are allowed."""
    fields = required | {name: _or_null(schema) for name, schema in (optional or {}).items()}
    return {"type": "object", "required": list(required), "properties": fields}


def _list(items: JSON, *, least: int = 0, most: int | None = None) -> JSON:
    bounds = ({"minItems": least} if least else {}) | ({} if most is None else {"maxItems": most})
    return {"type": "array", "items": items, **bounds}


def _kinds(field: str, known: dict[str, JSON], *, others: bool = True) -> JSON:
    """Objects told apart by a field; others than those known pass unless told."""
    variants: list[JSON] = []
    for kind, schema in known.items():
        required, properties = [field, *schema.get("required", ())], {field: {"const": kind}, **schema["properties"]}
        variants.append({**schema, "required": required, "properties": properties})
    if others:
        rest = NAME | ({"not": {"enum": list(known)}} if known else {})
        variants.append({"type": "object", "required": [field], "properties": {field: rest}})
    return {"anyOf": variants}


def _text_or(items: JSON, *, least: int = 1) -> JSON:
    return {"anyOf": [STRING, _list(items, least=least)]}


def ref(name: str) -> JSON:
    """A reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


# --- requests ---------------------------------------------------------------------------------------------------

_PART = _kinds("type", {
    "text": _shape({"text": STRING}),
    "refusal": _shape({"refusal": STRING}),
    "image_url": _shape({"image_url": _shape({"url": NAME})}),
    "input_audio": _shape({"input_audio": _shape({"data": STRING, "format": STRING})}),
    "file": _shape({"file": OBJECT}),
})  # fmt: skip
_CALL = _kinds("type", {
    "function": _shape({"id": STRING, "function": _shape({"name": NAME, "arguments": STRING})}),
    "custom": _shape({"id": STRING, "custom": OBJECT}),
})  # fmt: skip
_CONTENT = _text_or(ref("ContentPart"))
_CALLS = _list(ref("ToolCall"))
_SAID: JSON = {"not": {"type": "null"}}
_ASSISTANT = _shape({}, {"content": _CONTENT, "tool_calls": _CALLS}) | {
    "anyOf": [
        {"required": ["content"], "properties": {"content": _CONTENT}},
        {"required": ["tool_calls"], "properties": {"tool_calls": {**_CALLS, "minItems": 1}}},
        *({"required": [name], "properties": {name: _SAID}} for name in ("function_call", "refusal", "audio")),
    ]
}
_MESSAGE = _kinds(
    "role",
    {
        "user": _shape({"content": _CONTENT}),
        "assistant": _ASSISTANT,
        "system": _shape({"content": _CONTENT}),
        "tool": _shape({"content": _CONTENT, "tool_call_id": STRING}),
        "developer": _shape({"content": _CONTENT}),
        "function": _shape({"name": NAME}),
    },
    others=False,
)
_TOOL = _kinds("type", {
    "function": _shape({"function": _shape({"name": NAME}, {"description": STRING, "parameters": OBJECT})})
})  # fmt: skip
_CHOICE: JSON = {
    "anyOf": [
        {"enum": ["none", "auto", "required"]},
        _kinds("type", {"function": _shape({"function": _shape({"name": NAME})})}),
    ]
}
_FORMAT = _kinds("type", {
    "json_schema": _shape({"json_schema": _shape({"name": NAME}, {"schema": OBJECT, "strict": BOOLEAN})})
})  # fmt: skip
_CHAT = _shape(
    {"model": NAME, "messages": _list(ref("ChatMessage"), least=1)},
    {
        "stream": BOOLEAN,
        "stream_options": _shape({}, {"include_usage": BOOLEAN}),
        "n": _integer(1, 128),
        "temperature": _number(0, 2),
        "top_p": _number(0, 1),
        "max_tokens": TOKENS,
        "max_completion_tokens": TOKENS,
        "presence_penalty": _number(-2, 2),
        "frequency_penalty": _number(-2, 2),
        "logprobs": BOOLEAN,
        "top_logprobs": _integer(0, 20),
        "seed": _integer(-(2**63), 2**63 - 1),
        "stop": {"anyOf": [STRING, _list(STRING, most=4)]},
        "tools": _list(ref("Tool")),
        "tool_choice": _CHOICE,
        "parallel_tool_calls": BOOLEAN,
        "response_format": _FORMAT,
        "metadata": OBJECT,
        "logit_bias": OBJECT,
        "user": STRING,
    },
) | {
    "anyOf": [
        {"required": ["stream"], "properties": {"stream": {"const": True}}},
        {"properties": {"stream_options": {"type": "null"}}},
    ]
}
_EMBEDDINGS = _shape(
    {
        "model": NAME,
        "input": {
            "anyOf": [
                STRING,
                _list(STRING, least=1, most=2048),
                _list({"type": "integer"}, least=1),
                _list(_list({"type": "integer"}, least=1), least=1, most=2048),
            ]
        },
    },
    {"encoding_format": {"enum": ["float", "base64"]}, "dimensions": _integer(1, 1_000_000), "user": STRING},
)
_RESPONSES = _shape(
    {"model": NAME, "input": _text_or(OBJECT)},
    {
        "instructions": STRING,
        "stream": BOOLEAN,
        "max_output_tokens": TOKENS,
        "temperature": _number(0, 2),
        "top_p": _number(0, 1),
        "tools": _list(_kinds("type", {})),
        "metadata": OBJECT,
        "previous_response_id": STRING,
    },
)
_DATA = _shape({"media_type": STRING, "data": STRING})
_BLOCKS: dict[str, JSON] = {
    "text": _shape({"text": STRING}),
    "image": _shape({"source": _kinds("type", {"base64": _DATA, "url": _shape({"url": NAME})})}),
    "document": _shape(
        {"source": _kinds("type", {"base64": _DATA, "text": _shape({"data": STRING})})}, {"title": STRING}
    ),
    "tool_use": _shape({"id": NAME, "name": NAME, "input": OBJECT}),
}
_RESULT = _shape({"tool_use_id": NAME}, {"content": _text_or(ref("ContentBlock"), least=0)})
_TEXTS = _text_or(_kinds("type", {"text": _BLOCKS["text"]}, others=False))
_TURN_CONTENT = _text_or(ref("TurnBlock"))
_CUSTOM_TOOL: JSON = {
    "anyOf": [
        _shape({"name": NAME, "input_schema": OBJECT}, {"type": {"const": "custom"}, "description": STRING}),
        {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"not": {"anyOf": [{"const": "custom"}, {"type": "null"}]}}},
        },
    ]
}
_MESSAGES = _shape(
    {
        "model": NAME,
        "max_tokens": TOKENS,
        "messages": _list(
            _kinds(
                "role",
                {
                    "user": _shape({"content": _TURN_CONTENT}),
                    "assistant": _shape({"content": _TURN_CONTENT}),
                    "system": _shape({"content": _TEXTS}),
                },
                others=False,
            ),
            least=1,
        ),
    },
    {
        "system": _TEXTS,
        "stream": BOOLEAN,
        "stop_sequences": _list(STRING, most=4),
        "temperature": _number(0, 1),
        "top_p": _number(0, 1),
        "top_k": _integer(0, 2**31 - 1),
        "tools": _list(_CUSTOM_TOOL),
        "tool_choice": _kinds("type", {"tool": _shape({"name": NAME})}),
        "metadata": _shape({}, {"user_id": STRING}),
        "output_config": _shape({}, {"effort": STRING, "format": _kinds("type", {})}),
        "service_tier": STRING,
    },
)

_FEEDBACK: JSON = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {**NAME, "maxLength": 200, "pattern": "^[A-Za-z0-9_-]+$", "description": "x-request-id of the answer."},
        "score": _or_null(_number(0, 1)),
        "thumb": _or_null({"enum": ["up", "down"]}),
        "detail": _or_null({"type": "string", "maxLength": 500, "pattern": "^[^\\u0000]*$"}),
    },
    "additionalProperties": False,
    "oneOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in ("score", "thumb")],
}

# --- answers ----------------------------------------------------------------------------------------------------

_USAGE = _shape({"prompt_tokens": COUNT, "total_tokens": COUNT}, {"completion_tokens": COUNT})
_COMPLETION = _shape(
    {
        "id": STRING,
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": STRING,
        "choices": _list(
            _shape(
                {
                    "index": COUNT,
                    "message": _shape(
                        {"role": {"const": "assistant"}}, {"content": STRING, "tool_calls": _list(ref("ToolCall"))}
                    ),
                },
                {"finish_reason": STRING},
            )
        ),
    },
    {"usage": _USAGE},
)
_EMBEDDED = _shape(
    {
        "object": {"const": "list"},
        "model": STRING,
        "data": _list(
            _shape({"index": COUNT, "embedding": {"anyOf": [_list({"type": "number"}), STRING]}}),
        ),
    },
    {"usage": _USAGE},
)
_RESPONSE = _shape({"id": STRING, "object": {"const": "response"}}, {"output": _list(OBJECT), "usage": OBJECT})
_REPLY = _shape(
    {
        "id": STRING,
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": STRING,
        "content": _list(ref("ContentBlock")),
        "usage": _shape(dict.fromkeys(("input_tokens", "output_tokens", "cache_read_input_tokens"), COUNT)),
    },
    {"stop_reason": STRING, "stop_sequence": STRING},
)
_ERROR = _shape({"error": _shape({"message": STRING, "type": STRING}, {"param": STRING, "code": STRING})})
_ANTHROPIC_ERROR = _shape(
    {"type": {"const": "error"}, "error": _shape({"type": STRING, "message": STRING})},
)

SCHEMAS: dict[str, JSON] = {
    "ContentPart": _PART,
    "ToolCall": _CALL,
    "Tool": _TOOL,
    "ChatMessage": _MESSAGE,
    "ChatCompletionRequest": _CHAT,
    "ChatCompletion": _COMPLETION,
    "EmbeddingsRequest": _EMBEDDINGS,
    "Embeddings": _EMBEDDED,
    "ResponsesRequest": _RESPONSES,
    "Response": _RESPONSE,
    "ContentBlock": _kinds("type", _BLOCKS),
    "TurnBlock": _kinds("type", {**_BLOCKS, "tool_result": _RESULT}),
    "MessagesRequest": _MESSAGES,
    "Message": _REPLY,
    "FeedbackRequest": _FEEDBACK,
    "Error": _ERROR,
    "AnthropicError": _ANTHROPIC_ERROR,
}
