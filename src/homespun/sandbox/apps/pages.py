"""Our own small pages, where an app has nothing to show."""

from html import escape
from http import HTTPStatus

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em}}
h1{{font-size:1.1em}}</style><h1>{title}</h1><p>{text}</p></html>
"""


def page(status: int, text: str) -> bytes:
    """A page that says why there is no app: one sentence, no script, nothing from the app in it."""
    return _PAGE.format(title=escape(f"{status} {HTTPStatus(status).phrase}"), text=escape(text)).encode()
