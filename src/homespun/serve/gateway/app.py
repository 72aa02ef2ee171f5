"""`create_app` gives one ASGI callable: busy endpoints go straight to the pipeline, the rest to FastAPI."""

import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from homespun import __version__
from homespun.errors import HomespunError
from homespun.serve.gateway import http, openapi
from homespun.serve.gateway.config import GatewayConfig, load
from homespun.serve.gateway.dashboard import dashboard_routes
from homespun.serve.gateway.endpoints import ENDPOINTS
from homespun.serve.gateway.gateway import Gateway
from homespun.serve.gateway.learning import feedback_routes
from homespun.serve.gateway.pipeline import handle
from homespun.serve.gateway.types import GatewayError

log = logging.getLogger("homespun.gateway")

App = Callable[[Any, Any, Any], Awaitable[None]]
CONFIG_VARIABLE, AUTH_VARIABLE = "HOMESPUN_GATEWAY_CONFIG", "HOMESPUN_GATEWAY_NO_AUTH"
ADDRESS_VARIABLE = "HOMESPUN_GATEWAY_ADDRESS"
"""How the process that starts the workers tells them what it was told."""


def create_app(config: GatewayConfig, *, path: Path | None = None, auth: bool = True) -> App:
    """The gateway as an ASGI application.

    Args:
        config: The settings.
        path: The file they came from; changes in it are taken over while it runs.
        auth: Whether a key is needed.
    """
    gateway = Gateway(config, path=path, auth=auth)
    rest = _rest(gateway)

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            endpoint = ENDPOINTS.get(scope["path"])
            if endpoint is None:
                await rest(scope, receive, send)
            elif scope["method"] == "POST":
                await handle(gateway, endpoint, scope, receive, send)
            else:
                error = GatewayError(405, f"{scope['method']} is not allowed here; POST is.", code="method_not_allowed")
                await http.answer(send, 405, endpoint.error(error), [(b"allow", b"POST")])
        elif scope["type"] == "lifespan":
            await _lifespan(gateway, receive, send)

    return app


def app_from_environment() -> App:
    """The application of a worker process, as `server.serve` started it."""
    name = os.environ.get(CONFIG_VARIABLE)
    path = Path(name) if name else None
    return create_app(load(path), path=path, auth=AUTH_VARIABLE not in os.environ)


async def _lifespan(gateway: Gateway, receive: Any, send: Any) -> None:
    await receive()
    try:
        await gateway.start()
    except HomespunError as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    _settle_down()
    if address := os.environ.get(ADDRESS_VARIABLE):
        log.info("listening on %s/v1, dashboard at %s/dashboard", address, address)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await gateway.stop()
    await send({"type": "lifespan.shutdown.complete"})


SWITCH_SECONDS = 0.0005
"""How long another thread may keep the interpreter from the event loop, which lets go of it at every write."""


def _settle_down() -> None:
    """What was made at the start lives on: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    sys.setswitchinterval(SWITCH_SECONDS)


def _rest(gateway: Gateway) -> FastAPI:
    app = FastAPI(
        title="homespun gateway",
        version=__version__,
        description="One OpenAI-compatible address that sends each question to the cheapest model that gets it right.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )

    @app.exception_handler(GatewayError)
    async def refused(_: Request, error: GatewayError) -> Response:
        headers = {name.decode(): value.decode() for name, value in http.error_headers(error)}
        return JSONResponse(error.body(), error.status, headers)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        what = f"There is nothing at {request.method} {request.url.path[:200]}; GET /openapi.json tells what there is."
        told = GatewayError(
            error.status_code, what if error.status_code == 404 else str(error.detail), code="not_found"
        )
        return JSONResponse(told.body(), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return JSONResponse(
            GatewayError(500, "The gateway failed; its log tells more.", kind="server_error").body(), 500
        )

    _health(app, gateway)
    _lists(app, gateway)
    app.include_router(feedback_routes(gateway))
    app.include_router(dashboard_routes(gateway))
    return app


def _health(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether requests can be served")
    async def readyz(response: Response) -> dict[str, bool]:
        response.status_code = 200 if gateway.ready else 503
        return {"ready": gateway.ready}

    @app.get("/metrics", summary="Counters and histograms for Prometheus", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        gateway.authenticate(request, admin=True)
        return Response(gateway.telemetry.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/status", summary="How this worker stands: books, settings, upstreams")
    async def status(request: Request) -> dict[str, Any]:
        gateway.authenticate(request, admin=True)
        return gateway.status()


def _lists(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/v1/models", summary="The models that this key may ask for")
    async def models(request: Request) -> dict[str, Any]:
        return {"object": "list", "data": gateway.models(gateway.authenticate(request))}

    @app.get("/v1/models/{name:path}", summary="One model")
    async def model(name: str, request: Request) -> dict[str, Any]:
        for found in gateway.models(gateway.authenticate(request)):
            if found["id"] == name:
                return found
        raise GatewayError(404, f"The model {name[:80]!r} does not exist.", code="model_not_found", param="model")

    @app.get("/v1/usage", summary="What this key has used of its limits")
    async def usage(request: Request) -> dict[str, Any]:
        key = gateway.authenticate(request)
        return {"object": "list", "data": [] if key is None else await gateway.books.usage(key)}

    @app.get("/openapi.json", include_in_schema=False)
    async def description(request: Request) -> dict[str, Any]:
        gateway.authenticate(request)
        return openapi.document(app.openapi())
