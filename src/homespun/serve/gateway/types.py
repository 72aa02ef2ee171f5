"""What the parts of the gateway say to each other: a call, what came back, what it cost, and why it failed.

Plain slotted dataclasses, since one request makes several and they never leave the process unread.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from random import getrandbits
from time import time_ns
from typing import Any, Literal

from homespun.errors import HomespunError
from homespun.records import Decision

NANO = 1_000_000_000
"""Nanodollars in a dollar."""

Purpose = Literal["answer", "sample", "judge", "shadow", "embedding"]
Outcome = Literal["ok", "error", "cut", "cancelled", "timeout", "interrupted"]
Route = Literal["single", "cascade", "fuse", "cache", "none"]


def new_id(prefix: str) -> str:
    """An id that nobody has to coordinate, and that nobody keeps secret: milliseconds since 1970, then 80 random bits.

    Ids in the order of time go to the end of a database's index rather than all over it. The kernel's generator would
    cost a system call, several times a request; the seeded one does, since a forked worker is seeded anew.
    """
    return f"{prefix}-{time_ns() // 1_000_000:012x}{getrandbits(80):020x}"


@dataclass(slots=True)
class Usage:
    """Tokens of one call; ``cached`` is a part of ``input``, ``reasoning`` a part of ``output``."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False
    """Counted by us, since the provider said nothing (or nothing believable)."""


@dataclass(slots=True)
class Attempt:
    """One call of an upstream: the unit of money. It is on the books whatever came of it."""

    target: str
    purpose: Purpose
    time: float
    """Seconds since 1970."""
    id: str = field(default_factory=lambda: new_id("att"))
    outcome: Outcome = "interrupted"
    status: int | None = None
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
    nanodollars: int = 0
    seconds: float = 0.0
    first_byte_seconds: float | None = None


@dataclass(slots=True)
class Call:
    """What an upstream is asked."""

    path: str
    """``/chat/completions``, ``/embeddings``, ``/responses``."""
    body: dict[str, Any]
    """The client's JSON, unknown fields included; ``model`` is set by the upstream's target."""
    stream: bool = False
    deadline: float = 0.0
    """Loop time at which everything, retries and fallbacks included, must have ended."""
    purpose: Purpose = "answer"
    problem: Mapping[str, str] | None = None
    """Who knows: ``{"task": …, "id": …}`` of a recorded problem; else it is found by the question's text."""
    budget: int | None = None
    """Nanodollars that all attempts of this call together may cost; ``None``: no limit."""
    covers: str | None = None
    """Target whose first attempt is known to be bounded and to fit in the budget."""


@dataclass(slots=True)
class Event:
    """One event of a stream: its JSON, and the bytes of its ``data:`` field as they came."""

    data: bytes
    json: dict[str, Any]


@dataclass(slots=True)
class Reply:
    """What an upstream answered. Exactly one of ``body`` and ``events`` is there."""

    target: str
    attempt: Attempt
    """The attempt that succeeded; for a stream it is complete once the events have ended."""
    body: dict[str, Any] | None = None
    raw: bytes | None = None
    """The body's bytes as they came, when nothing in it was changed."""
    events: AsyncGenerator[Event] | None = None
    """Ends cleanly only for a complete stream, else raises `UpstreamError`; ``aclose()`` cancels the upstream."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Routed:
    """What a route gave: the reply with how it came about."""

    reply: Reply
    route: Route
    tiers: list[str]
    confidence: float | None = None
    decision: Decision | None = None
    router: str | None = None
    """Version of the router that decided."""
    record: dict[str, Any] | None = None
    """Row of the table ``decisions`` without request_id and time."""
    low_confidence: bool = False


class GatewayError(HomespunError):
    """An answer to the client other than success, in OpenAI's terms.

    Args:
        status: HTTP status.
        message: What went wrong and what to try, fit for the client's eyes.
        kind: OpenAI's error type.
        code: OpenAI's error code.
        param: The field concerned.
        retry_after: Seconds.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code, self.param = status, message, kind, code, param
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """The JSON that OpenAI's clients understand."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class UpstreamError(GatewayError):
    """An upstream failed for good: retries and fallbacks are used up, or bytes have been emitted.

    Attributes:
        reason: connect, timeout, status, garbage, cut, reset, tls, budget, breaker, refused.
        upstream_status: HTTP status of the upstream, where there was one.
    """

    def __init__(self, reason: str, message: str, *, status: int = 502, upstream_status: int | None = None,
                 retry_after: float | None = None, code: str | None = None) -> None:  # fmt: skip
        super().__init__(
            status, message, kind="upstream_error", code=code or f"upstream_{reason}", retry_after=retry_after
        )
        self.reason, self.upstream_status = reason, upstream_status
