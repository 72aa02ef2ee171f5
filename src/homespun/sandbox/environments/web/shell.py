"""The pages around programs. No text of a program goes into them: it comes in files of its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from homespun.sandbox.environments.types import Ran, Site
from homespun.sandbox.environments.web.build import Built

FAULT = "fault.js"
"""Shows errors in the page; loaded before everything else."""
_NAME = re.compile(r"[A-Za-z][\w-]{0,60}")
_STYLES = ("tailwind.css", "component.css", "app.css")


def shown(name: str) -> bytes:
    """One of our own files for the browser."""
    return Path(__file__).with_name(name).read_bytes()


def app_page(files: Mapping[str, bytes], containers: Sequence[str], title: str) -> bytes:
    """The page of a bundled app: its containers, its style sheets, its module."""
    links = "".join(f'<link rel="stylesheet" href="{name}">' for name in _STYLES if name in files)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<script src="{FAULT}"></script>{links}</head>'
        f'<body>{holders(containers)}<script type="module" src="app.js"></script></body></html>'
    ).encode()


def holders(names: Sequence[str]) -> str:
    """Empty elements with these ids, for programs that look for them."""
    return "".join(f'<div id="{name}"></div>' for name in names if _NAME.fullmatch(name))


def app(built: Built, containers: Sequence[str], title: str) -> Ran:
    """What came of a build: its site in a page, or why there is none."""
    if built.failed is not None:
        return built.failed
    page = app_page(built.files, containers, title)
    return site({**built.files, FAULT: shown(FAULT), "index.html": page}, built)


def site(files: Mapping[str, bytes], built: Built) -> Ran:
    """A site that is ready."""
    return Ran(status="ok", exit_code=0, seconds=built.seconds, app=Site(files=files), notes=built.notes)


def noted(ran: Ran, notes: Mapping[str, str]) -> Ran:
    """The same with further notes."""
    return replace(ran, notes={**notes, **ran.notes})
