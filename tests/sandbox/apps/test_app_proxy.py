"""A job's answers on their way to a visitor: what is passed on, what is not, and what becomes of a hostile one."""

import asyncio
import contextlib
import gzip
import http.client
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from homespun.sandbox.apps import Limits

pytestmark = pytest.mark.slow
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
TAG = b'<script src="/.homespun/log.js"></script>'


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    if request.path == "/ws":
        socket = web.WebSocketResponse(protocols=("streamlit",))
        await socket.prepare(request)
        async for message in socket:
            if message.data == "bye":
                await socket.close(code=4001)
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(f"{request.headers['Origin']} {message.data}")
            else:
                await socket.send_bytes(message.data[::-1])
        return socket
    body = await request.read()
    told = {name: request.headers.get(name) for name in ("Host", "Origin", "X-Forwarded-Host", "Cookie", "Referer")}
    response = web.json_response({"method": request.method, "path": request.raw_path, "size": len(body), **told})
    response.set_cookie("seen", "1", domain="localhost")
    return response


def test_a_request_reaches_the_app_and_its_answer_comes_back(stage: Any) -> None:
    origin = stage.app("echo", echo)
    answer = stage.ask(
        origin, "/a%20b?c=%2F", method="POST", body=b"12345", headers=[("Origin", origin), ("Referer", origin + "/x")]
    )
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told == {
        "method": "POST",
        "path": "/a%20b?c=%2F",
        "size": 5,
        "Host": "localhost",
        "Origin": "http://localhost",
        "X-Forwarded-Host": origin.removeprefix("http://"),
        "Cookie": None,
        "Referer": None,
    }
    assert answer.headers.get_all("Set-Cookie") == ["seen=1; Path=/; SameSite=None; Secure; Partitioned"]
    again = stage.ask(origin, headers=[("Cookie", "seen=1; arena=secret")])
    assert json.loads(again.body)["Cookie"] == "seen=1"
    assert stage.ask(origin, method="HEAD").body == b""
    assert stage.ask(origin, method="TRACE").status == 405


def test_a_body_that_is_too_large_is_stopped(stage: Any) -> None:
    origin = stage.app("large", echo)
    assert stage.ask(origin, method="POST", body=b"x" * ((1 << 20) + 1)).status == 413
    assert stage.ask(origin, method="POST", body=b"x" * (1 << 20)).status == 200


def test_websockets_pass_both_ways(stage: Any) -> None:
    origin = stage.app("ws", echo)

    async def talk() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"http://127.0.0.1:{stage.host.port}/ws",
                headers={"Host": origin.removeprefix("http://"), "Origin": origin},
                protocols=("other", "streamlit"),
            ) as socket,
        ):
            assert socket.protocol == "streamlit"
            await socket.send_str("hi")
            assert await socket.receive_str() == "http://localhost hi"
            await socket.send_bytes(b"abc")
            assert await socket.receive_bytes() == b"cba"
            await socket.send_str("bye")
            assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
            assert socket.close_code == 4001

    stage.run(talk())


def test_a_websocket_from_another_site_is_refused(stage: Any) -> None:
    origin = stage.app("foreign", echo)

    async def talk() -> int:
        async with aiohttp.ClientSession() as session:
            headers = {"Host": origin.removeprefix("http://"), "Origin": "http://other.localhost"}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"http://127.0.0.1:{stage.host.port}/ws", headers=headers)
            return refused.value.status

    assert stage.run(talk()) == 403


def test_a_page_gets_the_logger_while_it_streams(stage: Any) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 22\r\n\r\n<!")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"doctype html><p>done")

    answer = stage.ask(stage.raw("slow", slow))
    assert answer.body == b"<!doctype html>" + TAG + b"<p>done"


HOSTILE = {
    "two lines in a header": (
        OK + b"X-A: 1\r\n Set-Cookie: a=1; Domain=localhost\r\nContent-Length: 0\r\n\r\n",
        {200, 502},
    ),
    "a bare carriage return": (OK + b'ETag: "a\rSet-Cookie: b=1"\r\nContent-Length: 0\r\n\r\n', {200, 502}),
    "a huge header": (OK + b"X-A: " + b"x" * 100_000 + b"\r\n\r\n", {502}),
    "a thousand headers": (OK + b"X-A: 1\r\n" * 1000 + b"\r\n", {502}),
    "a packed page": (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"<p>" + b"0" * 50_000_000), {502}),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", {502}),
    "no HTTP": (b"\x16\x03\x01hello", {502}),
    "nothing": (b"", {502}),
    "a redirect to a file": (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", {502}),
    "a redirect away": (b"HTTP/1.1 302 Found\r\nLocation: //example.org/\r\nContent-Length: 0\r\n\r\n", {502}),
    "a refresh": (OK + b"Refresh: 0;url=http://example.org/\r\nContent-Length: 0\r\n\r\n", {200}),
    "a policy of its own": (OK + b"Content-Security-Policy: default-src *\r\nContent-Length: 0\r\n\r\n", {200}),
    "chunks and a length": (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {200, 502}),
    "bytes that are no text": (OK + b'ETag: "\xff\xfe"\r\nContent-Length: 0\r\n\r\n', {200}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hostile_gets_through(stage: Any, name: str) -> None:
    answer, expected = HOSTILE[name]
    got = stage.ask(stage.raw("hostile", answer))
    assert got.status in expected
    assert got.headers.get_all("Set-Cookie") is None
    assert got.headers.get_all("Location") is None
    assert got.headers.get_all("Refresh") is None
    assert len(got.headers.get_all("Content-Security-Policy")) == 1
    assert len(got.body) < 5000


def test_an_app_that_drips_its_headers_is_given_up(stage: Any) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in OK * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    assert stage.ask(stage.raw("drip", drip)).status == 504


def test_an_endless_answer_ends(stage: Any) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        stage.ask(stage.raw("flood", flood))


def test_a_slow_visitor_makes_the_app_wait(make_stage: Any) -> None:
    stage = make_stage(Limits())
    written = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    origin = stage.raw("endless", endless)

    async def dawdle() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.host.port, limit=1024)
        writer.write(f"GET / HTTP/1.1\r\nHost: {origin.removeprefix('http://')}\r\n\r\n".encode())
        await reader.readline()
        writer.transport.pause_reading()
        before = -1
        while before != written or not written:
            before = written
            await asyncio.sleep(0.3)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    stage.run(dawdle())
    assert 0 < written < Limits().answer_bytes / 4


def test_too_much_at_once_for_one_app_leaves_the_others_alone(stage: Any) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nx")
        await asyncio.sleep(30)

    origin, other = stage.raw("silent", silent), stage.app("busy", echo)

    async def crowd() -> list[Any]:
        ends = []
        for _ in range(8):
            reader, writer = await asyncio.open_connection("127.0.0.1", stage.host.port)
            writer.write(f"GET / HTTP/1.1\r\nHost: {origin.removeprefix('http://')}\r\n\r\n".encode())
            await reader.readline()
            ends.append(writer)
        return ends

    ends = stage.run(crowd())
    assert stage.ask(origin).status == 503
    assert stage.ask(other).status == 200

    async def leave() -> None:
        for end in ends:
            end.transport.abort()
            with contextlib.suppress(ConnectionError):
                await end.wait_closed()

    stage.run(leave())


def test_a_program_that_has_ended_is_said_to_have(stage: Any) -> None:
    origin = stage.app("dead", echo)
    assert stage.host.state("dead") == "open"
    handler = stage.host._shelf.get("dead").handler
    handler._running.kill()
    assert stage.host.state("dead") == "dead"
    answer = stage.ask(origin)
    assert answer.status == 502
    assert b"has ended" in answer.body


def test_withdrawing_ends_the_job_and_who_is_connected(make_stage: Any) -> None:
    stage = make_stage(Limits())
    origin = stage.app("gone", echo)
    running, wire = stage.host._shelf.get("gone").handler._running, stage.host._shelf.get("gone").handler._inlet

    async def connected() -> aiohttp.ClientWebSocketResponse:
        session = aiohttp.ClientSession()
        headers = {"Host": origin.removeprefix("http://"), "Origin": origin}
        socket = await session.ws_connect(f"http://127.0.0.1:{stage.host.port}/ws", headers=headers)
        stage.session = session
        return socket

    socket = stage.run(connected())
    stage.host.withdraw("gone")  # from this thread it waits
    assert not running.alive
    assert wire.closed
    assert stage.run(socket.receive()).type in (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR)
    stage.run(stage.session.close())
    assert stage.host.state("gone") == "closed"
    assert stage.ask(origin).status == 404
    stage.host.withdraw("gone")
