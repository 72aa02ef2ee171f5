"""A battle room in a process of its own, to be killed: ``python vote_process.py PORT FOLDER URL``."""

import asyncio
import sys
from pathlib import Path

from homespun.serve.battle_room.app import Parts, create_app
from homespun.serve.battle_room.config import parse
from homespun.serve.battle_room.leaderboard import BoardSettings
from homespun.serve.battle_room.limits import LimitSettings
from homespun.serve.battle_room.server import listening
from homespun.serve.store.database import Database


class Quick:
    """Says one thing."""

    organization = licence = ""

    def __init__(self, name: str) -> None:
        self.name = self.title = name

    async def stream(self, messages, sampling):
        yield "Nothing to run today."


async def main(port: int, folder: Path, url: str) -> None:
    database = Database(url)
    database.migrate()
    many = 10**6
    limits = LimitSettings(
        least_seconds=0.0, address_votes_per_minute=many, address_votes_per_day=many, sessions_per_minute=many,
        address_sessions_per_minute=many,
    )  # fmt: skip
    parts = Parts(
        arena=parse({"arena": {"shipped": False}}).arena, contestants=[Quick("quick:one"), Quick("quick:two")],
        database=database, state=folder, origins=[f"http://127.0.0.1:{port}"], limits=limits,
        board=BoardSettings(seconds=0.5),
    )  # fmt: skip
    async with listening(create_app(parts), "127.0.0.1", port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
