"""A battle room in a process of its own, to be killed: ``python room_process.py PORT FOLDER``."""

import asyncio
import sys
from pathlib import Path

from homespun.serve.battle_room.app import Parts, create_app
from homespun.serve.battle_room.config import parse
from homespun.serve.battle_room.contestants import shipped
from homespun.serve.battle_room.limits import LimitSettings
from homespun.serve.battle_room.server import listening
from homespun.serve.store.database import Database


class Slow:
    """Never comes to an end."""

    name = title = "slow"
    organization = licence = ""

    async def stream(self, messages, sampling):
        yield "It begins"
        await asyncio.Event().wait()


async def main(port: int, folder: Path) -> None:
    database = Database(f"sqlite:///{folder}/room.db")
    database.migrate()
    parts = Parts(
        arena=parse({"arena": {"shipped": False}}).arena, contestants=[*shipped()[:2], Slow()], database=database,
        state=folder, origins=[f"http://127.0.0.1:{port}"], limits=LimitSettings(least_seconds=0.0),
    )  # fmt: skip
    async with listening(create_app(parts), "127.0.0.1", port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
