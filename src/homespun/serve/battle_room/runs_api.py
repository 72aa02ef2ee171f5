"""The addresses of runs, of the leaderboard, and of the server itself."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homespun.errors import ConfigError
from homespun.serve.battle_room import bodies
from homespun.serve.battle_room.api import answer
from homespun.serve.battle_room.desk import Desk
from homespun.serve.battle_room.stream import ALIVE, HEARTBEAT_SECONDS, EventStream, frame
from homespun.serve.gateway.types import GatewayError

LONGEST = 200
"""Characters of a query's parameter."""
STYLE = ("lines", "comments", "length", "errors")
"""What ``control=style`` stands for."""
FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


class RunApi:
    """Routes of runs and of the leaderboard.

    Args:
        desk: All that they need.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/runs/{run:run}/interactions", self.interactions, methods=["POST"]),
            Route("/api/runs/{run:run}/screenshots/{number:int}.png", self.screenshot),
            Route("/api/runs/{run:run}/pictures/{number:int}.png", self.picture),
            Route("/api/leaderboard", self.leaderboard),
            Route("/api/leaderboard/events", self.updates),
            Route("/healthz", self.health),
        ]

    async def interactions(self, request: Request) -> Response:
        """What the guest did in a running app."""
        desk = self._desk
        desk.door.check_origin(request)
        records = bodies.records(await bodies.read(request, ("records",)))
        room, row = await desk.rooms.of_run(request.path_params["run"])
        if desk.door.voter(request) != room.row.voter:
            raise GatewayError(403, "Only the one who opened this session can add to it.", code="not_yours")
        spare = desk.arena.limits.interactions - desk.rooms.interactions.get(row.run, 0)
        if kept := records[: max(spare, 0)]:
            desk.rooms.interactions[row.run] = await desk.store.add_interactions(row.run, kept)
        return Response(status_code=204)

    async def screenshot(self, request: Request) -> Response:
        """A picture of the app's page."""
        _, row = await self._desk.rooms.of_run(request.path_params["run"])
        hashes = [shot["blob"] for shot in row.screenshots]
        return await self._blob(hashes, request.path_params["number"])

    async def picture(self, request: Request) -> Response:
        """A picture that the program drew."""
        _, row = await self._desk.rooms.of_run(request.path_params["run"])
        return await self._blob(list(row.pictures), request.path_params["number"])

    async def _blob(self, hashes: list[str | None], number: int) -> Response:
        name = hashes[number] if number < len(hashes) else None
        blob = None if name is None else await self._desk.store.blob(name)
        if blob is None:
            raise GatewayError(404, "There is no such picture.", code="not_found")
        return Response(blob.content, media_type="image/png", headers=FOR_EVER)

    async def leaderboard(self, request: Request) -> Response:
        """The ranking."""
        query = request.query_params
        told = {name: query.get(name) or None for name in ("setting", "by", "value", "control")}
        if any(value is not None and len(value) > LONGEST for value in told.values()):
            raise bodies.wrong(f"A parameter has more than {LONGEST} characters.")
        named = (told["control"] or "").split(",")
        control = STYLE if named == ["style"] else tuple(filter(None, named))
        try:
            rows = await self._desk.board.rows(told["setting"] or "all", told["by"], told["value"], control)
        except ConfigError as error:
            raise bodies.wrong(str(error)) from None
        return answer(rows)

    async def updates(self, request: Request) -> Response:
        """Tells when new votes have been ranked."""
        return EventStream(self._ranked)

    async def _ranked(self) -> AsyncIterator[bytes]:
        board, version = self._desk.board, self._desk.board.version
        while not self._desk.rooms.closing:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    version = await board.changed(version)
            except TimeoutError:
                yield ALIVE
            else:
                yield frame("update", {"version": version}, version)

    async def health(self, request: Request) -> Response:
        """Whether the server lives."""
        return answer({"status": "ok"})
