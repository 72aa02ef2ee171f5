"""The interaction logger, as served to one app: what a visitor does there, posted to the page that frames it.

Messages are ``{homespun: "log", run, records: [{type, time, payload}]}``, at most 50 records each. Types and payloads
(shared with the published logs of BigCodeArena, arXiv:2510.08697): ``load`` {}; ``resize`` {width, height}, after 1 s
of quiet; ``keydown`` {key}; ``click`` {x, y}, pixels in the frame; ``scroll`` {scrollTop, scrollLeft}, after 50 ms of
quiet; ``captureError`` {message, line}. ``time`` is ISO 8601, UTC, by the visitor's clock. Characters typed into a
password field are all called ``character``. Escape is told as ``{homespun: "escape", run}`` too, so that the
arena can take the keyboard back.

The app runs in the same document, so it can stop the logger or speak in its place: the records are untrusted. The
receiver must compare ``event.origin`` with the run's origin, since any frame may post to it, and bound what it keeps.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

RESERVED = "/.homespun/"
"""Paths that belong to us on every app's origin."""
PATH = f"{RESERVED}log.js"
TAG = f'<script src="{PATH}"></script>'.encode()


@cache
def _source(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


def script(run: str, parents: Sequence[str]) -> bytes:
    """The script for the app of ``run``, which tells ``parents`` (origins); storage where there is none comes along."""
    logger = f"(\n{_source('logger.js')})({json.dumps(run)}, {json.dumps(list(parents))});\n"
    return f"(\n{_source('storage.js')})();\n{logger}".encode()
