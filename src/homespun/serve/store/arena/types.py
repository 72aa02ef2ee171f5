"""The rows of the battle room, as its server writes and reads them. All are frozen: what is stored is never changed."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any, Literal

from homespun.errors import HomespunError

Mode = Literal["battle", "named", "direct"]
Side = Literal["a", "b"]
Winner = Literal["a", "b", "tie", "both_bad"]
WINNERS: tuple[Winner, ...] = ("a", "b", "tie", "both_bad")
Refusal = Literal["voted", "different", "no_session", "too_soon", "too_many", "invalid"]
STATUS: dict[Refusal, int] = {
    "voted": 409,
    "different": 409,
    "no_session": 404,
    "too_soon": 409,
    "too_many": 429,
    "invalid": 422,
}


class VoteRefused(HomespunError, ValueError):
    """A vote, or a session to vote in, that is not taken.

    Attributes:
        code: The reason, in a word.
    """

    exit_code = 2

    def __init__(self, code: Refusal, what: str, hint: str | None = None) -> None:
        super().__init__(what, None, hint)
        self.code: Refusal = code

    @property
    def status(self) -> int:
        """HTTP status that says it."""
        return STATUS[self.code]


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    """One conversation: two models side by side, or one in direct chat."""

    id: str
    created: float
    mode: Mode
    environment: str
    """As asked for: auto, react, …"""
    system_prompt: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    model_a: str
    model_b: str | None = None
    propensity: float | None = None
    """Chance with which this pair was drawn."""
    voter: str
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened in a session; its ``number`` grows by one."""

    session: str
    number: int
    time: float
    kind: str
    side: Side | None = None
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run of one program, when it is over."""

    run: str
    session: str
    side: Side
    turn: int
    edit: int
    """0 for the model's own program; else how often it was edited."""
    created: float
    environment: str
    language: str
    filename: str
    code: str
    dependencies: Sequence[Mapping[str, Any]] = ()
    """``{kind, name, version, source}`` each."""
    status: str
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    build_log: str = ""
    seconds: float = 0.0
    screenshots: Sequence[Mapping[str, Any]] = ()
    """``{at, blob: hash or None, blank}`` each."""
    pictures: Sequence[str] = ()
    """Hashes of blobs."""
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """One thing that a user did in a running app."""

    time: float
    type: str
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Blob:
    """A picture."""

    type: str
    content: bytes

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Vote:
    """Who won a session, in the eyes of the one who opened it."""

    id: str
    session: str
    time: float
    mode: Mode
    winner: Winner
    aspects: Mapping[str, str] = field(default_factory=dict[str, str])
    reason: str | None = None
    void: bool = False
    why: str | None = None
    """It is void."""
    voter: str
    address_hash: str
    model_a: str
    model_b: str
    environment_a: str | None = None
    environment_b: str | None = None
    code_language_a: str | None = None
    code_language_b: str | None = None
    natural_language: str | None = None
    topic: str | None = None
    prompt_hash: str | None = None
    propensity: float | None = None
    covariates: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    """``NAME_a`` and ``NAME_b`` of each."""

    def says(self) -> tuple[Any, ...]:
        """What the voter chose: two votes with one id that say the same are one vote, sent twice."""
        return (self.session, self.winner, dict(self.aspects), self.reason, self.voter)


@dataclass(frozen=True)
class Receipt:
    """A vote that is in the database for good."""

    vote: Vote
    repeated: bool = False
    """It had been there already."""


def values(row: Any) -> dict[str, Any]:
    """Columns of a row, fit for both databases."""
    return {name: clean(getattr(row, name)) for name in _columns(type(row))}


@cache
def _columns(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def clean(value: Any) -> Any:
    """The same without what PostgreSQL refuses and programs print: NUL, halves of surrogate pairs, NaN."""
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean(inner) for inner in value]
    return value
