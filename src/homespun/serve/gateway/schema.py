"""Requests are checked by hand before anything is spent: a few microseconds each, and the first fault is named.

`openapi.document` says the same as JSON Schema; the tests hold the two against each other on generated requests.
Unknown fields and unknown kinds of content are the upstream's business and pass.
"""

import re
from typing import Any

from homespun.serve.gateway.checks import (
    Check,
    boolean,
    fields,
    integer,
    list_,
    list_of,
    name,
    needs,
    number,
    object_,
    one_of,
    optional,
    shape,
    string,
    typed,
    wrong,
)
from homespun.serve.gateway.openapi import document
from homespun.serve.gateway.types import GatewayError

__all__ = ["check_chat", "check_embeddings", "check_messages", "check_responses", "depth", "document"]

MOST_TOKENS = 10_000_000
"""No answer is longer; keeps what a request could cost within 64 bits."""
MOST_CHOICES = 128
MOST_INPUTS = 2048
STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string, or what would be one if it ended: to the end of the data, so that nothing is looked at twice."""
NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
ONE_KIND = bytes.maketrans(b"{}", b"[]")


def depth(raw: bytes, most: int) -> None:
    """Refuses JSON that is nested deeper than ``most``, before anything parses it.

    Whoever has no more brackets than that is let through at once; else strings are cut out, brackets made one kind,
    and the innermost pairs peeled off, one level a round. What is left without a pair is no JSON, and the parser's.

    Raises:
        GatewayError: 400, too deep.
    """
    if raw.count(b"[") + raw.count(b"{") <= most:
        return
    brackets = STRING.sub(b"", raw).translate(ONE_KIND, NOT_BRACKETS)
    for _ in range(most):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) == before:
            break
    if b"[]" in brackets or brackets.count(b"[") > most:
        raise GatewayError(400, f"The body is nested deeper than {most} levels.", code="too_deep")


# --- chat completions -------------------------------------------------------------------------------------------


_part = typed({
    "text": needs(text=string),
    "refusal": needs(refusal=string),
    "image_url": needs(image_url=shape(url=name)),
    "input_audio": needs(input_audio=shape(data=string, format=string)),
    "file": needs(file=object_),
})  # fmt: skip
_parts = list_of(_part)
_calls = list_of(
    typed({
        "function": needs(id=string, function=shape(name=name, arguments=string)),
        "custom": needs(id=string, custom=object_),
    }),
    empty=True,
)  # fmt: skip
_tools = list_of(
    typed({
        "function": needs(
            function=shape(name=name, description=optional(string), parameters=optional(object_))
        )
    }),
    empty=True,
)  # fmt: skip
_format = typed({
    "json_schema": needs(json_schema=shape(name=name, schema=optional(object_), strict=optional(boolean)))
})  # fmt: skip


def _content(value: Any, param: str) -> None:
    if type(value) is not str:
        _parts(value, param)


def _spoken(message: Any, param: str) -> None:
    _content(message.get("content"), f"{param}.content")


def _assistant(message: Any, param: str) -> None:
    calls = message.get("tool_calls")
    if calls is not None:
        _calls(calls, f"{param}.tool_calls")
    content = message.get("content")
    if content is not None:
        _content(content, f"{param}.content")
    elif not calls and not any(message.get(name) is not None for name in ("function_call", "refusal", "audio")):
        wrong(f"{param}.content", "an assistant's message needs content or tool_calls")


def _tool_message(message: Any, param: str) -> None:
    string(message.get("tool_call_id"), f"{param}.tool_call_id")
    _spoken(message, param)


def _function_message(message: Any, param: str) -> None:
    name(message.get("name"), f"{param}.name")


_ROLES: dict[str, Check] = {
    "user": _spoken,
    "assistant": _assistant,
    "system": _spoken,
    "tool": _tool_message,
    "developer": _spoken,
    "function": _function_message,
}


def _turns(roles: dict[str, Check]) -> Check:
    def check(value: Any, param: str) -> None:
        for position, message in enumerate(list_(value, param)):
            where = f"{param}[{position}]"
            object_(message, where)
            role = message.get("role")
            inner = roles.get(role) if type(role) is str else None
            if inner is None:
                wrong(f"{where}.role", f"expected one of {', '.join(roles)}")
            inner(message, where)

    return check


_stops = list_of(string, most=4, empty=True)


def _stop(value: Any, param: str) -> None:
    if type(value) is not str:
        _stops(value, param)


def _choice(value: Any, param: str) -> None:
    if type(value) is str:
        one_of("none", "auto", "required")(value, param)
    else:
        typed({"function": needs(function=shape(name=name))})(value, param)


_CHAT: dict[str, Check] = {
    "model": name,
    "messages": _turns(_ROLES),
    "stream": boolean,
    "stream_options": shape(include_usage=optional(boolean)),
    "n": integer(1, MOST_CHOICES),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "max_tokens": integer(1, MOST_TOKENS),
    "max_completion_tokens": integer(1, MOST_TOKENS),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "logprobs": boolean,
    "top_logprobs": integer(0, 20),
    "seed": integer(-(2**63), 2**63 - 1),
    "stop": _stop,
    "tools": _tools,
    "tool_choice": _choice,
    "parallel_tool_calls": boolean,
    "response_format": _format,
    "metadata": object_,
    "logit_bias": object_,
    "user": string,
}


def check_chat(body: Any) -> None:
    """A body of ``/v1/chat/completions``.

    Raises:
        GatewayError: 400 with the field that is wrong.
    """
    fields(body, ("model", "messages"), _CHAT)
    if body.get("stream_options") is not None and not body.get("stream"):
        wrong("stream_options", "it is only allowed when stream is true")


# --- the others -------------------------------------------------------------------------------------------------


def _input(value: Any, param: str) -> None:
    """One text, several texts, one text as tokens, or several as tokens."""
    if type(value) is str:
        return
    given = list_(value, param)
    kinds = set[type](map(type, given))
    if len(kinds) > 1 or not kinds <= {str, int, list}:
        wrong(param, "expected one text, several texts, tokens, or several lists of tokens")
    if int not in kinds and len(given) > MOST_INPUTS:
        wrong(param, f"at most {MOST_INPUTS} are allowed, got {len(given)}", "array_above_max_length")
    if list in kinds and not all(set[type](map(type, tokens)) == {int} for tokens in given):
        wrong(param, "every list must hold tokens, at least one")


_EMBEDDINGS: dict[str, Check] = {
    "model": name,
    "input": _input,
    "encoding_format": one_of("float", "base64"),
    "dimensions": integer(1, 1_000_000),
    "user": string,
}


def check_embeddings(body: Any) -> None:
    """A body of ``/v1/embeddings``.

    Raises:
        GatewayError: 400 with the field that is wrong.
    """
    fields(body, ("model", "input"), _EMBEDDINGS)


def _items(value: Any, param: str) -> None:
    if type(value) is not str:
        list_of(object_)(value, param)


_RESPONSES: dict[str, Check] = {
    "model": name,
    "input": _items,
    "instructions": string,
    "stream": boolean,
    "max_output_tokens": integer(1, MOST_TOKENS),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "tools": list_of(typed({}), empty=True),
    "metadata": object_,
    "previous_response_id": string,
}


def check_responses(body: Any) -> None:
    """A body of ``/v1/responses``.

    Raises:
        GatewayError: 400 with the field that is wrong.
    """
    fields(body, ("model", "input"), _RESPONSES)


_source = typed({"base64": needs(media_type=string, data=string), "url": needs(url=name)})
_block = typed({
    "text": needs(text=string),
    "image": needs(source=_source),
    "document": needs(
        source=typed({"base64": needs(media_type=string, data=string), "text": needs(data=string)}),
        title=optional(string),
    ),
    "tool_use": needs(id=name, name=name, input=object_),
})  # fmt: skip


def _blocks(value: Any, param: str) -> None:
    if type(value) is not str:
        list_of(_block)(value, param)


def _result_block(value: Any, param: str) -> None:
    _block(value, param)
    if value["type"] == "tool_result":
        name(value.get("tool_use_id"), f"{param}.tool_use_id")
        if (content := value.get("content")) is not None and content != []:
            _blocks(content, f"{param}.content")


def _said(message: Any, param: str) -> None:
    content = message.get("content")
    if type(content) is not str:
        list_of(_result_block)(content, f"{param}.content")


def _texts(value: Any, param: str) -> None:
    if type(value) is not str:
        for position, block in enumerate(list_(value, param)):
            shape(type=one_of("text"), text=string)(block, f"{param}[{position}]")


def _system_turn(message: Any, param: str) -> None:
    _texts(message.get("content"), f"{param}.content")


def _custom_tool(value: Any, param: str) -> None:
    object_(value, param)
    if value.get("type") in (None, "custom"):
        needs(name=name, input_schema=object_, description=optional(string))(value, param)


_MESSAGES: dict[str, Check] = {
    "model": name,
    "messages": _turns({"user": _said, "assistant": _said, "system": _system_turn}),
    "max_tokens": integer(1, MOST_TOKENS),
    "system": _texts,
    "stream": boolean,
    "stop_sequences": _stops,
    "temperature": number(0, 1),
    "top_p": number(0, 1),
    "top_k": integer(0, 2**31 - 1),
    "tools": list_of(_custom_tool, empty=True),
    "tool_choice": typed({"tool": needs(name=name)}),
    "metadata": shape(user_id=optional(string)),
    "output_config": shape(effort=optional(string), format=optional(typed({}))),
    "service_tier": string,
}


def check_messages(body: Any) -> None:
    """A body of ``/v1/messages``.

    Raises:
        GatewayError: 400 with the field that is wrong.
    """
    fields(body, ("model", "messages", "max_tokens"), _MESSAGES)
