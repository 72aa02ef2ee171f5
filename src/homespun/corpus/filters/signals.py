"""Refusals beside robots rules, which Apertus did not read. All are off by default.

* Content signals (contentsignals.org): ``Content-Signal: ai-train=no`` in a robots file, for ``*`` or for an agent.
* ``/ai.txt`` (Spawning): a file in robots syntax, obeyed as it stands there for ``*``.
* TDM reservation protocol (W3C community group): ``tdm-reservation: 1`` as a header or a meta element.
* ``noai`` and ``noimageai`` in ``X-Robots-Tag`` or a robots meta element.

The last two are read from what the input captured in ``meta``: a key of that name, at the top or under ``headers``.
"""

import json
import re
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from typing import Any, Literal, NamedTuple, cast

import polars as pl

from homespun.corpus.filters.robots_table import RobotsTable
from homespun.corpus.robots.hosts import host_of, look_up
from homespun.corpus.robots.parse import TOKEN, bounded, decode
from homespun.corpus.robots.paths import path_of
from homespun.corpus.robots.robots import robots_file

Signal = Literal["content_signal", "ai_txt", "tdm", "x_robots"]
SIGNALS: tuple[Signal, ...] = ("content_signal", "ai_txt", "tdm", "x_robots")
_SIGNAL = re.compile(r"(?:(?P<path>/\S*)\s+)?(?P<said>[A-Za-z0-9_-]+\s*=.*)\Z")


class Said(NamedTuple):
    """A signal against one document."""

    signal: Signal
    rule: str
    """What says so, as it stands there."""


def site_signals(table: RobotsTable, urls: pl.Series, signals: Set[Signal], agents: Sequence[str]) -> dict[int, Said]:
    """Rows that a robots file's content signals or an ai.txt refuse.

    Args:
        table: Robots files.
        urls: Of the documents.
        signals: Those that are asked for.
        agents: Names beside ``*`` whose signals count.
    """
    found: dict[int, Said] = {}
    if not signals & {"content_signal", "ai_txt"}:
        return found
    for row, url in enumerate(urls.to_list()):
        host = host_of(url) if url else ""
        if not host:
            continue
        if "content_signal" in signals and (file := look_up(table, host)) is not None and file.content:
            for path, rule in content_signals(file.content, tuple(agents)):
                if path_of(url).startswith(path):
                    found.setdefault(row, Said("content_signal", rule))
        if "ai_txt" in signals and (content := table.ai_txt(host)):
            verdict = robots_file(bounded(content), "rfc").verdict(url, "*")
            if not verdict.allowed and verdict.rule:
                found.setdefault(row, Said("ai_txt", verdict.rule))
    return found


@lru_cache(8192)
def content_signals(content: bytes | str, agents: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Path prefixes that a robots file reserves from training, each with its line.

    Args:
        content: The file.
        agents: Names whose groups count beside ``*``.
    """
    if not re.search("(?i)content-signal", decode(content, "rfc")):
        return ()
    names = {"*"} | {token[0].lower() for agent in agents if (token := TOKEN.match(agent))}
    found: list[tuple[str, str]] = []
    ours, opening = True, False  # lines before the first group are for everybody
    for number, line in enumerate(decode(content, "rfc").splitlines(), 1):
        name, _, value = (part.strip() for part in line.partition("#")[0].partition(":"))
        if name.lower() == "user-agent":
            mine = value == "*" or ((token := TOKEN.match(value)) is not None and token[0].lower() in names)
            ours, opening = (ours and opening) or mine, True
            continue
        opening = opening and not name
        said = _SIGNAL.match(value) if ours and name.lower() == "content-signal" else None
        if said is None:
            continue
        pairs = dict(_pair(pair) for pair in said["said"].split(",") if "=" in pair)
        if pairs.get("ai-train") == "no":
            found.append((said["path"] or "/", f"line {number}: {line.strip()}"))
    return tuple(found)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().lower()


def captured(meta: pl.Series, signals: Set[Signal], agents: Sequence[str]) -> dict[int, Said]:
    """Rows whose page or answer said so, as far as the input captured it.

    Args:
        meta: JSON objects, or null; what is none says nothing.
        signals: Those that are asked for.
        agents: Names that a tag may be meant for, ``GPTBot: noai``.
    """
    found: dict[int, Said] = {}
    if not signals & {"tdm", "x_robots"}:
        return found
    hinted = meta.cast(pl.String).str.contains(r"(?i)tdm|noai|noimageai").fill_null(False)
    for row in hinted.arg_true().to_list():
        try:
            said = json.loads(meta[row])
        except (ValueError, RecursionError):
            continue
        values = _flat(said)
        if "tdm" in signals and (values.get("tdm-reservation") or "").strip() == "1":
            found[row] = Said("tdm", "tdm-reservation: 1")
        for name in ("x-robots-tag", "robots"):
            if "x_robots" in signals and _noai(values.get(name) or "", agents):
                found.setdefault(row, Said("x_robots", f"{name}: {values[name]}"[:200]))
    return found


def _flat(said: Any) -> dict[str, str]:
    """Names in lower case with hyphens, of the object itself and of those where headers are kept."""
    found: dict[str, str] = {}
    if isinstance(said, dict):
        row = cast("Mapping[str, Any]", said)
        for part in (row, *(row.get(name) for name in ("headers", "http", "meta"))):
            if isinstance(part, dict):
                for name, value in cast("Mapping[str, Any]", part).items():
                    if isinstance(value, list):
                        value = ", ".join(map(str, cast("list[Any]", value)))
                    if isinstance(value, str | int) and not isinstance(value, bool):
                        found.setdefault(name.lower().replace("_", "-"), str(value))
    return found


def _noai(tag: str, agents: Sequence[str]) -> bool:
    names = {agent.lower() for agent in agents}
    meant = True
    for part in tag.lower().split(","):
        name, colon, rest = part.partition(":")
        if colon and name.strip() not in ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"):
            meant, part = name.strip() in names, rest
        if meant and part.strip() in ("noai", "noimageai"):
            return True
    return False
