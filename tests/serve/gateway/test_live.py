"""The running gateway: faults, money, restarts, strangers."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway")]

BUDGET = 100 * 40_000
"""Nanodollars of a hundred answers: 20 tokens in at a dollar, 10 out at two, per million."""


def body(message: str, **more: Any) -> dict[str, Any]:
    return {"model": "stub", "messages": [{"role": "user", "content": message}], "max_tokens": 10, **more}


async def ask(
    session: aiohttp.ClientSession, url: str, key: str, message: str, **more: Any
) -> tuple[int, str, Mapping[str, str]]:
    headers = {"Authorization": f"Bearer {key}"}
    async with session.post(f"{url}/v1/chat/completions", json=body(message, **more), headers=headers) as response:
        return response.status, (await response.read()).decode(), response.headers


def together(url: str, key: str, messages: list[str], *, at_once: int = 200, **more: Any) -> list[Any]:
    async def run() -> list[Any]:
        limit = asyncio.Semaphore(at_once)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(message: str) -> Any:
                async with limit:
                    try:
                        return await ask(session, url, key, message, **more)
                    except aiohttp.ClientError as error:
                        return error

            return list(await asyncio.gather(*(one(message) for message in messages)))

    return asyncio.run(run())


def counted(upstream: int) -> dict[str, dict[str, int]]:
    async def get() -> Any:
        async with aiohttp.request("GET", f"http://127.0.0.1:{upstream}/count") as response:
            return await response.json()

    return asyncio.run(get())


SEEN = {
    "ok": (200, None, 1),
    "slow": (200, None, 1),
    "usage": (200, None, 1),
    "once500": (200, None, 2),
    "429": (429, "rate_limit_exceeded", 2),
    "500": (502, "upstream_status", 2),
    "400": (400, "bad", 1),
    "garbage": (502, "upstream_garbage", 2),
    "reset": (502, None, 2),
    "hang": (504, "upstream_timeout", 1),
}
"""Mode → what the client sees, and how often the upstream was asked; a whole answer may take all the time there is."""


def test_every_fault_is_told_as_it_is_and_every_cent_is_on_the_books(served, upstream):
    """10,000 requests, a fifth of them with faults: each is answered or failed as it must be, and accounted."""
    key = served.key("load")
    served.start()
    bad = [mode for mode in SEEN if mode not in ("ok", "slow", "hang")]
    modes = ["ok" if i % 5 else bad[i // 5 % len(bad)] for i in range(10_000)]
    modes[::2500] = ["hang"] * 4
    messages = [f"{mode} load{i}" for i, mode in enumerate(modes)]
    results = together(served.url, key, messages)
    assert served.stop() == 0
    count = counted(upstream)
    for mode, message, result in zip(modes, messages, results, strict=True):
        status, code, calls = SEEN[mode]
        assert result[0] == status, (message, result)
        assert count["calls"][message] == calls, message
        if status == 200:
            assert json.loads(result[1])["choices"][0]["message"]["content"] == f"echo {message}"
        else:
            error = json.loads(result[1])["error"]
            assert error["message"]
            assert code is None or code in (error["code"], error["type"]), (mode, error)
    rows = served.rows("SELECT id, status, nanodollars, estimated FROM requests")
    assert len(rows) == len(messages)
    assert Counter(row[1] for row in rows) == Counter(result[0] for result in results)
    assert {row[0] for row in rows} == {result[2]["x-request-id"] for result in results}
    billed = sum(
        bill for message, bill in count["microdollars"].items() if "load" in message and "usage" not in message
    )
    exact = sum(row[2] for row in rows if not row[3])
    assert exact == billed * 1000
    assert sum(row[2] for row in rows) == served.rows("SELECT sum(nanodollars) FROM attempts")[0][0]
    assert served.rows("SELECT count(*) FROM attempts")[0][0] == sum(SEEN[mode][2] for mode in modes)


def test_a_stream_that_breaks_never_ends_as_if_it_were_whole(served, upstream):
    key = served.key("streams")
    served.start()
    messages = [f"{mode} stream{i}" for i, mode in enumerate(["ok", "cut", "500", "once500", "slow", "hang"] * 5)]
    results = together(served.url, key, messages, stream=True)
    count = counted(upstream)
    for message, (status, text, headers) in zip(messages, results, strict=True):
        mode = message.partition(" ")[0]
        if mode in ("500", "hang"):
            assert status == (502 if mode == "500" else 504)
            assert json.loads(text)["error"]["message"]
            continue
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        assert ("data: [DONE]" in text) == (mode != "cut")
        assert ('"error"' in text) == (mode == "cut")
        assert count["calls"][message] == (2 if mode == "once500" else 1), message
    assert served.stop() == 0
    found = dict(served.rows("SELECT outcome, count(*) FROM requests GROUP BY outcome"))
    assert found == {"ok": 15, "cut": 5, "error": 10}
    cut = served.rows("SELECT nanodollars, estimated FROM requests WHERE outcome = 'cut'")
    assert all(nanodollars > 0 and estimated for nanodollars, estimated in cut)


def test_a_client_that_leaves_is_noticed_and_booked(served, upstream):
    key = served.key("leaver")
    served.start()

    async def leave() -> None:
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {key}"}
            url = f"{served.url}/v1/chat/completions"
            async with session.post(url, json=body("drip leave", stream=True), headers=headers) as response:
                await response.content.readany()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.post(url, json=body("hang leave"), headers=headers), 0.5)

    asyncio.run(leave())
    assert served.stop() == 0
    rows = served.rows("SELECT outcome, stream FROM requests ORDER BY stream")
    assert rows == [("cancelled", 0), ("cancelled", 1)]


@pytest.mark.parametrize("workers", [1, 2])
def test_parallel_calls_never_exceed_a_budget(upstream, served, workers):
    served.workers = workers
    text = (served.folder / "homespun.toml").read_text()
    (served.folder / "homespun.toml").write_text(text.replace("workers = 1", f"workers = {workers}"))
    key = served.key("poor", limits=[("nanodollars", "month", BUDGET)])
    served.start()
    messages = [f"ok poor{workers}-{i}" for i in range(200)]
    results = together(served.url, key, messages)
    later = together(served.url, key, [f"ok later{workers}-{i}" for i in range(100)], at_once=1)
    assert served.stop() == 0
    count = counted(upstream)
    spent = sum(bill for m, bill in count["microdollars"].items() if m.split()[1] in {x.split()[1] for x in messages})
    spent += sum(bill for m, bill in count["microdollars"].items() if f"later{workers}-" in m)
    assert 0 < spent * 1000 <= BUDGET
    assert served.rows("SELECT sum(nanodollars) FROM requests")[0][0] == spent * 1000
    assert served.rows("SELECT spent, reserved FROM meters") == [(spent * 1000, 0)]
    refused = [json.loads(text)["error"]["code"] for status, text, _ in [*results, *later] if status == 429]
    assert len(refused) + sum(status == 200 for status, _, _ in [*results, *later]) == 300
    assert set(refused) == {"insufficient_quota"}
    # Nor refused long before: a request may cost 240,000 at most, and each worker may keep what would cover two.
    assert BUDGET - spent * 1000 < workers * 2 * 250_000


def test_kill_nine_under_load_loses_and_doubles_nothing(served, upstream):
    key = served.key("killed", limits=[("nanodollars", "month", 10**12)])
    served.start()
    answered: list[str] = []

    async def load() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def client(number: int) -> None:
                for turn in range(10_000):
                    try:
                        status, _, headers = await ask(session, served.url, key, f"ok kill{number}-{turn}")
                    except aiohttp.ClientError:
                        return
                    assert status == 200
                    answered.append(headers["x-request-id"])

            clients = [asyncio.create_task(client(number)) for number in range(16)]
            await asyncio.sleep(2.5)
            await asyncio.to_thread(served.kill)
            await asyncio.gather(*clients)

    asyncio.run(load())
    served.start()
    assert served.stop() == 0
    assert len(answered) > 50
    assert len(set(answered)) == len(answered)
    rows = served.rows("SELECT id, outcome, nanodollars FROM requests")
    assert Counter(row[0] for row in rows).most_common(1)[0][1] == 1
    assert set(answered) <= {row[0] for row in rows if row[1] == "ok"}
    interrupted = [row for row in rows if row[1] == "interrupted"]
    assert len(interrupted) <= 16
    [(spent, reserved)] = served.rows("SELECT spent, reserved FROM meters")
    assert reserved == 0
    assert spent == sum(row[2] for row in rows)
    billed = sum(bill for message, bill in counted(upstream)["microdollars"].items() if "kill" in message) * 1000
    assert spent >= billed  # what was interrupted counts at the most that it can have cost


def test_a_stop_lets_running_streams_end(served):
    key = served.key("drained")
    served.start()

    async def run() -> tuple[Any, Any]:
        async with aiohttp.ClientSession() as session:
            running = asyncio.create_task(ask(session, served.url, key, "drip drain", stream=True))
            await asyncio.sleep(0.4)
            served.terminate()
            await asyncio.sleep(0.4)
            with pytest.raises(aiohttp.ClientError):
                async with aiohttp.ClientSession() as fresh:
                    await ask(fresh, served.url, key, "ok late")
            return await running

    status, text, _ = asyncio.run(run())
    assert status == 200
    assert "data: [DONE]" in text
    assert served.stop() == 0
    assert served.rows("SELECT outcome FROM requests") == [("ok",)]


def test_strangers_get_nothing(served):
    key = served.key("known")
    admin = served.key("root", admin=True)
    served.start()
    secret = key.rpartition("-")[2]

    async def run() -> None:
        # A connection whose body was refused half-way is closed: no request may be sent on it again.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:

            async def status(method: str, path: str, token: str | None, **options: Any) -> int:
                headers = {} if token is None else {"Authorization": f"Bearer {token}"}
                async with session.request(method, served.url + path, headers=headers, **options) as response:
                    text = await response.text()
                    assert secret not in text
                    return response.status

            for path in ("/v1/models", "/v1/usage", "/openapi.json", "/metrics", "/v1/status"):
                for token in (None, "", "hs-nobody-nothing", key[:-1], key + "x", "é"):
                    assert await status("GET", path, token) == 401, (path, token)
            for path in ("/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/responses", "/v1/feedback"):
                assert await status("POST", path, None, json=body("ok x")) == 401, path
            assert await status("GET", "/metrics", key) == 403
            assert await status("GET", "/metrics", admin) == 200
            assert await status("GET", "/v1/models", key) == 200
            assert await status("GET", "/healthz", None) == 200
            large = body("ok " + "x" * 300_000)
            assert await status("POST", "/v1/chat/completions", key, json=large) == 413
            deep = b'{"model":"stub","messages":' + b"[" * 5000 + b"]" * 5000 + b"}"
            assert await status("POST", "/v1/chat/completions", key, data=deep) == 400
            for wrong in (b"", b"[]", b"{", b'{"model": 1}', b"\xff\xfe", b'"x"'):
                assert await status("POST", "/v1/chat/completions", key, data=wrong) == 400, wrong
            for field in ("base_url", "api_base", "api_key"):
                assert (
                    await status("POST", "/v1/chat/completions", key, json=body("ok x", **{field: "http://x"})) == 400
                )

    asyncio.run(run())
    assert served.stop() == 0
    told = served.log.read_text()
    assert secret not in told
    assert "Traceback" not in told


def test_too_many_headers_and_slow_ones_are_turned_away(served):
    key = served.key("headers")
    served.start()
    host, port = served.url.removeprefix("http://").split(":")

    def raw(request: bytes) -> bytes:
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(request)
            return connection.recv(4096)

    start = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n".encode()
    assert raw(start + b"\r\n").startswith(b"HTTP/1.1 200")
    many = b"".join(b"x-%d: 1\r\n" % i for i in range(500))
    assert raw(start + many + b"\r\n").split(b"\r\n")[0].split()[1] in (b"431", b"400")
    assert raw(start + b"x: " + b"y" * 200_000 + b"\r\n\r\n").split(b"\r\n")[0].split()[1] in (b"431", b"400")
    assert not raw(start + b"x: y").startswith(b"HTTP/1.1 200")  # what never ends its headers is cut off


def test_new_settings_are_taken_over_and_faulty_ones_are_not(served, upstream):
    key = served.key("reload", admin=True)
    served.start()
    file: Path = served.folder / "homespun.toml"
    good = file.read_text()

    async def run() -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:

            async def models() -> set[str]:
                async with session.get(f"{served.url}/v1/models") as response:
                    return {one["id"] for one in (await response.json())["data"]}

            async def until(check: Any) -> None:
                for _ in range(100):
                    if await check():
                        return
                    await asyncio.sleep(0.1)
                raise AssertionError(served.log.read_text()[-2000:])

            async def fault() -> bool:
                async with session.get(f"{served.url}/v1/status") as response:
                    return "unknown setting" in (await response.json())["settings"]

            async def renamed() -> bool:
                return "other" in await models()

            file.write_text(good + "\n[servr]\n")
            await until(fault)
            assert "stub" in await models()
            file.write_text(good + '\n[alias]\n"other" = "stub"\n')
            await until(renamed)
            status, _, _ = await ask(session, served.url, key, "ok reloaded", model="other")
            assert status == 200

    asyncio.run(run())
    assert served.stop() == 0


def test_kept_answers_and_repeated_requests_cost_nothing(served, upstream):
    with (served.folder / "homespun.toml").open("a") as settings:
        settings.write("[cache]\nexact = true\n")
    key = served.key("kept")
    served.start()

    async def run() -> None:
        async with aiohttp.ClientSession() as session:

            async def twice(message: str, header: dict[str, str], **more: Any) -> list[tuple[str, Mapping[str, str]]]:
                answers = []
                for _ in range(2):
                    headers = {"Authorization": f"Bearer {key}", **header}
                    url = f"{served.url}/v1/chat/completions"
                    async with session.post(url, json=body(message, **more), headers=headers) as response:
                        assert response.status == 200
                        answers.append((await response.text(), response.headers))
                return answers

            for stream in (False, True):
                first, second = await twice(f"ok cache{stream}", {}, temperature=0, stream=stream)
                assert [first[1]["x-homespun-cache"], second[1]["x-homespun-cache"]] == ["miss", "exact"]
                assert second[1]["x-homespun-route"] == "cache"
                if stream:
                    assert "data: [DONE]" in second[0]
                    assert "".join(f"{i} " for i in range(5)) in second[0]
                else:
                    assert json.loads(first[0]) == json.loads(second[0])
                first, second = await twice(f"ok claim{stream}", {"Idempotency-Key": f"k{stream}"}, stream=stream)
                assert first[0] == second[0]
                assert second[1]["x-homespun-replayed"] == "true"

    try:
        asyncio.run(run())
    finally:
        assert served.stop() == 0
    calls = counted(upstream)["calls"]
    assert [calls[f"ok {what}{stream}"] for what in ("cache", "claim") for stream in (False, True)] == [1] * 4
    rows = served.rows("SELECT cache, nanodollars > 0, count(*) FROM requests GROUP BY 1, 2 ORDER BY 1, 2")
    assert rows == [(None, 1, 2), ("exact", 0, 2), ("miss", 1, 2)]
