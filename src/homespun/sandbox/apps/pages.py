"""Our own small pages, where an app has nothing to show."""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus

from aiohttp import web

NOTICE = "Homespun-Notice"
"""The header that tells our pages from an app's, which cannot send it."""
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em}}
h1{{font-size:1.1em}}</style><h1>{title}</h1><p>{text}</p></html>
"""


def told(status: int, text: str, headers: Mapping[str, str]) -> web.Response:
    """A page that says why there is no app: one sentence, no script, nothing from the app in it."""
    title = escape(f"{status} {HTTPStatus(status).phrase}")
    body = _PAGE.format(title=title, text=escape(text)).encode()
    return web.Response(
        status=status,
        body=body,
        content_type="text/html",
        charset="utf-8",
        headers={**headers, NOTICE: text, "Cache-Control": "no-store"},
    )
