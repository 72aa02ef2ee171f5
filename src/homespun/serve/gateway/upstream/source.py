"""The seam of what can be called: an endpoint over HTTP, or a model in this process."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from homespun.serve.gateway.types import Event, Usage
from homespun.serve.gateway.upstream.keys import UpstreamKey
from homespun.serve.gateway.upstream.usage import Bound

Body = dict[str, Any]


class Request(NamedTuple):
    """One attempt, as a source sees it."""

    path: str
    body: Body
    """The client's, fields for the upstream not yet set."""
    key: UpstreamKey
    problem: Mapping[str, str] | None


class Answer(NamedTuple):
    """A whole answer."""

    body: Body
    raw: bytes | None
    usage: Usage
    nanodollars: int | None = None
    """Where the source knows what it cost; else tokens times price."""
    headers: Mapping[str, str] = {}


class Feed(Protocol):
    """A stream of which the first event has arrived."""

    headers: Mapping[str, str]
    nanodollars: int | None

    async def read(self) -> list[Event]:
        """The next events; none: the stream has ended, whole.

        Raises:
            Failed: it broke.
        """
        ...

    def usage(self) -> Usage:
        """What was used up to now."""
        ...

    def close(self) -> None:
        """Ends it at once; the upstream is no longer read."""
        ...


class Source(Protocol):
    """What answers the calls of one target. No method has a time limit of its own."""

    async def whole(self, request: Request) -> Answer:
        """A whole answer.

        Raises:
            Failed: there is none.
        """
        ...

    async def open(self, request: Request) -> Feed:
        """A stream, once its first event is here.

        Raises:
            Failed: there is none.
        """
        ...

    def bound(self, body: Body) -> tuple[Bound, int]:
        """The most tokens and nanodollars of one call."""
        ...

    async def close(self) -> None:
        """Frees what it holds."""
        ...
