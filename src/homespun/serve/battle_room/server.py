"""One process: the room on granian, the programs' pages beside it, a browser for pictures, and an orderly end."""

import asyncio
import logging
import logging.config
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp

from homespun.errors import ConfigError
from homespun.sandbox.apps import AppHost
from homespun.sandbox.apps import Limits as HostLimits
from homespun.sandbox.browser import Browser
from homespun.sandbox.runner import Runner
from homespun.serve.battle_room.app import Closings, Parts, create_app
from homespun.serve.battle_room.config import Arena, ArenaConfig
from homespun.serve.battle_room.contestants import shipped
from homespun.serve.battle_room.contestants_types import Contestant, FleetContestant
from homespun.serve.gateway.config import GatewayConfig, Target, Timeouts
from homespun.serve.gateway.server import HEADER_BYTES, HEADER_MILLISECONDS, LOGGING, free_port
from homespun.serve.gateway.upstream import Fleet
from homespun.serve.store.database import Database

log = logging.getLogger("homespun.arena")

QUIET: dict[str, Any] = {
    **LOGGING,
    "loggers": {**LOGGING["loggers"], "_granian": {**LOGGING["loggers"]["_granian"], "level": "ERROR"}},
}
"""Without granian's warning that its server for one's own loop is new; errors are told."""
DRAIN_SECONDS = 5.0
"""How long running requests get at the end."""
LOCAL = "local:smollm2"
LOCAL_CARD = {"title": "SmolLM2", "organization": "Hugging Face", "licence": "Apache-2.0"}
LOCAL_PATIENCE = Timeouts(first_token=180.0, idle=120.0, total=600.0)
"""A model on this machine reads the whole prompt before its first word, and shares the processor with programs."""
ANYWHERE = ("0.0.0.0", "::")


def serve(config: ArenaConfig, *, host: str = "127.0.0.1", port: int = 8700, apps_port: int = 8701) -> None:
    """Serves until it is told to stop (SIGTERM or SIGINT).

    Args:
        config: The settings, checked.
        host: Address to listen at.
        port: Port of the room; 0: a free one.
        apps_port: Port of the programs' pages; 0: a free one.

    Raises:
        ConfigError: an address or a database that cannot be had.
        SandboxError: the sandbox is not set up.
    """
    import uvloop

    logging.config.dictConfig(QUIET)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, host, free_port(host, port), apps_port))


def origins(arena: Arena, host: str, port: int) -> list[str]:
    """Where the room is reached.

    Raises:
        ConfigError: it listens at every address, and nobody says by which name it is reached.
    """
    if host in ANYWHERE and not arena.origins:
        raise ConfigError("would be reached by a name that nobody told", host, 'origins = ["http://name:port"]')
    names = ["localhost", "127.0.0.1", *([] if host in ANYWHERE else [f"[{host}]" if ":" in host else host])]
    return [*arena.origins, *dict.fromkeys(f"http://{name}:{port}" for name in names)]


def contestants(config: ArenaConfig, fleet: Fleet) -> list[Contestant]:
    """Everyone who takes part: the file's, then those that ship.

    Args:
        config: The settings.
        fleet: Calls the targets.
    """
    targets = {target.name: target for target in config.gateway.target}
    found: list[Contestant] = [
        FleetContestant(
            fleet=fleet,
            target=targets[model.name],
            title=model.title or model.name,
            organization=model.organization,
            licence=model.licence,
        )
        for model in config.arena.model
    ]
    if config.arena.shipped:
        found += _local(targets, fleet, {one.name for one in found})
        found += shipped()
    return found


def patient(config: GatewayConfig) -> GatewayConfig:
    """The settings, with time for local models that have no times of their own."""
    targets = [
        target.model_copy(update={"timeouts": LOCAL_PATIENCE})
        if target.kind == "local" and target.timeouts is None
        else target
        for target in config.target
    ]
    return config.model_copy(update={"target": tuple(targets)})


def inspect(config: ArenaConfig) -> list[dict[str, Any]]:
    """Who takes part: contestant, title, organization, licence, and the weight with which it is drawn in battles.

    Raises:
        ConfigError: a target cannot be called.
    """

    async def look() -> list[Contestant]:
        fleet = Fleet(config.gateway)
        try:
            return contestants(config, fleet)
        finally:
            await fleet.close()

    arena = config.arena
    weights = {model.name: model.weight for model in arena.model} | dict.fromkeys(arena.outage, 0.0)
    return [
        {
            "contestant": one.name,
            "title": one.title,
            "organization": one.organization,
            "licence": one.licence,
            "drawn": weights.get(one.name, 1.0),
        }
        for one in asyncio.run(look())
    ]


def _local(targets: Mapping[str, Target], fleet: Fleet, there: set[str]) -> Sequence[Contestant]:
    if LOCAL not in targets or LOCAL in there:
        return []
    return [FleetContestant(fleet=fleet, target=targets[LOCAL], **LOCAL_CARD)]


async def _serve(config: ArenaConfig, host: str, port: int, apps_port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with parts(config, host, port, apps_port) as made, listening(create_app(made), host, port):
        log.info("battle room at %s, programs' pages at %s", made.origins[0], made.apps_pattern)
        await stop.wait()


@asynccontextmanager
async def parts(config: ArenaConfig, host: str, port: int, apps_port: int) -> AsyncGenerator[Parts]:
    """Everything that the room needs, open until the end of the block.

    Raises:
        ConfigError: an address or a database that cannot be had.
        SandboxError: the sandbox is not set up.
    """
    arena, state = config.arena, config.gateway.server.state
    places = origins(arena, host, port)
    database = Database(config.gateway.database_url())
    closings = Closings()
    most = arena.limits.apps + arena.limits.jobs  # the room closes first, and tells the page
    apps = AppHost(HostLimits(apps=most, idle_seconds=2 * arena.limits.idle_seconds), closings)
    fleet, browser, runner = Fleet(patient(config.gateway)), Browser(), None
    try:
        await asyncio.to_thread(database.migrate)
        await apps.start(host=host, port=apps_port, pattern=arena.apps_pattern, parents=places)
        runner = Runner(
            jail=arena.jail,
            host=apps,
            browser=browser,
            cache=state / "packages",
            jobs=arena.limits.jobs,
            warm=arena.warm,
            looks=arena.looks,
            look_later=True,
        )
        await browser.start(apps.socket)
        yield Parts(
            arena=arena,
            contestants=contestants(config, fleet),
            database=database,
            state=state,
            origins=places,
            apps_pattern=arena.apps_pattern.replace("{port}", str(apps.port)),
            player=runner,
            picture=browser.picture_of,
            closings=closings,
            alone=True,
        )
    finally:
        if runner is not None:
            await runner.close()
        await browser.close()
        await apps.close()
        await fleet.close()
        database.close()


@asynccontextmanager
async def listening(app: ASGIApp, host: str, port: int) -> AsyncGenerator[None]:
    """Serves an application on this loop until the end of the block, its own start and end included."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server.embed import Server

    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=HEADER_BYTES),
        log_level=LogLevels.error,
        log_dictconfig=QUIET,
    )
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.stop()
        await asyncio.wait({serving}, timeout=DRAIN_SECONDS)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
