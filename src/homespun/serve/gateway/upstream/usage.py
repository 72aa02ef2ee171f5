"""Tokens of a call: what the provider says, believed only where it can be true, else our estimate.

What can be true is known beforehand: a byte-level vocabulary needs at most one token for each byte of the request,
and an answer holds at most the tokens that were asked for. A count beyond that would be paid from a budget that never
set it aside; such a report is not believed as a whole.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, cast

import orjson

from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import Usage

Body = Mapping[str, Any]

TEMPLATE_TOKENS = 64
"""What a chat template may add to a prompt (a default system message among them)."""
TOOL_TEMPLATE_TOKENS = 1024
"""What a provider's own instructions for tools may add; Anthropic's documentation names up to 530."""
IMAGE_TOKENS = 48_169
"""The most that one image costs: 2,833 + 8 tiles of 5,667 each, gpt-4o-mini at high detail (OpenAI, "Images and
vision", calculating costs)."""
TYPICAL_IMAGE_TOKENS = 765
"""One image of 1024 by 1024 at high detail under gpt-4o (the same page)."""
BYTES_PER_TOKEN = 4
EMBEDDING_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})


class Bound:
    """The most tokens that one call can use."""

    __slots__ = ("input", "output")

    def __init__(self, given: int, made: int) -> None:
        self.input, self.output = given, made


def bound(target: Target, body: Body, size: int | None = None) -> Bound:
    """The most tokens that an answer to ``body`` can use at ``target``, prompt and answer apart.

    Args:
        target: Its context caps both.
        body: Of the request.
        size: Bytes of the body as JSON, where they are known already.
    """
    if size is None:
        size = len(orjson.dumps(body))
    given = size + TEMPLATE_TOKENS
    if body.get("tools") or body.get("functions"):
        given += TOOL_TEMPLATE_TOKENS
    if found := parts(body):
        given += IMAGE_TOKENS * sum(map(is_image, found))
    given = min(given, target.context)
    if embeds(target, body):
        return Bound(given, 0)
    limit = most_output(body)
    made = target.context if limit is None else min(limit, target.context)
    choices = body.get("n")
    if type(choices) is int and choices > 1:
        made *= choices
    if body.get("prediction"):  # rejected tokens of a prediction are billed as output
        made += size
    return Bound(given, made)


def most_output(body: Body) -> int | None:
    """Tokens that the client allows for one answer; ``None`` where it says nothing."""
    limits = [body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")]
    found = [limit for limit in limits if type(limit) is int and limit > 0]
    return max(found, default=None)  # which of two an upstream heeds is not known


def embeds(target: Target, body: Body) -> bool:
    """Whether this is a request for embeddings, which has no output."""
    return "embeddings" in target.capabilities and "input" in body and EMBEDDING_FIELDS.issuperset(body)


def parts(body: Body) -> list[Body]:
    """The typed parts of all messages (or of a response's input)."""
    found: list[Body] = []
    messages: Any = body.get("messages") or body.get("input")
    if isinstance(messages, list):
        for message in cast("list[Any]", messages):
            content: Any = cast("Body", message).get("content") if isinstance(message, dict) else None
            if isinstance(content, list):
                found += [cast("Body", part) for part in cast("list[Any]", content) if isinstance(part, dict)]
    return found


def is_image(part: Body) -> bool:
    """Whether a part is an image."""
    return part.get("type") in ("image_url", "input_image", "image")


def estimated_input(body: Body) -> int:
    """Tokens of a request by the rule of four bytes each; an image counts as a typical one."""
    total = 0
    for name in ("messages", "input", "tools", "functions", "response_format", "instructions"):
        if (value := body.get(name)) is not None:
            total += len(value.encode()) if isinstance(value, str) else len(orjson.dumps(value))
    images = [part for part in parts(body) if is_image(part)]
    total -= sum(len(orjson.dumps(image)) for image in images)
    return ceil(total / BYTES_PER_TOKEN) + TYPICAL_IMAGE_TOKENS * len(images)


def estimate(most: Bound, body: Body, made_bytes: int) -> Usage:
    """Our own count, never beyond what is possible."""
    made = ceil(made_bytes / BYTES_PER_TOKEN)
    return Usage(input=min(estimated_input(body), most.input), output=min(made, most.output), estimated=True)


def believed(value: Any, most: Bound, body: Body, made_bytes: Callable[[], int]) -> Usage:
    """The provider's count if it can be true, else our estimate.

    Args:
        value: ``usage`` of a chat completion, an embedding or a response.
        most: What is possible.
        body: Of the request.
        made_bytes: Counts the bytes of text that the answer holds.
    """
    usage = read_usage(value, most)
    if usage is None or (usage.output == 0 and most.output > 0 and made_bytes() > 0):
        return estimate(most, body, made_bytes())
    return usage


def read_usage(value: Any, most: Bound) -> Usage | None:
    """The provider's count, if it can be true: whole numbers, nothing negative, a prompt, all within ``most``."""
    if not isinstance(value, dict):
        return None
    usage = cast("dict[str, Any]", value)
    given: Any = usage.get("prompt_tokens", usage.get("input_tokens"))
    made: Any = usage.get("completion_tokens", usage.get("output_tokens", 0 if most.output == 0 else None))
    of_input: Any = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    of_output: Any = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    cached: Any = usage.get("prompt_cache_hit_tokens", 0)
    thought: Any = 0
    if of_input:
        if not isinstance(of_input, dict):
            return None
        cached = cast("Body", of_input).get("cached_tokens") or cached
    if of_output:
        if not isinstance(of_output, dict):
            return None
        thought = cast("Body", of_output).get("reasoning_tokens") or 0
    for count in (given, made, cached, thought):
        if type(count) is not int or count < 0:
            return None
    if thought and usage.get("total_tokens") == given + made + thought:
        made += thought  # some providers count what a model thinks beside its output, not in it
    if given == 0 or given > most.input or made > most.output or cached > given or thought > made:
        return None
    return Usage(given, cached, made, thought)
