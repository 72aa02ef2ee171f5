"""Serving an app that is files alone, out of memory: there is no path to leave by."""

import hashlib
import mimetypes
from urllib.parse import unquote

from aiohttp import web

from homespun.sandbox.apps import logger, markup, pages
from homespun.sandbox.apps.shelf import State
from homespun.sandbox.environments.types import Site

_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".cjs": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".htm": "text/html",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".webmanifest": "application/manifest+json",
}


def content_type(path: str) -> str:
    """The content type by a file's name, the charset with it where the file is text."""
    ending = path[path.rfind(".") :].lower() if "." in path.rsplit("/", 1)[-1] else ""
    kind = _TYPES.get(ending) or mimetypes.guess_type(path)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind in ("application/json", "image/svg+xml")
    return f"{kind}; charset=utf-8" if text else kind


class SiteHandler:
    """Answers for one `Site`; its pages carry the logger."""

    def __init__(self, site: Site) -> None:
        self._files = {
            path: markup.inserted(body, logger.TAG) if content_type(path).startswith("text/html") else body
            for path, body in site.files.items()
        }
        self._tags = {path: f'"{hashlib.sha256(body).hexdigest()[:32]}"' for path, body in self._files.items()}
        self._start = site.start

    def state(self) -> State:
        """``open``: files do not die."""
        return "open"

    async def answer(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        """The file that the request names."""
        if request.method not in ("GET", "HEAD"):
            return pages.told(405, "The app is files only.", headers | {"Allow": "GET, HEAD"})
        path = self._path(request)
        if path is None:
            return pages.told(404, "The app has no such file.", headers)
        tag = self._tags[path]
        # no-cache: kept, but asked for again each time, since a run's files never outlive it on our side
        headers = headers | {"ETag": tag, "Cache-Control": "no-cache", "Accept-Ranges": "bytes"}
        if tag in [known.strip().removeprefix("W/") for known in request.headers.get("If-None-Match", "").split(",")]:
            return web.Response(status=304, headers=headers)
        return self._body(request, self._files[path], headers | {"Content-Type": content_type(path)})

    def _path(self, request: web.BaseRequest) -> str | None:
        path = unquote(request.raw_path.partition("?")[0].partition("#")[0]).removeprefix("/")
        if not path or path.endswith("/"):
            path += self._start if not path else "index.html"
        return path if path in self._files else None

    def _body(self, request: web.BaseRequest, body: bytes, headers: dict[str, str]) -> web.Response:
        status = 200
        if "Range" in request.headers and request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]:
            try:
                start, end, _ = request.http_range.indices(len(body)) if request.http_range else (0, len(body), 1)
            except ValueError:  # several ranges, or nonsense: the whole file is a right answer to both
                start, end = 0, len(body)
            if start >= len(body) or start >= end:
                return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{len(body)}"})
            if end - start < len(body):
                status = 206
                headers = headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}
                body = body[start:end]
        if request.method == "HEAD":
            return web.Response(status=status, headers=headers | {"Content-Length": str(len(body))})
        return web.Response(status=status, headers=headers, body=body)

    async def close(self) -> None:
        """Nothing is open."""
