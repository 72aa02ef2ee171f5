"""The processes: granian keeps the workers, hands them connections, and lets running requests end when it stops."""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

from homespun.errors import ConfigError
from homespun.serve.gateway.app import ADDRESS_VARIABLE, AUTH_VARIABLE, CONFIG_VARIABLE
from homespun.serve.gateway.config import GatewayConfig

HEADER_BYTES = 64 * 1024
"""Bytes of a request's line and headers that are read at most."""
HEADER_MILLISECONDS = 10_000
"""How long a client may take to send them."""

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "loggers": {
        "_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "homespun": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}


def check_address(host: str, *, auth: bool) -> None:
    """Without keys only this machine may ask.

    Raises:
        ConfigError: an address that others reach, and no keys.
    """
    if auth or host == "localhost":
        return
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise ConfigError(f"would let anybody ask at {host}", "--no-auth", "--host 127.0.0.1, or keys")


def free_port(host: str, port: int) -> int:
    """The port, or a free one for 0.

    Raises:
        ConfigError: the port is taken, or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            what = getattr(error, "strerror", None) or str(error)
            raise ConfigError(what, f"{host}:{port}", "another --port or --host") from None
        return probe.getsockname()[1]


def serve(
    config: GatewayConfig,
    *,
    path: Path | None,
    host: str,
    port: int,
    workers: int,
    auth: bool,
) -> None:
    """Serves until it is told to stop (SIGTERM or SIGINT), then lets running requests end.

    Args:
        config: The settings, checked.
        path: Where they came from.
        host: Address to listen at.
        port: Port to listen at.
        workers: Processes.
        auth: Whether a key is needed.

    Raises:
        ConfigError: an address that cannot be had.
    """
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    if path is not None:
        os.environ[CONFIG_VARIABLE] = str(path.resolve())
    else:
        os.environ.pop(CONFIG_VARIABLE, None)
    os.environ[ADDRESS_VARIABLE] = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if auth:
        os.environ.pop(AUTH_VARIABLE, None)
    else:
        os.environ[AUTH_VARIABLE] = "1"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads would only wait for work, loudly
    server = Granian(
        "homespun.serve.gateway.app:app_from_environment",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        workers=workers,
        backlog=2048,
        backpressure=config.server.max_waiting + 64,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=HEADER_BYTES),
        workers_kill_timeout=max(1, round(config.server.drain)),
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
        log_dictconfig=LOGGING,
    )
    server.serve()
