"""`homespun serve`: the gateway, an OpenAI-compatible address that routes each request to the cheapest able model."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from homespun.cli.output import Json, say, show_json, show_rows

Flag = Parameter(negative=())
COLUMNS = {"target": "", "kind": "", "model": "", "price": "", "keys": "", "able": ""}


def serve(
    *,
    config: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    auth: Annotated[bool, Parameter(negative="--no-auth")] = True,
    check: Annotated[bool, Flag] = False,
    as_json: Json = False,
) -> None:
    """Serve the gateway until it is told to stop; running requests then get time to end.

    Args:
        config: The settings; default homespun.toml here, else what ships: local:smollm2 and recorded models.
        host: Address to listen at, instead of the file's.
        port: Port to listen at, instead of the file's; 0 takes a free one.
        workers: Processes, instead of the file's.
        auth: Whether a key is needed; --no-auth only on a loopback address.
        check: Only check the settings, and say what would be served.
        as_json: With --check, print one JSON object.
    """
    from homespun.serve.gateway import config as settings
    from homespun.serve.gateway import server

    loaded = settings.load(config)
    path = config or (Path("homespun.toml") if Path("homespun.toml").is_file() else None)
    where = host or loaded.server.host
    server.check_address(where, auth=auth)
    if check:
        _show(_checked(loaded), as_json)
        return
    number = server.free_port(where, loaded.server.port if port is None else port)
    count = loaded.server.workers if workers is None else workers
    _hint(loaded, auth)
    server.serve(loaded, path=path, host=where, port=number, workers=count, auth=auth)


def _checked(config: Any) -> list[dict[str, Any]]:
    """One row per target; whatever would fail at the start fails here."""
    import asyncio

    from homespun.serve.gateway.gateway import inspect

    return asyncio.run(inspect(config))


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json({"ok": True, "targets": rows})
        return
    show_rows(rows, COLUMNS)
    print(f"\n{len(rows)} targets; the settings are in order")


def _hint(config: Any, auth: bool) -> None:
    """A gateway that needs keys and has none is of no use to anybody: say how to make one."""
    if not auth:
        return
    from homespun.serve.store import keys
    from homespun.serve.store.database import Database

    database = Database(config.database_url())
    try:
        database.migrate()
        if not database.run_now(keys.any_key):
            say("there are no keys yet; try: homespun keys create NAME")
    finally:
        database.close()
