"""Bodies as clients send them: in one piece or many, too large, too slow, or never to the end."""

import asyncio
from typing import Any

import pytest

from homespun.serve.gateway import http
from homespun.serve.gateway.types import GatewayError


def read(messages: list[dict[str, Any]], *, most: int = 100, headers: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """Reads a body from these messages; after the last one the client says nothing."""
    queue = list(messages)

    async def receive() -> dict[str, Any]:
        if not queue:
            await asyncio.Event().wait()
        return queue.pop(0)

    return asyncio.run(http.read_body({"headers": headers}, receive, most))


def part(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_one_piece_and_many() -> None:
    assert read([part(b"whole", False)]) == b"whole"
    assert read([part(b"in ", True), part(b"", True), part(b"two", False)]) == b"in two"
    assert read([{"type": "http.request"}]) == b""


@pytest.mark.parametrize(
    ("messages", "headers", "status"),
    [
        ([part(b"x" * 101, False)], (), 413),
        ([part(b"x" * 60, True), part(b"x" * 60, True)], (), 413),
        ([part(b"", False)], ((b"content-length", b"101"),), 413),
        ([part(b"", False)], ((b"content-length", b"-1"),), 400),
        ([part(b"x", True), {"type": "http.disconnect"}], (), 400),
        ([{"type": "http.disconnect"}], (), 400),
    ],
)
def test_what_is_refused(messages: list[dict[str, Any]], headers: Any, status: int) -> None:
    with pytest.raises(GatewayError) as caught:
        read(messages, headers=headers)
    assert caught.value.status == status


@pytest.mark.parametrize("messages", [[], [part(b"{", True)]])
def test_a_body_that_never_ends_is_given_up(messages: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 0.02)
    with pytest.raises(GatewayError) as caught:
        read(messages)
    assert (caught.value.status, caught.value.code) == (408, "request_timeout")
