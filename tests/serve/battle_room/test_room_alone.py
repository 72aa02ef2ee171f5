"""A process that is the room's alone keeps what it started with out of the garbage collector's sight."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homespun.serve.battle_room.app import YOUNG, Parts, create_app
from homespun.serve.battle_room.config import parse
from homespun.serve.battle_room.contestants import shipped
from homespun.serve.store.database import Database

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """The application between its start and its end, as a server would hold it."""
    asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    serving = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, asked.get, told.put))
    asked.put_nowait({"type": "lifespan.startup"})
    assert (await told.get())["type"] == "lifespan.startup.complete"
    yield
    asked.put_nowait({"type": "lifespan.shutdown"})
    assert (await told.get())["type"] == "lifespan.shutdown.complete"
    await serving


@pytest.mark.parametrize("alone", [True, False])
async def test_what_is_there_at_the_start_is_looked_through_once(tmp_path: Path, alone: bool) -> None:
    database = Database(f"sqlite:///{tmp_path}/room.db")
    database.migrate()
    before, rhythm = gc.get_freeze_count(), gc.get_threshold()
    parts = Parts(arena=parse({}).arena, contestants=shipped(), database=database, state=tmp_path,
                  origins=["http://127.0.0.1:8700"], alone=alone)  # fmt: skip
    try:
        async with started(create_app(parts)):
            assert (gc.get_freeze_count() > before + 10_000) == alone
            assert (gc.get_threshold()[0] == YOUNG) == alone
    finally:
        gc.unfreeze()
        gc.set_threshold(*rhythm)
        database.close()
