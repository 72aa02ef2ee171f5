"""The page and its files, read once; and the headers that bind the page.

The policy lets it run its own files only, load nothing from elsewhere, and frame nothing but the programs' origins.
Nor may a script of ours make markup or code of a text: where one tried, the browser would refuse (trusted types).
"""

from importlib import resources
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from homespun.serve.gateway.types import GatewayError

KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "woff2": "font/woff2",
    "LICENCES": "text/plain; charset=utf-8",
}
PAGE = "index.html"
SHARED = "nodes.js"
"""A file of the gateway's dashboard that the page uses too."""


def headers(frames: str) -> dict[str, str]:
    """Headers of every answer.

    Args:
        frames: Source expression of the programs' origins, as ``http://*.localhost:8701``.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
        f"connect-src 'self'; frame-src {frames}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    }


def _read(folder: Traversable, prefix: str = "") -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            files |= _read(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in KINDS:
            files[prefix + entry.name] = entry.read_bytes()
    return files


class Pages:
    """The files, in memory: nothing else is ever read for a client."""

    def __init__(self) -> None:
        self._files = _read(resources.files("homespun.serve.battle_room").joinpath("static"))
        dashboard = resources.files("homespun.serve.gateway.dashboard").joinpath("static")
        self._files[SHARED] = dashboard.joinpath(SHARED).read_bytes()

    async def page(self, request: Request) -> Response:
        """The page, whatever session its address names."""
        return self._answer(PAGE)

    async def file(self, request: Request) -> Response:
        """One of its files.

        Raises:
            GatewayError: 404.
        """
        return self._answer(request.path_params["path"])

    def _answer(self, name: str) -> Response:
        if (content := self._files.get(name)) is None:
            raise GatewayError(404, "There is no such file.", code="not_found")
        kind = KINDS[name.rpartition(".")[2].rpartition("/")[2]]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})
