"""What a page loads from delivery networks, and where in the page: read as text, so that the rest stays as it is.

A page may not leave its own origin, so each address that delivers an npm package is exchanged for a file of the
site. Addresses are found where a page names them to be loaded: attributes, import maps, imports, strings of scripts.
"""

import json
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from homespun.records import JSON
from homespun.sandbox.reply.cdn import cdn_package, is_address
from homespun.sandbox.reply.script_source import read_script
from homespun.sandbox.reply.types import Dependency

Use = Literal["script", "style", "module", "text"]

# Never gives back what it has taken, and takes up to the end of the text if it must: linear in any text.
_INSIDE = r"(?=[\s/>])(?:[^>\"']|\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))*+"
_TAG = re.compile(
    rf"<!--.*?(?:-->|\Z)|<link(?P<link>{_INSIDE})(?:>|\Z)"
    rf"|<(?P<name>script|style)(?P<attributes>{_INSIDE})(?:>|\Z)(?P<body>.*?)(?=</(?P=name)[\s/>]|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([a-zA-Z][\w:-]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
_QUOTED = re.compile(r"([\"'`])((?:https?:)?//[^\s\"'`<>\\]{4,500})\1")
_FIRST_PATH = re.compile(r"(?:/npm:?)?(?:/(?:v\d+|stable|pin|-|new))*/(?:\*?@[^/]+/)?[^/]+")
_MOST = 200
PLAY_CDN = re.compile(r"(?:https?:)?//cdn\.tailwindcss\.com(?:/[\d.]*)?/?(?:\?(?P<query>[^\"']*))?")


@dataclass(frozen=True, slots=True)
class Element:
    """A script, style or link of a page: its attributes and text, and where it stands."""

    name: str
    attributes: dict[str, str]
    body: str
    start: int
    body_start: int
    end: int
    """Behind the opening tag for links, behind the body for the others."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as the page writes it, what it is used for, and the package's file it stands for."""

    text: str
    use: Use
    package: Dependency
    path: str
    """Below the package's folder, or of esm.sh and its like the subpath of an import; empty for the package itself."""


def elements(html: str) -> list[Element]:
    """The scripts, styles and links outside of comments, in order."""
    found: list[Element] = []
    for match in _TAG.finditer(html):
        name = "link" if match["link"] is not None else (match["name"] or "").lower()
        if not name:
            continue
        attributes = {
            each[1].lower(): next((value for value in each.groups()[1:] if value), "")
            for each in _ATTRIBUTE.finditer(match["link"] or match["attributes"] or "")
        }
        body_start = match.end() if name == "link" else match.start("body")
        found.append(Element(name, attributes, match["body"] or "", match.start(), body_start, match.end()))
    return found


def address(text: str, use: Use) -> Address | str:
    """What an address delivers, or the reason why it is left out."""
    package = cdn_package(text)
    if isinstance(package, str):
        return package
    return Address(text, use, package, _path(text, package))


def _path(text: str, package: Dependency) -> str:
    parts = urlsplit(text.strip())
    host, path = (parts.hostname or "").lower(), unquote(parts.path)
    if host in ("cdnjs.cloudflare.com", "ajax.googleapis.com"):
        return "/".join(path.split("/")[5:])
    if host in ("stackpath.bootstrapcdn.com", "maxcdn.bootstrapcdn.com"):
        return "/".join(path.split("/")[3:])
    if host in ("code.jquery.com", "cdn.plot.ly", "d3js.org", "threejs.org"):
        return path.rsplit("/", 1)[-1] if package.name != "plotly.js-dist-min" else ""
    if host == "cdn.jsdelivr.net":
        path = path.removeprefix("/npm")
    match = _FIRST_PATH.match(path)
    rest = path[match.end() :].strip("/") if match else ""
    return "" if rest == "+esm" else rest.removesuffix("/+esm")


def needs(element: Element) -> Use | None:
    """What an element loads by its address, if it loads code or style."""
    source = element.attributes.get("src") if element.name == "script" else element.attributes.get("href")
    if not source or not is_address(source):
        return None
    if element.name == "script":
        return "module" if element.attributes.get("type", "").lower() == "module" else "script"
    relation = element.attributes.get("rel", "").lower().split()
    return "style" if "stylesheet" in relation else None


def import_map(found: list[Element]) -> dict[str, str]:
    """What the page's import maps say, earlier ones first."""
    entries: dict[str, str] = {}
    for element in found:
        if element.name == "script" and element.attributes.get("type", "").lower() == "importmap":
            try:
                read: JSON = json.loads(element.body)
                pairs = [(str(key), str(value)) for key, value in dict(read.get("imports", {})).items()][:_MOST]
            except (ValueError, TypeError, AttributeError, RecursionError):
                continue
            entries = {**dict(pairs), **entries}
    return entries


def is_module(element: Element) -> bool:
    """Whether an element is an inline module that imports anything but files beside the page."""
    if (
        element.name != "script"
        or element.attributes.get("src")
        or element.attributes.get("type", "").lower() != "module"
    ):
        return False
    return any(not name.startswith((".", "/")) or is_address(name) for name in read_script(element.body).imports)


def quoted_addresses(text: str) -> list[str]:
    """Addresses in strings of a script."""
    return [match[2] for match in _QUOTED.finditer(text)][:_MOST]
