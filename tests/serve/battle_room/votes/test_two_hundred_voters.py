"""Two hundred voters at once against the real server, killed in the middle: what was acknowledged is there, once."""

import asyncio
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from homespun.serve.battle_room.limits import Identity
from homespun.serve.store.arena import ArenaStore, Event, SessionRow
from homespun.serve.store.database import Database

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
VOTERS = 200


@contextmanager
def process(port: int, folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    place = Path(__file__).with_name("vote_process.py")
    started = subprocess.Popen([sys.executable, place, str(port), str(folder), url])
    try:
        yield started
    finally:
        started.kill()
        started.wait()


class Voter:
    """One guest with a cookie, one session and one vote in mind."""

    def __init__(self, port: int, number: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.token, self.session = f"token-of-voter-{number:08d}", f"session-{number:08d}"
        self.ballot = {"id": str(uuid.UUID(int=number)), "winner": ("a", "b", "tie", "both_bad")[number % 4]}
        self.told: Any = None

    async def vote(self, http: aiohttp.ClientSession) -> tuple[int, Any]:
        headers, place = {"Origin": self.base}, f"{self.base}/api/sessions/{self.session}/votes"
        async with http.post(place, json=self.ballot, headers=headers, cookies={"room": self.token}) as response:
            return response.status, await response.json()


async def seat(database: Database, folder: Path, voters: list[Voter]) -> None:
    """Sessions that are ready to be voted on, as the room would have left them."""
    store, identity = ArenaStore(database), Identity.load(folder)
    await store.start()
    talk = [("turn", None, {"turn": 1, "text": "A snake", "sides": ["a", "b"]})]
    talk += [("generated", side, {"turn": 1, "text": "Here.", "finish": "stop"}) for side in "ab"]
    talk += [("shown", None, {"turn": 1, "seconds": {"a": 1.0, "b": 1.0}})]
    now = time.time()

    async def one(voter: Voter) -> None:
        row = SessionRow(id=voter.session, created=now, mode="battle", environment="auto", model_a="quick:one",
                         model_b="quick:two", voter=identity.voter(voter.token), propensity=1.0)  # fmt: skip
        await store.save_session(row)
        await store.add_events([Event(session=voter.session, number=number, time=now, kind=kind, side=side, body=body)
                                for number, (kind, side, body) in enumerate(talk, 1)])  # fmt: skip

    await asyncio.gather(*map(one, voters))
    await store.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=VOTERS), cookie_jar=aiohttp.DummyCookieJar())


async def up(http: aiohttp.ClientSession, port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}/healthz"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


async def test_killed_in_the_middle_of_two_hundred_votes(database_url: str, tmp_path: Path) -> None:
    port, chance = free_port(), random.Random(5)
    voters = [Voter(port, number) for number in range(VOTERS)]
    acknowledged, refused = asyncio.Event(), list[Any]()

    async def try_to(http: aiohttp.ClientSession, voter: Voter) -> None:
        await asyncio.sleep(chance.uniform(0, 0.6))
        try:
            status, told = await voter.vote(http)
        except (aiohttp.ClientError, ConnectionError):
            return
        if status == 201:
            voter.told = told
        else:
            refused.append(told)
        if refused or sum(one.told is not None for one in voters) >= VOTERS // 4:
            acknowledged.set()

    database = Database(database_url)
    database.migrate()
    await seat(database, tmp_path, voters)
    with process(port, tmp_path, database_url) as first:
        async with client() as http:
            await up(http, port)
            voting = [asyncio.create_task(try_to(http, voter)) for voter in voters]
            async with asyncio.timeout(60):
                await acknowledged.wait()
            first.kill()
            await asyncio.gather(*voting)
    assert refused == []
    early = [voter for voter in voters if voter.told is not None]
    assert VOTERS // 4 <= len(early) < VOTERS, "killed in the middle"
    store = ArenaStore(database)
    there = {vote.id: vote for vote in await store.votes()}
    assert {voter.ballot["id"] for voter in early} <= set(there)
    assert all(there[voter.ballot["id"]].winner == voter.ballot["winner"] for voter in early)
    with process(port, tmp_path, database_url):
        async with client() as http:
            await up(http, port)
            again = await asyncio.gather(*(voter.vote(http) for voter in voters))
            for voter, (status, told) in zip(voters, again, strict=True):
                assert status == (200 if voter.ballot["id"] in there else 201)
                assert voter.told in (None, told)
            async with asyncio.timeout(90):  # rankings rest ten times as long as they take
                table: Any = {"votes": 0}
                while table["votes"] < VOTERS:
                    await asyncio.sleep(0.2)
                    async with http.get(f"http://127.0.0.1:{port}/api/leaderboard") as response:
                        table = await response.json()
    votes = await store.votes()
    assert {vote.id: vote.session for vote in votes} == {voter.ballot["id"]: voter.session for voter in voters}
    assert len(votes) == len({vote.session for vote in votes}) == VOTERS
    assert len({vote.voter for vote in votes}) == VOTERS
    database.close()
