"""Addresses of the dashboard: the page and its files for anyone, what it shows for admins.

The page is the same for everyone and knows nothing; it asks for an admin's key once, keeps it in the tab's session
storage and sends it as a header, never in an address. The policy lets it load and call this origin only, run no script
but its own files, and be framed by nobody.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from importlib import resources
from typing import Annotated, Any, Protocol

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import Connection

from homespun.serve.gateway.config import GatewayConfig
from homespun.serve.gateway.dashboard.overview import overview
from homespun.serve.gateway.dashboard.reliability import reliability, told
from homespun.serve.gateway.dashboard.rollup import Rollup, Runs, read
from homespun.serve.gateway.dashboard.savings import quality
from homespun.serve.gateway.dashboard.trail import one, recent
from homespun.serve.gateway.dashboard.upstreams import upstreams, with_health
from homespun.serve.gateway.dashboard.windows import WINDOWS, WindowName
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store import keys, tables

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FILES = {
    file.name: file.read_bytes()
    for file in resources.files("homespun.serve.gateway.dashboard").joinpath("static").iterdir()
    if file.name.rpartition(".")[2] in KINDS
}
"""The page and its parts; nothing else is ever read from the disk."""
LONGEST_KEPT = 300.0
ROUTERS = 20
ALARMS = 50
Text = Annotated[str | None, Query(max_length=200)]
Look = Annotated[WindowName, Query()]


class Watched(Protocol):
    """What the page is about: a gateway, as far as it is read here."""

    @property
    def config(self) -> GatewayConfig:
        """The settings in use."""
        ...

    @property
    def at_work(self) -> int:
        """Requests at work in this process."""
        ...

    @property
    def database(self) -> Runs:
        """Where everything is on record."""
        ...

    @property
    def fleet(self) -> Any:
        """Has ``health()`` and ``price(target, usage)``."""
        ...

    @property
    def books(self) -> Any:
        """Has ``status()``."""
        ...

    def authenticate(self, request: Any, *, admin: bool = False) -> Any:
        """The request's key, ``None`` where none is needed; raises GatewayError."""
        ...


class _Route(APIRoute):
    """A refusal is answered as the gateway's other refusals are, whatever application the routes hang in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except GatewayError as error:
                headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
                return _json(error.body(), error.status, headers)

        return handler


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    told = HEADERS | {"Cache-Control": "no-store"} | (headers or {})
    # names of columns are a kind of str
    return Response(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS), status, told, "application/json")


def dashboard_routes(gateway: Watched) -> APIRouter:
    """The dashboard of a gateway.

    Args:
        gateway: Its parts are looked up when a request comes, so the routes can be made before it starts.
    """
    router = APIRouter(prefix="/dashboard", route_class=_Route, include_in_schema=False)
    _files(router)

    def admin(request: Request) -> Any:
        return gateway.authenticate(request, admin=True)

    api = APIRouter(prefix="/api", dependencies=[Depends(admin)], route_class=_Route)
    _numbers(api, gateway)
    _lists(api, gateway, admin)
    router.include_router(api)
    return router


def _files(router: APIRouter) -> None:
    @router.get("")
    @router.get("/{name}")
    async def file(name: str = "index.html") -> Response:
        if name not in FILES:
            raise HTTPException(404, "There is no such file.")
        return Response(FILES[name], headers=HEADERS, media_type=KINDS[name.rpartition(".")[2]])


class _Kept:
    """What labels tell, kept for a thousandth of a window's length: they come slowly, and joining them is dear."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, WindowName], tuple[float, Any]] = {}

    async def get(self, name: str, window: WindowName, make: Callable[[float], Coroutine[Any, Any, Any]]) -> Any:
        """The value, at most so old, else what ``make`` gives for the window's start."""
        now, shape = time.time(), WINDOWS[window]
        made, value = self._found.get((name, window), (0.0, None))
        if now - made > min(LONGEST_KEPT, shape.bucket * shape.buckets / 1000):
            value = await make(shape.start(now))
            self._found[name, window] = now, value
        return value


def _numbers(api: APIRouter, gateway: Watched) -> None:
    rollup, kept = Rollup(), _Kept()

    async def judge(start: float) -> dict[str, Any]:
        return await read(gateway.database, lambda c: quality(c, _strongest(gateway), start))

    async def trust(start: float) -> dict[str, Any]:
        known = await read(gateway.database, lambda c: told(c, start))
        return await asyncio.to_thread(reliability, known)  # the first time, libraries are loaded for it

    @api.get("/overview")
    async def numbers(window: Look = "day") -> Response:
        now = time.time()
        rolled = await rollup.look(gateway.database, window, now)
        rate = await read(gateway.database, lambda c: _last_minute(c, now))
        judged = await kept.get("quality", window, judge)
        return _json({"now": now, **overview(rolled), "minute": rate, "at_work": gateway.at_work, "quality": judged})

    @api.get("/confidence")
    async def confidence(window: Look = "day") -> Response:
        return _json(await kept.get("confidence", window, trust))

    @api.get("/state")
    async def state() -> Response:
        now = time.time()
        names = [target.name for target in gateway.config.target]
        found = await read(gateway.database, lambda c: _state(c, names, now))
        tiers = {tier.name for tier in gateway.config.tiers()}
        known = with_health(found["upstreams"], gateway.fleet.health())
        found["upstreams"] = [u for u in known if u["target"] in tiers or u["state"] != "idle"]
        return _json({"now": now, **found, "books": gateway.books.status()})


def _lists(api: APIRouter, gateway: Watched, admin: Callable[[Request], Any]) -> None:
    @api.get("/session")
    async def session(key: Annotated[Any, Depends(admin)]) -> Response:
        return _json({"name": None if key is None else key.name})

    @api.get("/requests")
    async def requests(
        model: Text = None, target: Text = None, route: Text = None, outcome: Text = None, key_id: Text = None,
        text: Text = None, before_time: float | None = None, before_id: Text = None,
    ) -> Response:  # fmt: skip
        before = (before_time, before_id) if before_time is not None and before_id is not None else None
        wanted = {"model": model, "target": target, "route": route, "outcome": outcome, "key_id": key_id, "text": text}
        return _json(await read(gateway.database, lambda c: recent(c, wanted, before)))

    @api.get("/requests/{request_id}")
    async def request(request_id: str) -> Response:
        found = await read(gateway.database, lambda c: one(c, request_id))
        if found is None:
            raise GatewayError(404, "There is no such request.", code="not_found")
        return _json(found)


def _strongest(gateway: Watched) -> str | None:
    """Arm of the target with whose price the books compare."""
    name = gateway.fleet.strongest()
    return None if name is None else gateway.config.find(name).arm_name


def _last_minute(connection: Connection, now: float) -> dict[str, Any]:
    r = tables.requests.c
    query = sa.select(sa.func.count(), sa.func.avg(r.seconds)).where(r.time >= now - 60)
    number, seconds = connection.execute(query).one()
    return {"requests": number, "seconds": seconds}


def _state(connection: Connection, targets: list[str], now: float) -> dict[str, Any]:
    names = {row.id: row.name for row in connection.execute(sa.select(tables.keys.c.id, tables.keys.c.name))}
    limits = [keys.Limit(*row) for row in connection.execute(sa.select(tables.limits))]
    routers = sa.select(tables.routers).order_by(tables.routers.c.created.desc()).limit(ROUTERS)
    alarms = tables.alarms.c
    newest = sa.select(tables.alarms).order_by(alarms.cleared.is_not(None), alarms.time.desc()).limit(ALARMS)
    return {
        "limits": [
            {**used, "name": names.get(used["subject"], used["subject"])}
            for used in keys.usage(connection, limits, now)
        ],
        "upstreams": upstreams(connection, targets, now),
        "routers": [dict(row) for row in connection.execute(routers).mappings()],
        "alarms": [dict(row) for row in connection.execute(newest).mappings()],
    }
