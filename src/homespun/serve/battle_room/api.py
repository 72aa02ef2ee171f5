"""The addresses of sessions: opened, asked, run, stopped, listened to, voted on.

A session may be changed only by the guest who opened it, and read by whoever has its link. Every answer to a change
comes after the change is on disk.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homespun.arena.examples import examples
from homespun.serve.battle_room import bodies, views
from homespun.serve.battle_room.card import card
from homespun.serve.battle_room.desk import Desk
from homespun.serve.battle_room.prompts import system_prompt
from homespun.serve.battle_room.room import Room
from homespun.serve.battle_room.stream import ALIVE, HEARTBEAT_SECONDS, EventStream, frame, position
from homespun.serve.battle_room.votes import ASPECTS
from homespun.serve.battle_room.voting import vote
from homespun.serve.gateway.types import GatewayError

SAVED_SECONDS = 10.0
"""How long a change may take to get to the disk."""


def answer(content: Any, status: int = 200) -> Response:
    """JSON that nobody keeps."""
    data = orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
    return Response(data, status, {"Cache-Control": "no-store"}, "application/json")


class SessionApi:
    """Routes of sessions.

    Args:
        desk: All that they need.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """All of them."""
        one = "/api/sessions/{session:session}"
        return [
            Route("/api/setup", self.setup),
            Route("/api/sessions", self.open, methods=["POST"]),
            Route(one, self.state),
            Route(f"{one}/turns", self.turn, methods=["POST"]),
            Route(f"{one}/regenerate", self.regenerate, methods=["POST"]),
            Route(f"{one}/runs", self.rerun, methods=["POST"]),
            Route(f"{one}/stop", self.stop, methods=["POST"]),
            Route(f"{one}/votes", self.vote, methods=["POST"]),
            Route(f"{one}/events", self.events),
            Route(f"{one}/picture.png", self.picture),
        ]

    async def setup(self, request: Request) -> Response:
        """What the page needs to know."""
        desk, arena = self._desk, self._desk.arena
        limits = arena.limits.model_dump(include={"turns", "characters_direct", "characters_battle", "code"})
        return answer(
            {
                "modes": ["battle", "named", "direct"],
                "models": [{"name": one.name, "title": one.title} for one in desk.rooms.contestants.values()],
                "environments": list(bodies.ENVIRONMENTS),
                "default_system_prompt": {name: system_prompt(name) for name in bodies.ENVIRONMENTS},
                "examples": [
                    {name: getattr(one, name) for name in ("id", "title", "prompt", "environment", "topic")}
                    for one in examples()
                ],
                "limits": limits,
                "sampling": arena.sampling.model_dump(include={"temperature", "top_p", "max_tokens"}),
                "aspects": list(ASPECTS),
                "apps": {"pattern": desk.apps_pattern},
            }
        )

    async def open(self, request: Request) -> Response:
        """A new session."""
        desk = self._desk
        desk.door.check_origin(request)
        fields = ("mode", "models", "environment", "system_prompt", "sampling")
        asked = bodies.opening(await bodies.read(request, fields), desk.arena.sampling, desk.arena.limits)
        voter, token = desk.door.welcome(request)
        desk.limits.open_session(voter, desk.door.address(request))
        prompt = system_prompt(asked.environment) if asked.system_prompt is None else asked.system_prompt
        room = await desk.rooms.open(asked.mode, asked.models, asked.environment, prompt, asked.sampling, voter)
        response = answer(self._state(room, voter), 201)
        if token is not None:
            desk.door.remember(response, token)
        return response

    async def state(self, request: Request) -> Response:
        """A session, for whoever has its link."""
        room = await self._desk.rooms.get(request.path_params["session"])
        return answer(self._state(room, self._desk.door.voter(request)))

    async def turn(self, request: Request) -> Response:
        """Asks something."""
        room, body = await self._mine(request, ("text", "sides"))
        limits = self._desk.arena.limits
        most = limits.characters_direct if room.row.mode == "direct" else limits.characters_battle
        text, sides = bodies.text(body.get("text"), "text", most), bodies.sides(body.get("sides"), room.sides)
        await self._desk.rooms.begin(room, text)
        room.turn(text, sides)
        return await self._taken(room)

    async def regenerate(self, request: Request) -> Response:
        """Asks the last thing again."""
        room, body = await self._mine(request, ("sides",))
        room.regenerate(bodies.sides(body.get("sides"), room.sides))
        return await self._taken(room)

    async def rerun(self, request: Request) -> Response:
        """Runs a program again, with other code or packages."""
        room, body = await self._mine(request, ("side", "code", "dependencies"))
        code = body.get("code")
        await room.rerun(
            bodies.side(body.get("side"), room.sides),
            None if code is None else bodies.text(code, "code", self._desk.arena.limits.code),
            bodies.dependencies(body.get("dependencies")),
        )
        return await self._taken(room)

    async def stop(self, request: Request) -> Response:
        """Ends what is at work."""
        room, body = await self._mine(request, ("side",))
        side = body.get("side")
        room.stop(room.sides if side is None else (bodies.side(side, room.sides),))
        await asyncio.sleep(0)
        return await self._taken(room)

    async def vote(self, request: Request) -> Response:
        """Takes the vote, once; the same again gives the same answer."""
        room, body = await self._mine(request, ("id", "winner", "aspects", "reason"))
        content, repeated = await vote(self._desk, room, body, self._desk.door.address(request))
        return answer(content, 200 if repeated else 201)

    async def events(self, request: Request) -> Response:
        """What happens, from where the reader left off."""
        room = await self._desk.rooms.get(request.path_params["session"])
        start = position(request.query_params.get("after"), request.headers.get("last-event-id"))
        return EventStream(lambda: self._told(room, start))

    async def _told(self, room: Room, number: int) -> AsyncIterator[bytes]:
        while not room.feed.ended:
            self._desk.rooms.look(room)
            events = await room.feed.wait(number, HEARTBEAT_SECONDS)
            for event in events:
                number = event.number
                yield frame(event.kind, views.event(room, event), number)
            if not events and not room.feed.ended:
                yield ALIVE
        yield frame("ended", {"number": number, "kind": "ended"})

    async def picture(self, request: Request) -> Response:
        """The session as a card to be shown elsewhere."""
        desk = self._desk
        room = await desk.rooms.get(request.path_params["session"])
        if desk.picture is None:
            raise GatewayError(503, "No browser is set up here to make pictures.", code="no_browser")
        html = await card(self._state(room, None), desk.store, room)
        return Response(await desk.picture(html), media_type="image/png", headers={"Cache-Control": "no-store"})

    # --- shared ----------------------------------------------------------------------------------------------------

    async def _mine(self, request: Request, fields: tuple[str, ...]) -> tuple[Room, dict[str, Any]]:
        """The session and what is asked of it, if it is the guest's own."""
        self._desk.door.check_origin(request)
        body = await bodies.read(request, fields)
        room = await self._desk.rooms.get(request.path_params["session"])
        if self._desk.door.voter(request) != room.row.voter:
            raise GatewayError(403, "Only the one who opened this session can change it.", code="not_yours")
        return room, body

    async def _taken(self, room: Room) -> Response:
        try:
            async with asyncio.timeout(SAVED_SECONDS):
                await room.feed.saved()
        except TimeoutError:
            raise GatewayError(503, "The database is away; nothing is lost yet, try again.", code="database") from None
        return answer(self._state(room, room.row.voter), 202)

    def _state(self, room: Room, voter: str | None) -> dict[str, Any]:
        return views.state(room, self._desk.rooms.contestants, voter)
