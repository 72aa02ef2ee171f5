"""Hostile and clumsy requests, other people's sessions, streams that break off."""

import asyncio
import json
import uuid
from contextlib import suppress

import aiohttp
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("battle-room")]

SESSION = "/api/sessions"
TURN = f"{SESSION}/{{}}/turns"
RUN = f"{SESSION}/{{}}/runs"
BAD = [
    (SESSION, b"{", 400, "invalid_json"),
    (SESSION, b"[]", 422, "invalid"),
    (SESSION, {"mode": "duel"}, 422, "invalid"),
    (SESSION, {"mode": "battle", "voter": "me"}, 422, "invalid"),
    (SESSION, {"mode": "battle", "models": ["actor:north", "actor:south"]}, 422, "invalid"),
    (SESSION, {"mode": "named", "models": ["actor:north", "actor:north"]}, 422, "models"),
    (SESSION, {"mode": "named", "models": ["actor:north", "actor:west"]}, 422, "models"),
    (SESSION, {"mode": "direct", "models": ["actor:north", "actor:south"]}, 422, "models"),
    (SESSION, {"mode": "direct", "models": "actor:north"}, 422, "invalid"),
    (SESSION, {"mode": "battle", "environment": "windows"}, 422, "invalid"),
    (SESSION, {"mode": "battle", "environment": ["auto"]}, 422, "invalid"),
    (SESSION, {"mode": "battle", "system_prompt": "x" * 20_001}, 422, "too_long"),
    (SESSION, {"mode": "battle", "sampling": {"temperature": 2.1}}, 422, "invalid"),
    (SESSION, {"mode": "battle", "sampling": {"temperature": True}}, 422, "invalid"),
    (SESSION, {"mode": "battle", "sampling": {"top_p": 0}}, 422, "invalid"),
    (SESSION, {"mode": "battle", "sampling": {"max_tokens": 10**9}}, 422, "invalid"),
    (SESSION, {"mode": "battle", "sampling": {"seed": 1}}, 422, "invalid"),
    (SESSION, {"mode": "battle", "sampling": "hot"}, 422, "invalid"),
    (TURN, {"text": ""}, 422, "empty"),
    (TURN, {"text": " \n"}, 422, "empty"),
    (TURN, {"text": 7}, 422, "invalid"),
    (TURN, {"text": "x" * 30_001}, 422, "too_long"),
    (TURN, {"text": "hello", "sides": ["c"]}, 422, "invalid"),
    (TURN, {"text": "hello", "sides": []}, 422, "empty"),
    (TURN, {"text": "hello", "sides": "a"}, 422, "invalid"),
    (f"{SESSION}/{{}}/regenerate", {}, 409, "nothing_to_repeat"),
    (RUN, {"side": "a"}, 409, "no_program"),
    (RUN, {"side": "z"}, 422, "invalid"),
    (RUN, {"side": "a", "code": "x" * 120_001}, 422, "too_long"),
    (RUN, {"side": "a", "dependencies": [{}] * 51}, 422, "too_long"),
    (RUN, {"side": "a", "dependencies": ["numpy"]}, 422, "invalid"),
    (RUN, {"side": "a", "dependencies": [{"kind": "npm", "name": "../x", "version": "latest"}]}, 422, "dependency"),
    (RUN, {"side": "a", "dependencies": [{"kind": "gem", "name": "x", "version": "latest"}]}, 422, "dependency"),
    (f"{SESSION}/{{}}/votes", {"id": str(uuid.uuid4()), "winner": "a"}, 409, "too_soon"),
    (f"{SESSION}/{{}}/votes", {"id": "1", "winner": "a"}, 422, "invalid"),
    (f"{SESSION}/{{}}/stop", {"side": 1}, 422, "invalid"),
    ("/api/runs/r0123456789/interactions", {"records": []}, 404, "not_found"),
    ("/api/runs/r0123456789/interactions", {"records": [{}] * 501}, 422, "too_long"),
    ("/api/runs/r0123456789/interactions", {"records": [{"type": "mousemove", "time": 1}]}, 422, "invalid"),
    ("/api/runs/r0123456789/interactions", {"records": [{"type": "click", "time": "soon"}]}, 422, "invalid"),
    (
        "/api/runs/r0123456789/interactions",
        {"records": [{"type": "click", "time": 1, "payload": {"x": "y" * 5000}}]},
        422,
        "invalid",
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD)
async def test_what_makes_no_sense_is_refused_with_one_line(guest, path, body, status, code):
    session = await guest.open()
    got, answer = await guest.call("POST", path.format(session), body)
    assert (got, answer["error"]["code"]) == (status, code)
    assert "\n" not in answer["error"]["message"]
    assert len(answer["error"]["message"]) < 400


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(guest):
    reader, writer = await asyncio.open_connection("127.0.0.1", guest.port)
    head = f"POST {SESSION} HTTP/1.1\r\nHost: {guest.url[7:]}\r\nOrigin: {guest.url}\r\nContent-Length: 3000000\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode())
    async with asyncio.timeout(10):
        assert b" 413 " in await reader.readline()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_the_longest_prompts_are_taken(guest):
    battle, direct = await guest.open(), await guest.open("direct", models=["actor:north"])
    await guest.ask(battle, "talk " + "x" * 29_995)
    await guest.ask(direct, "talk " + "x" * 19_995)
    status, refused = await guest.call("POST", TURN.format(direct), {"text": "x" * 20_001})
    assert (status, refused["error"]["code"]) == (422, "too_long")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.example"}, 421),
    ],
)
async def test_other_pages_change_nothing(guest, headers, status):
    assert (await guest.call("POST", SESSION, {"mode": "battle"}, **headers))[0] == status


async def test_an_app_of_a_run_is_no_origin_of_ours(guest):
    assert (await guest.call("POST", SESSION, {"mode": "battle"}, Origin="http://r1.localhost:8701"))[0] == 403


async def test_a_session_is_its_openers_to_change_and_anybodys_to_read(guest, house):
    session = await guest.open()
    await guest.ask(session, "web")
    run = (await guest.state(session))["sides"]["a"]["run"]["run"]
    async with house.guest() as other:
        assert not (await other.state(session))["mine"]
        await other.open()  # with a cookie of its own
        for path, body in (
            ("turns", {"text": "mine now"}), ("regenerate", {}), ("runs", {"side": "a"}), ("stop", {}),
            ("votes", {"id": str(uuid.uuid4()), "winner": "a"}),
        ):  # fmt: skip
            status, refused = await other.call("POST", f"{SESSION}/{session}/{path}", body)
            assert (status, refused["error"]["code"]) == (403, "not_yours")
        status, refused = await other.call("POST", f"/api/runs/{run}/interactions", {"records": []})
        assert (status, refused["error"]["code"]) == (403, "not_yours")


async def test_the_cookie_is_for_this_site_alone_and_comes_once(guest):
    headers = {"Origin": guest.url, "Content-Type": "application/json"}
    async with guest.http.get(guest.url) as page:
        assert "Set-Cookie" not in page.headers  # a link from elsewhere must not overwrite a cookie
    async with guest.http.post(f"{guest.url}{SESSION}", data='{"mode":"battle"}', headers=headers) as first:
        cookie = first.headers["Set-Cookie"].lower()
    assert all(word in cookie for word in ("room=", "httponly", "samesite=strict", "path=/"))
    async with guest.http.post(f"{guest.url}{SESSION}", data='{"mode":"battle"}', headers=headers) as second:
        assert "Set-Cookie" not in second.headers


async def test_sessions_of_one_guest_are_limited(guest):
    for _ in range(30):
        await guest.open()
    status, refused = await guest.call("POST", SESSION, {"mode": "battle"})
    assert (status, refused["error"]["code"]) == (429, "too_many")


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/setup", "/api/nothing", "/static/../app.py", "/s/x"])
async def test_every_answer_is_bound_by_the_policy(guest, path):
    async with guest.http.get(f"{guest.url}{path}") as response:
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["frame-src"] == "http://*.localhost:8701"
    assert rules["frame-ancestors"] == "'none'"
    assert rules["require-trusted-types-for"] == "'script'"


@pytest.mark.parametrize("path", [f"{SESSION}/{'x' * 22}", f"{SESSION}/..%2f..", "/s/short", "/static/nothing.js"])
async def test_what_is_not_there_is_not_found(guest, path):
    assert (await guest.call("GET", path))[0] == 404


async def test_a_stream_goes_on_where_it_broke_off(guest, house):
    session = await guest.open()
    await guest.ask(session, "hello")
    whole = await guest.listen(session, until="ran")
    cut = whole[len(whole) // 2]["number"]
    rest = await guest.listen(session, until="ran", **{"Last-Event-ID": str(cut)})
    assert rest == [event for event in whole if event["number"] > cut]
    assert await guest.listen(session, after=cut, until="ran", **{"Last-Event-ID": "nonsense"}) == rest


async def test_who_reads_pieces_gets_the_reply_and_so_does_who_comes_late(guest):
    session = await guest.open()
    await guest.post(TURN.format(session), {"text": "hang"})
    events = await guest.listen(session, until="delta")
    assert events[-1]["text"] == "It begins"
    state = await guest.state(session)
    side = events[-1]["side"]
    assert state["sides"][side]["turns"][0]["reply"] == "It begins"
    await guest.post(f"{SESSION}/{session}/stop", {})
    generated = [e for e in await guest.listen(session, state["last_event"]) if e["kind"] == "generated"]
    assert [event["text"] for event in generated] == ["It begins"] * 2


async def test_many_readers_and_some_that_take_nothing(guest, house):
    session = await guest.open()
    port = guest.port
    stalled = []
    for _ in range(20):  # they ask for the stream and never read
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ask = f"GET {SESSION}/{session}/events HTTP/1.1\r\nHost: {guest.url[7:]}\r\n\r\n"
        writer.write(ask.encode())
        stalled.append((reader, writer))
    async with asyncio.timeout(20), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def read():
            async with http.get(f"{guest.url}{SESSION}/{session}/events") as response:
                found = []
                async for line in response.content:
                    if line.startswith(b"data: "):
                        found.append(json.loads(line[6:]))
                        if [event["kind"] for event in found].count("ran") == 2:
                            return [event for event in found if event["kind"] != "delta"]

        readers = [asyncio.create_task(read()) for _ in range(100)]
        await guest.ask(session, "hello")
        heard = await asyncio.gather(*readers)
    assert all(one == heard[0] for one in heard)
    for _, writer in stalled:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
