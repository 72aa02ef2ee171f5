"""One answer as the judges see it, read from a chat completion that nobody vouches for."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from homespun.router.posterior import canonical
from homespun.serve.gateway.routes.ask import Body, content_text

SHORT = 80
"""Characters up to which a whole answer can be compared with another."""
_NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?")


@dataclass(slots=True)
class Answer:
    """What a completion's first choice says."""

    text: str = ""
    finish: str | None = None
    refusal: str | None = None
    calls: list[Body] = field(default_factory=list[Body])
    """Tool calls as they came."""
    logprobs: tuple[float, ...] = ()
    """Of the answer's tokens, where the provider told."""


def read(body: Body | None) -> Answer:
    """Reads a completion; whatever is not as it should be is left out."""
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    calls = message.get("tool_calls")
    refusal, finish = message.get("refusal"), choice.get("finish_reason")
    return Answer(
        text=content_text(message.get("content")),
        finish=finish if isinstance(finish, str) else None,
        refusal=refusal if isinstance(refusal, str) and refusal else None,
        calls=[call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else [],
        logprobs=_logprobs(choice.get("logprobs")),
    )


def comparable(text: str) -> str | None:
    """What of a free answer can be compared with another: JSON as such, a short text, the last number of a long one."""
    text = text.strip()
    if text[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(text), sort_keys=True)
        except (ValueError, RecursionError):
            return None
    if len(text) <= SHORT:
        return canonical(text)
    lines = [line for line in text.splitlines() if line.strip()]
    numbers = _NUMBER.findall(lines[-1]) if lines else []
    return canonical(numbers[-1]) if numbers else None


def _logprobs(content: Any) -> tuple[float, ...]:
    tokens = content.get("content") if isinstance(content, dict) else None
    found = [token.get("logprob") for token in tokens if isinstance(token, dict)] if isinstance(tokens, list) else []
    return tuple(float(value) for value in found if isinstance(value, (int, float)) and value <= 0)
