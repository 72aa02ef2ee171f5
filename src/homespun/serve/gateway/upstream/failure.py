"""How one call of an upstream failed: what to do next, what the client is told, and what it may have cost."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

import orjson

from homespun.models.wire import error_text, read_retry_after
from homespun.serve.gateway.types import UpstreamError

Next = Literal["again", "key", "elsewhere", "larger", "final"]
"""``again``: the same target, then its fallbacks. ``key``: the target's next key. ``elsewhere``: fallbacks only.
``larger``: fallbacks with a larger context only. ``final``: the request itself is at fault."""

RETRYABLE = frozenset({408, 409, 425, 429})
LONGEST_MESSAGE = 500
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"})
_CONTEXT_TEXT = re.compile(r"(maximum|available) context|context (window|length|size)|prompt is too long", re.I)
_POLICY_CODES = frozenset({"content_policy_violation", "content_filter", "responsibleaipolicyviolation"})
_POLICY_TEXT = re.compile(r"content (management )?policy|content filter", re.I)
_KEYS = re.compile(r"\b(?:sk|pk|hs|gsk|xai|key|api)[-_][A-Za-z0-9_\-*.]{6,}|(?<=Bearer )[^\s\"']{6,}|(?<=://)[^/\s@]+@")


class Failed(UpstreamError):
    """One attempt failed.

    Attributes:
        then: What may be tried next.
        faulty: Whether the upstream, and not the request, is to blame: its breaker counts it.
        arrived: Bytes of an answer with status 200 that came before it failed, which may be billed.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        status: int = 502,
        upstream_status: int | None = None,
        retry_after: float | None = None,
        code: str | None = None,
        then: Next = "again",
        faulty: bool = True,
        arrived: int = 0,
    ) -> None:
        super().__init__(
            reason, message, status=status, upstream_status=upstream_status, retry_after=retry_after, code=code
        )
        self.then, self.faulty, self.arrived = then, faulty, arrived


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """The text on one line, shortened, without the given secrets and without what looks like one."""
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return " ".join(_KEYS.sub("[key]", text).split())[:LONGEST_MESSAGE]


def refusal(name: str, status: int, headers: Mapping[str, str], raw: bytes, secrets: Iterable[str] = ()) -> Failed:
    """What a status other than 200 means.

    Args:
        name: The target, for the message.
        status: Of the response.
        headers: Of the response; ``Retry-After`` is read.
        raw: The response's body, as far as it was read.
        secrets: Keys that must not appear in the message.
    """
    fault = _error_object(raw)
    said = scrub(error_text(raw), secrets)
    wait = read_retry_after(headers.get("Retry-After"))
    if 300 <= status < 400:
        what = f"{name} answered with status {status}; redirects are not followed"
        return Failed("refused", what, upstream_status=status, then="elsewhere", faulty=False)
    if status < 300:
        return Failed("garbage", f"{name} answered with status {status}", upstream_status=status, arrived=len(raw))
    if status in (401, 403):
        what = f"{name} refused the gateway's key (status {status})"
        return Failed("status", what, upstream_status=status, code="upstream_key", then="key", faulty=False)
    if status in RETRYABLE or status >= 500:
        seen = status if status in (429, 503) else 502
        what = f"{name} answered with status {status}: {said}"
        code = "rate_limit_exceeded" if status == 429 else None
        faulty = status >= 500
        return Failed("status", what, status=seen, upstream_status=status, retry_after=wait, code=code, faulty=faulty)
    return _clients(status, fault, said)


def _clients(status: int, fault: Mapping[str, Any], said: str) -> Failed:
    """The client's own error, passed on as the provider put it."""
    code, kind, param = (_word(fault.get(name)) for name in ("code", "type", "param"))
    then: Next = "final"
    if status in (400, 413) and ({code, kind} & _CONTEXT_CODES or _CONTEXT_TEXT.search(said)):
        then, code = "larger", code or "context_length_exceeded"
    elif status == 400 and ((code or "").lower() in _POLICY_CODES or _POLICY_TEXT.search(said)):
        then = "elsewhere"
    error = Failed("status", said, status=status, upstream_status=status, then=then, faulty=False)
    error.code, error.kind, error.param = code, kind or "invalid_request_error", param
    return error


def reported(name: str, fault: Any, secrets: Iterable[str] = (), *, arrived: int = 0) -> Failed:
    """An error object where an answer was due: status 200, or an event in a stream."""
    said = scrub(error_text({"error": fault} if isinstance(fault, str) else fault), secrets)
    return Failed("garbage", f"{name} reported an error in place of an answer: {said}", arrived=arrived)


def _error_object(raw: bytes) -> Mapping[str, Any]:
    try:
        content: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(content, list) and content:  # as some providers wrap it
        content = cast("list[Any]", content)[0]
    fault: Any = cast("dict[str, Any]", content).get("error", content) if isinstance(content, dict) else None
    return cast("dict[str, Any]", fault) if isinstance(fault, dict) else {}


def _word(value: Any) -> str | None:
    return scrub(value)[:100] if isinstance(value, str) and value else None
