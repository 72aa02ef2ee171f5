"""The OpenAI wire format, read without trust: pure functions from bytes and JSON to plain records.

Nothing here raises for what a server sends: wrong types read as absent, and what cannot be used at all is a `Broken`.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from homespun.records import Finish

FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "filter",
    "tool_calls": "stop",
    "function_call": "stop",
}
LEAST_LOGPROB = -9999.0
"""What stands for a log-prob of minus infinity, as on the wire of OpenAI itself."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A response that is of no use, and why."""

    reason: str
    cut: bool = False
    """Whether it ended too early, so that the same call may succeed later."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one call, as the provider counts them; ``cached`` is a part of ``input``."""

    input: int
    output: int
    cached: int = 0


@dataclass(kw_only=True)
class Choice:
    """One completion of a call."""

    text: str = ""
    finish: Finish | None = None
    logprobs: list[float] = field(default_factory=list[float])
    top_logprobs: list[dict[str, float]] = field(default_factory=list[dict[str, float]])


@dataclass(frozen=True, kw_only=True)
class Completion:
    """All choices of one call in the order of their index, and its usage where it was sent."""

    choices: list[Choice]
    usage: Usage | None


def read_completion(body: bytes) -> Completion | Broken:
    """Reads the body of a chat completion."""
    content = _json(body)
    if not isinstance(content, dict):
        return Broken(reason=f"the response is not a JSON object: {_excerpt(body)!r}")
    if (error := _mapping(content).get("error")) and not content.get("choices"):
        return Broken(reason=f"the provider reports: {error_text(error)}")
    raw = [_mapping(item) for item in _list(content.get("choices"))]
    choices = [_whole_choice(item) for item in sorted(raw, key=_index) if item]
    if not choices:
        return Broken(reason="the response holds no choices")
    return Completion(choices=choices, usage=read_usage(content.get("usage")))


def _whole_choice(item: Mapping[str, Any]) -> Choice:
    choice = Choice(text=_text(_mapping(item.get("message")).get("content")))
    _add_logprobs(choice, item.get("logprobs"))
    choice.finish = FINISH.get(str(item.get("finish_reason")), "stop")
    return choice


class StreamReader:
    """Puts the events of a streamed chat completion together. Feed it lines, then ask for the result."""

    def __init__(self) -> None:
        self._choices: dict[int, Choice] = {}
        self._usage: Usage | None = None
        self._broken: str | None = None
        self.done = False
        """Whether the closing ``[DONE]`` came, or nothing more is worth reading."""

    @property
    def text(self) -> str:
        """All text that arrived so far, for an estimate of what was billed."""
        return "".join(choice.text for choice in self._choices.values())

    @property
    def started(self) -> bool:
        """Whether a first token has arrived."""
        return any(choice.text or choice.finish for choice in self._choices.values())

    def feed(self, line: bytes) -> None:
        """Takes one line of the stream."""
        line = line.strip()
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.done = True
            return
        event = _json(data)
        if not isinstance(event, dict):
            self._break(f"an event of the stream is not a JSON object: {_excerpt(data)!r}")
        elif event.get("error"):
            self._break(f"the provider reports: {error_text(event['error'])}")
        else:
            self._usage = read_usage(event.get("usage")) or self._usage
            for item in _list(event.get("choices")):
                self._add(_mapping(item))

    def result(self) -> Completion | Broken:
        """The completion; a stream that ended before every choice gave its reason to finish was cut."""
        if self._broken is not None:
            return Broken(reason=self._broken)
        choices = [self._choices[index] for index in sorted(self._choices)]
        if not choices or any(choice.finish is None for choice in choices):
            return Broken(reason=f"the stream was cut after {len(self.text)} characters", cut=True)
        return Completion(choices=choices, usage=self._usage)

    def _break(self, reason: str) -> None:
        self._broken, self.done = self._broken or reason, True

    def _add(self, item: Mapping[str, Any]) -> None:
        choice = self._choices.setdefault(_index(item), Choice())
        choice.text += _text(_mapping(item.get("delta")).get("content"))
        _add_logprobs(choice, item.get("logprobs"))
        if (reason := item.get("finish_reason")) is not None:
            choice.finish = FINISH.get(str(reason), "stop")


def read_usage(value: Any) -> Usage | None:
    """Tokens of a call, or ``None`` unless both counts are whole numbers from 0."""
    usage = _mapping(value)
    given, made = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if given is None or made is None:
        return None
    cached = _count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens")) or 0
    return Usage(input=given, output=made, cached=min(cached, given))


def read_retry_after(value: str | None) -> float | None:
    """Seconds to wait by a ``Retry-After`` header: a number, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)  # without a zone ("-0000") it means UTC
            seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def error_text(value: Any) -> str:
    """The message of an error object, or an excerpt of whatever stands in its place."""
    if isinstance(value, bytes):
        content = _json(value)
        value = _mapping(content).get("error", content) if content is not None else value.decode(errors="replace")
    message = _mapping(value).get("message", value)
    return _clean(message if isinstance(message, str) else json.dumps(message, default=str))[:300]


def split_evenly(total: int, weights: Iterable[int]) -> list[int]:
    """Whole numbers in proportion to ``weights`` that add up to ``total`` (largest remainders first)."""
    weights = [weight + 1 for weight in weights]  # an empty text still gets a share, and no sum is zero
    parts = [total * weight // sum(weights) for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % sum(weights)))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


def _add_logprobs(choice: Choice, value: Any) -> None:
    for raw in _list(_mapping(value).get("content")):
        token = _mapping(raw)
        choice.logprobs.append(_logprob(token.get("logprob")))
        tops = [_mapping(top) for top in _list(token.get("top_logprobs"))]
        choice.top_logprobs.append({_text(top.get("token")): _logprob(top.get("logprob")) for top in tops})


def _logprob(value: Any) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    return min(max(float(value), LEAST_LOGPROB), 0.0) if usable else LEAST_LOGPROB


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError: bad JSON, bad UTF-8, an integer of too many digits
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: Any) -> str:
    """Text of a content field: a string, or a list of typed parts; anything else is empty."""
    if isinstance(value, list):
        return "".join(_text(_mapping(part).get("text")) for part in cast("list[Any]", value))
    return _clean(value) if isinstance(value, str) else ""


def _clean(text: str) -> str:
    """Lone surrogates, which JSON can smuggle in, become question marks."""
    return text.encode(errors="replace").decode()


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else None


def _index(item: Mapping[str, Any]) -> int:
    return _count(item.get("index")) or 0


def _excerpt(body: bytes) -> str:
    return body[:80].decode(errors="replace")
