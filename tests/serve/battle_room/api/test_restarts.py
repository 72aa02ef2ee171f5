"""The server is killed: sessions and votes are there again; what was being written has failed and can be repeated."""

import asyncio
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing, contextmanager
from pathlib import Path

import aiohttp
import pytest

from homespun.arena.examples import examples

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@contextmanager
def process(port: int, folder: Path):
    started = subprocess.Popen([sys.executable, Path(__file__).with_name("room_process.py"), str(port), str(folder)])
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def up(guest):
    async with asyncio.timeout(60):
        while True:
            try:
                return await guest.get("/healthz")
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


async def kept(folder: Path, session: str):
    """Waits until the run that nobody has been shown is on disk, and what was found: each is written by itself."""
    with closing(sqlite3.connect(f"file:{folder}/room.db?mode=ro", uri=True)) as database:
        async with asyncio.timeout(20):
            run = "select 1 from arena_runs where session = ?"
            event = "select 1 from arena_events where session = ? and kind = 'found'"
            while not all(database.execute(asked, (session,)).fetchone() for asked in (run, event)):
                await asyncio.sleep(0.05)


async def test_killed_in_the_middle(tmp_path, make_guest):
    example = examples()[0].prompt
    async with make_guest() as guest:
        with process(guest.port, tmp_path) as first:
            await up(guest)
            voted = await guest.open("named", models=["scripted:loom", "scripted:wheel"])
            await guest.ask(voted, example)
            ballot = {"id": str(uuid.uuid4()), "winner": "b"}
            told = await guest.post(f"/api/sessions/{voted}/votes", ballot, 201)
            before = await guest.state(voted)
            cut = await guest.open("named", models=["scripted:loom", "slow"])
            await guest.post(f"/api/sessions/{cut}/turns", {"text": example})
            seen = await guest.listen(cut, until="found")  # one side is done, the other still writes
            await kept(tmp_path, cut)
            first.kill()
        with process(guest.port, tmp_path):
            await up(guest)
            after = await guest.state(voted)
            assert after == before
            assert await guest.post(f"/api/sessions/{voted}/votes", ballot, 200) == told
            state = await guest.state(cut)
            assert "restarted" in state["sides"]["b"]["error"]
            assert state["sides"]["a"]["turns"][0]["reply"].startswith(seen[1].get("text", "")[:5])
            assert state["sides"]["a"]["run"]["status"] == "unavailable"
            assert state["can_vote"]
            assert state["last_event"] > seen[-1]["number"]  # whoever listened hears the rest
            rest = await guest.listen(cut, seen[-1]["number"], "ran")
            assert [event["kind"] for event in rest] == ["failed", "shown", "ran"]
            await guest.post(f"/api/sessions/{cut}/regenerate", {"sides": ["a"]})
            async with asyncio.timeout(20):
                while (state := await guest.state(cut))["sides"]["a"]["state"] != "done":
                    await asyncio.sleep(0.05)
            assert len(state["sides"]["a"]["turns"]) == 1
