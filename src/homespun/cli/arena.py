"""`homespun arena`: the battle room, where programs run, people play with both, and vote."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from homespun.cli.output import Json, show_json, show_rows

Flag = Parameter(negative=())
COLUMNS = {"contestant": "", "title": "", "organization": "", "licence": "", "drawn": ""}


def arena(
    *,
    config: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8700,
    apps_port: int | None = None,
    check: Annotated[bool, Flag] = False,
    as_json: Json = False,
) -> None:
    """Serve the battle room until it is told to stop.

    Programs' pages are served beside it, each at an origin of its own: http://RUN.localhost:APPS_PORT.

    Args:
        config: The settings, section [arena]; default homespun.toml here, else what ships: local:smollm2, scripted and
            recorded contestants.
        host: Address to listen at.
        port: Port of the room; 0 takes a free one.
        apps_port: Port of the programs' pages; default the next one after the room's, 0 takes a free one.
        check: Only check the settings, and say who takes part.
        as_json: With --check, print one JSON object.
    """
    from homespun.serve.battle_room import config as settings
    from homespun.serve.battle_room import server

    loaded = settings.load(config)
    if check:
        rows = server.inspect(loaded)
        show_json({"contestants": rows}) if as_json else show_rows(rows, COLUMNS)
        return
    if apps_port is None:
        apps_port = port + 1 if port else 0
    server.serve(loaded, host=host, port=port, apps_port=apps_port)
