"""`create_app` puts the battle room together as one ASGI application; `Parts` is what it is put together from."""

import gc
import logging
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homespun.serve.battle_room import evidence, pages
from homespun.serve.battle_room.api import SessionApi, answer
from homespun.serve.battle_room.config import Arena
from homespun.serve.battle_room.contestants_types import Contestant
from homespun.serve.battle_room.desk import Desk, Picture
from homespun.serve.battle_room.executions import Stage
from homespun.serve.battle_room.guests import Door
from homespun.serve.battle_room.leaderboard import Board, BoardSettings
from homespun.serve.battle_room.limits import Identity, Limits, LimitSettings
from homespun.serve.battle_room.players import Player
from homespun.serve.battle_room.rooms import Rooms
from homespun.serve.battle_room.runs_api import RunApi
from homespun.serve.battle_room.votes import Ballots
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.arena import ArenaStore, VoteRefused
from homespun.serve.store.database import Database, DatabaseError

log = logging.getLogger("homespun.arena")
YOUNG = 20_000
"""Objects made between two looks for garbage among the newest; Python's 700 are made by two votes."""


class _Id(Convertor[str]):
    """Ids of sessions in an address: what we make, and nothing else."""

    regex = "[A-Za-z0-9_-]{16,64}"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


class _Run(_Id):
    """Ids of runs."""

    regex = "[a-z0-9][a-z0-9-]{3,62}"


register_url_convertor("session", _Id())
register_url_convertor("run", _Run())


class Closings:
    """Passes on that an app was closed by whoever serves it; called as `homespun.sandbox.apps.AppHost` calls."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[str], None]] = []

    def listen(self, listener: Callable[[str], None]) -> None:
        """Tells somebody the run of every app that is closed from now on."""
        self._listeners.append(listener)

    async def __call__(self, run: str, reason: str) -> None:
        """An app was closed."""
        log.info("the app of run %s was closed: %s", run, reason)
        for listener in self._listeners:
            listener(run)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the room is made of."""

    arena: Arena
    contestants: Sequence[Contestant]
    database: Database
    """Migrated; closed by whoever opened it."""
    state: Path
    """Folder of the salt."""
    origins: Sequence[str]
    """Where the room is reached."""
    apps_pattern: str = "http://{run}.localhost:8701"
    """Origin of each app, with the port filled in."""
    player: Player | None = None
    """Runs programs; none: all are ``unavailable``."""
    picture: Picture | None = None
    """Makes the picture that is shared."""
    closings: Closings | None = None
    """Tells which apps are closed by whoever serves them."""
    limits: LimitSettings = field(default_factory=LimitSettings)
    """How often somebody may open sessions and vote."""
    board: BoardSettings = field(default_factory=BoardSettings)
    alone: bool = False
    """The process is the room's alone: what is there when it has started is never looked through for garbage again.
    There are 300,000 objects in what is imported; the collector would stop all voters for a tenth of a second, often
    just when many come."""


def create_app(parts: Parts) -> ASGIApp:
    """The battle room.

    Args:
        parts: What it is made of.
    """
    desk = _desk(parts)
    page = pages.Pages()
    routes = [
        Route("/", page.page),
        Route("/s/{session:session}", page.page),
        Route("/static/{path:path}", page.file),
        *SessionApi(desk).routes(),
        *RunApi(desk).routes(),
    ]
    app = Starlette(routes=routes, lifespan=lambda _: _life(parts, desk))
    app.add_exception_handler(GatewayError, _refused)
    app.add_exception_handler(VoteRefused, _not_taken)
    app.add_exception_handler(DatabaseError, _away)
    app.add_exception_handler(HTTPException, _unknown)
    return _Guarded(app, desk)


def _desk(parts: Parts) -> Desk:
    store = ArenaStore(parts.database)
    identity, limits = Identity.load(parts.state), Limits(parts.limits)
    known = {
        one.name: {"title": one.title, "organization": one.organization, "licence": one.licence}
        for one in parts.contestants
    }
    board = Board(store, known, parts.board)
    stage = Stage(parts.player, store, parts.arena.limits)
    rooms = Rooms(parts.arena, parts.contestants, store, stage)
    if parts.closings is not None:
        parts.closings.listen(rooms.app_closed)
    return Desk(
        arena=parts.arena,
        rooms=rooms,
        store=store,
        ballots=Ballots(store, limits, board),
        limits=limits,
        identity=identity,
        board=board,
        door=Door(parts.origins, identity, forwarded=parts.arena.forwarded),
        apps_pattern=parts.apps_pattern,
        picture=parts.picture,
        headers=pages.headers(re.sub(r"\{run\}", "*", parts.apps_pattern)),
    )


@asynccontextmanager
async def _life(parts: Parts, desk: Desk) -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        warm = evidence.warm([name for one in parts.contestants for name in (one.name, one.title)])
        await desk.store.start()
        stack.push_async_callback(desk.store.close)
        await desk.limits.load(desk.store)
        await desk.board.start()
        stack.push_async_callback(desk.board.close)
        await desk.rooms.start()
        stack.push_async_callback(desk.rooms.close)
        await warm
        if parts.alone:
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG)
        yield


class _Guarded:
    """Refuses names that are not ours, and puts the headers on whatever is answered, errors too."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk
        self._headers = [(name.lower().encode(), value.encode()) for name, value in desk.headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name for name, _ in message["headers"]}
                more = [pair for pair in self._headers if pair[0] not in there]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        try:
            if scope["path"] != "/healthz":
                self._desk.door.check_host(Request(scope))
        except GatewayError as error:
            await _error(error)(scope, receive, sent)
            return
        await self._app(scope, receive, sent)


def _error(error: GatewayError) -> Response:
    response = answer({"error": {"message": error.message, "code": error.code}}, error.status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return response


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return _error(error)


async def _not_taken(_: Request, error: Exception) -> Response:
    assert isinstance(error, VoteRefused)
    return answer({"error": {"message": str(error), "code": error.code}}, error.status)


async def _away(_: Request, error: Exception) -> Response:
    log.error("the database failed: %s", error)
    return answer({"error": {"message": "The database is away; try again in a moment.", "code": "database"}}, 503)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = "There is nothing at this address." if error.status_code == 404 else error.detail
    response = answer({"error": {"message": message, "code": "not_found"}}, error.status_code)
    response.headers.update(error.headers or {})
    return response
