"""Requests as the models in this process take them, and their answers as OpenAI's clients know them."""

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from pydantic import ValidationError

from homespun.records import Message, Prompt, Sample, Sampling
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import new_id
from homespun.serve.gateway.upstream.failure import Failed
from homespun.serve.gateway.upstream.reading import CHAT
from homespun.serve.gateway.upstream.source import Body, Request
from homespun.serve.gateway.upstream.usage import most_output

MOST_CHOICES = 16
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
FINISH = {"stop": "stop", "length": "length", "filter": "content_filter"}
_NEUTRAL: dict[str, Callable[[Any], bool]] = {
    "tools": lambda value: not value,
    "functions": lambda value: not value,
    "tool_choice": lambda value: value in ("none", "auto"),
    "function_call": lambda value: value in ("none", "auto"),
    "response_format": lambda value: isinstance(value, dict) and cast("Body", value).get("type") == "text",
    "modalities": lambda value: value == ["text"],
    "logit_bias": lambda value: not value,
    "presence_penalty": lambda value: value == 0,
    "frequency_penalty": lambda value: value == 0,
    "top_logprobs": lambda value: value in (0, 1),
}
"""Fields that change an answer in ways these models cannot, with the values that ask for nothing."""


def refused(message: str, *, status: int = 400, code: str = "unsupported_value", param: str | None = None) -> Failed:
    """The client's error."""
    error = Failed("status", message, status=status, code=code, then="final", faulty=False)
    error.kind, error.param = "invalid_request_error", param
    return error


def prompt(target: Target, request: Request, *, task: str | None = None, problem: str = "") -> Prompt:
    """The request as a prompt.

    Raises:
        Failed: 400; the request asks for what these models cannot do.
    """
    body = request.body
    if request.path != CHAT:
        raise refused(f"{target.name} answers chat completions only.", param="model")
    for field, neutral in _NEUTRAL.items():
        if body.get(field) is not None and not neutral(body[field]):
            raise refused(f"{target.name} does not support {field!r}; leave it out.", param=field)
    try:
        return Prompt(
            id=new_id("prompt"),
            problem_id=problem,
            strategy=target.strategy or "chat",
            messages=tuple(_message(target, message) for message in body.get("messages") or ()),
            sampling=_sampling(target, body),
            task=task,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise refused(f"{field}: {first['msg']}", code="invalid_value", param=field) from None


def choices(body: Body) -> int:
    """How many choices are asked for.

    Raises:
        Failed: 400; too many, or no number.
    """
    wanted = body.get("n")
    if wanted is None:
        return 1
    if type(wanted) is not int or not 1 <= wanted <= MOST_CHOICES:
        raise refused(f"n must be a whole number from 1 to {MOST_CHOICES}.", code="invalid_value", param="n")
    return wanted


def _message(target: Target, message: Any) -> Message:
    row = cast("Body", message) if isinstance(message, dict) else {}
    role = ROLES.get(str(row.get("role")))
    if role is None or row.get("tool_calls"):
        raise refused(f"{target.name} does not take messages of tools.", param="messages")
    return Message.model_validate({"role": role, "content": _text(target, row.get("content"))})


def _text(target: Target, content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts: list[str] = []
    for part in cast("list[Any]", content) if isinstance(content, list) else [None]:
        text = cast("Body", part).get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise refused(f"{target.name} reads text only.", param="messages")
        texts.append(text)
    return "\n".join(texts)


def _sampling(target: Target, body: Body) -> Sampling:
    stop = body.get("stop") or ()
    temperature, share = body.get("temperature"), body.get("top_p")
    return Sampling(
        temperature=1.0 if temperature is None else temperature,
        top_p=1.0 if share is None else share,
        max_tokens=min(most_output(body) or target.max_output, target.context),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        seed=body.get("seed"),
        logprobs=bool(body.get("logprobs")),
    )


def completion(target: Target, samples: Sequence[Sample]) -> Body:
    """Samples as a chat completion; its usage is the sum of theirs."""
    given, made = (sum(getattr(sample.cost, name) for sample in samples) for name in ("input_tokens", "output_tokens"))
    return {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": target.name,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": sample.text},
                "finish_reason": FINISH.get(sample.finish, "stop"),
                "logprobs": None,
            }
            for index, sample in enumerate(samples)
        ],
        "usage": {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made},
    }
