"""What the host answers on the port for people, byte by byte."""

import asyncio
import socket
from typing import Any

import pytest

from homespun.errors import ConfigError, SandboxError
from homespun.sandbox.apps import AppHost, Limits
from homespun.sandbox.apps.site import content_type

pytestmark = pytest.mark.slow
PAGE = b"<!doctype html><title>t</title><p>hi"
TAG = b'<script src="/.homespun/log.js"></script>'


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as end:
        end.sendall(request)
        return end.recv(65536)


def test_a_page_comes_with_its_policy_and_the_logger(stage: Any) -> None:
    answer = stage.ask(stage.site("page", PAGE))
    assert answer.status == 200
    assert answer.body == b"<!doctype html>" + TAG + PAGE.removeprefix(b"<!doctype html>")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    for part in ("default-src 'self'", f"frame-ancestors {stage.arena};", "object-src 'none'", "sandbox allow-scripts"):
        assert part in policy
    assert "allow-popups" not in policy
    assert "allow-top-navigation" not in policy
    assert "camera=()" in answer.headers["Permissions-Policy"]


def test_every_answer_has_the_policy(stage: Any) -> None:
    origin = stage.site("errors", PAGE)
    cases = [
        (stage.ask(origin, "/none"), 404),
        (stage.ask(origin, method="POST", body=b"x"), 405),
        (stage.ask(origin, host="localhost"), 421),
        (stage.ask(origin, host=f"nobody.localhost:{stage.host.port}"), 404),
        (stage.ask(origin, headers=[("Service-Worker", "script")]), 403),
        (stage.ask(origin, headers=[("Range", "bytes=999-")]), 416),
        (stage.ask(origin, "/.homespun/log.js"), 200),
        (stage.ask(origin, "/.homespun/other"), 404),
    ]
    for answer, status in cases:
        assert answer.status == status
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_files_have_their_types() -> None:
    assert content_type("a/b.mjs") == "text/javascript; charset=utf-8"
    assert content_type("x.wasm") == "application/wasm"
    assert content_type("X.SVG") == "image/svg+xml; charset=utf-8"
    assert content_type("x.png") == "image/png"
    assert content_type("dir.html/x") == "application/octet-stream"


def test_a_file_that_has_not_changed_is_not_sent_again(stage: Any) -> None:
    origin = stage.site("etag", PAGE)
    tag = stage.ask(origin).headers["ETag"]
    assert stage.ask(origin, headers=[("If-None-Match", f'"other", W/{tag}')]).status == 304
    assert stage.ask(origin, headers=[("If-None-Match", '"other"')]).status == 200


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=0-99", 200, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_a_part_of_a_file(stage: Any, wanted: str, status: int, body: bytes) -> None:
    origin = stage.site("range", PAGE, clip__mp4=b"0123456789")
    answer = stage.ask(origin, "/clip.mp4", headers=[("Range", wanted)])
    assert (answer.status, answer.body) == (status, body)
    head = stage.ask(origin, "/clip.mp4", method="HEAD", headers=[("Range", wanted)])
    assert (head.status, head.body) == (status, b"")


@pytest.mark.parametrize(
    "target",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/..\\..\\etc\\passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/index.html%00.txt",
        "/./index.html",
        "/.homespun/../index.html",
        "/.homespun/%2e%2e/index.html",
    ],
)
def test_no_path_leads_out(stage: Any, target: str) -> None:
    answer = stage.ask(stage.site("paths", PAGE), target)
    assert answer.status == 404
    assert b"root:" not in answer.body


def test_the_target_may_not_name_a_host(stage: Any) -> None:
    one, other = stage.site("one", b"<p>one"), stage.site("other", b"<p>other")
    host = one.removeprefix("http://")
    for line in (f"GET {other}/ HTTP/1.1\r\nHost: {host}", f"CONNECT {host} HTTP/1.1\r\nHost: {host}"):
        assert raw(stage.host.port, f"{line}\r\n\r\n".encode()).startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


def test_one_host_and_only_one(stage: Any) -> None:
    host = stage.site("hosts", PAGE).removeprefix("http://")
    twice = f"GET / HTTP/1.1\r\nHost: {host}\r\nHost: other.localhost\r\n\r\n"
    assert raw(stage.host.port, twice.encode())[9:12] in (b"421", b"400")
    assert raw(stage.host.port, b"GET / HTTP/1.1\r\n\r\n")[9:12] in (b"421", b"400")
    assert raw(stage.host.port, f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())[9:12] == b"200"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")], 200),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")], 200),
        ([("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")], 403),
        ([("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors")], 403),
        ([("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")], 403),
        ([("Origin", "http://evil.localhost")], 403),
        ([("Origin", "null")], 403),
        ([("Origin", "null"), ("Sec-Fetch-Site", "same-origin")], 200),
        ([("Sec-Fetch-Dest", "serviceworker")], 403),
    ],
)
def test_who_may_ask(stage: Any, headers: list[tuple[str, str]], status: int) -> None:
    assert stage.ask(stage.site("who", PAGE), headers=headers).status == status


def test_the_app_used_least_recently_makes_room(make_stage: Any) -> None:
    stage = make_stage(Limits(apps=2))
    first, second = stage.site("first", PAGE), stage.site("second", PAGE)
    stage.ask(first)
    third = stage.site("third", PAGE)
    assert [stage.host.state(run) for run in ("first", "second", "third")] == ["open", "closed", "open"]
    assert stage.ask(second).status == 404
    assert stage.ask(third).status == 200
    stage.run(until(lambda: bool(stage.closed)))
    assert stage.closed == [("second", "another app took its place")]


def test_an_app_that_nobody_plays_with_is_closed(make_stage: Any) -> None:
    stage = make_stage(Limits(idle_seconds=0.2))
    stage.site("idle", PAGE)
    stage.run(until(lambda: stage.host.state("idle") == "closed" and bool(stage.closed)))
    assert stage.closed[0][0] == "idle"


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_headers_that_never_end_are_not_waited_for(make_stage: Any, said: bytes) -> None:
    stage = make_stage(Limits(header_seconds=0.3))

    async def drip() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.host.port)
        writer.write(said)
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            await asyncio.sleep(0.05)
            writer.write(b"X-More: 1\r\n" if said else b"")
        writer.close()
        return answer.result()

    assert stage.run(drip()) == b""


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def test_what_makes_no_sense_is_refused(stage: Any) -> None:
    with pytest.raises(SandboxError, match="not been started"):
        _ = AppHost().socket
    with pytest.raises(SandboxError, match="not been started"):
        AppHost().publish("a", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        stage.site("Not_A_Label", PAGE)
    with pytest.raises(ConfigError):
        stage.run(AppHost().start(parents=["*"]))
    with pytest.raises(SandboxError, match="cannot listen"):
        stage.run(AppHost().start(port=stage.host.port))
