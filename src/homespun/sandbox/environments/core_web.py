"""Core Web: a page as it was written, with what it loads from delivery networks as files of its own site.

Inline modules with imports are bundled; Tailwind's play script, which is on no registry, becomes the style sheet that
it would have made. What cannot be had is left out with a note.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from homespun.records import JSON
from homespun.sandbox.environments import cdn_pages
from homespun.sandbox.environments.cdn_pages import PLAY_CDN, Address, Element, Use
from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.environments.web import shell
from homespun.sandbox.environments.web.build import Built, build
from homespun.sandbox.jail.types import Jail
from homespun.sandbox.reply.cdn import is_address
from homespun.sandbox.reply.markup import is_page
from homespun.sandbox.reply.script_source import read_script

_EMPTY: dict[Use, str] = {
    "script": "data:text/javascript,",
    "module": "data:text/javascript,",
    "style": "data:text/css,",
}
_PLACES = (
    re.compile(r"<head(?:\s[^>]{0,500})?>", re.I),
    re.compile(r"<html(?:\s[^>]{0,500})?>", re.I),
    re.compile(r"<!doctype[^>]{0,200}>", re.I),
)
_FILE = re.compile(r"cdn/[\w@~+./-]{1,300}")
_PYTHON = ("py", "mpy", "text/python", "text/pyscript")


@dataclass(slots=True)
class _Plan:
    """What is asked of the build, and what the page says that needs no build."""

    addresses: dict[str, Address] = field(default_factory=dict[str, Address])
    modules: list[Element] = field(default_factory=list[Element])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    dropped: dict[str, str] = field(default_factory=dict[str, str])
    """Addresses that cannot be had: what stands in their place."""
    plugins: list[str] = field(default_factory=list[str])
    tailwind: str = ""
    """The address of the play script, as written."""

    def add(self, text: str, use: Use) -> None:
        """Notes an address that is loaded."""
        read = cdn_pages.address(text, use)
        if isinstance(read, Address):
            self.addresses.setdefault(text, read)
        elif use != "text":
            self.notes[text[:200]] = f"left out: {read}"
            self.dropped[text] = _EMPTY[use]


def run(work: Work, jail: Jail) -> Ran:
    """Prepares the page; Node runs in the jail only where something has to be fetched from packages.

    Raises:
        SandboxError: the jail cannot be had.
    """
    html = work.found.code
    if html.lstrip()[:4].lower() == "<svg" or (not is_page(html) and "<body" not in html.lower()):
        html = f"<!doctype html><html><body>{html}</body></html>"
    found = cdn_pages.elements(html)
    plan = _plan(html, found)
    built = Built()
    if plan.addresses or plan.modules or plan.tailwind:
        order = _order(html, found, plan)
        built = build(work, jail, order, {f"module{at}.js": each.body.encode() for at, each in enumerate(plan.modules)})
        if built.failed is not None:
            return built.failed
    page = _page(html, found, plan, built)
    files = {**built.files, shell.FAULT: shell.shown(shell.FAULT), "index.html": page.encode()}
    return shell.noted(shell.site(files, built), plan.notes)


def _plan(html: str, found: list[Element]) -> _Plan:
    plan = _Plan()
    for element in found:
        use = cdn_pages.needs(element)
        source = element.attributes.get("src") or element.attributes.get("href") or ""
        kind = element.attributes.get("type", "").lower()
        play = PLAY_CDN.fullmatch(source) if use == "script" else None
        if play is not None:
            plan.tailwind = source
            plan.plugins = re.findall(r"[a-z-]+", (play["query"] or "").removeprefix("plugins="))
        elif use is not None:
            plan.add(source, use)
        elif element.name == "script" and kind in _PYTHON:
            plan.notes["Python in the page"] = "PyScript and Pyodide cannot be had here"
        elif cdn_pages.is_module(element):
            plan.modules.append(element)
        elif element.name == "script" and kind != "importmap":
            for text in cdn_pages.quoted_addresses(element.body):
                plan.add(text, "text")
        elif source and not is_address(source) and _is_beside(element, source):
            plan.notes[source[:200]] = "a file beside the page, which is one file: not there"
    return plan


def _is_beside(element: Element, source: str) -> bool:
    """Whether code or style is loaded from a file of its own."""
    loads = element.name == "script" or "stylesheet" in element.attributes.get("rel", "").lower()
    return loads and not source.startswith(("data:", "#", "blob:"))


def _order(html: str, found: list[Element], plan: _Plan) -> JSON:
    order: JSON = {
        "kind": "page",
        "addresses": [
            {"address": each.text, "use": each.use, "name": each.package.name, "path": each.path}
            for each in plan.addresses.values()
        ],
        "imports": _imports(plan, cdn_pages.import_map(found)),
        "modules": len(plan.modules),
        "tailwind": None,
    }
    if plan.tailwind:
        scripts = [each.body for each in found if each.name == "script" and "tailwind" in each.body]
        styles = [each.body for each in found if each.name == "style" and "tailwind" in each.attributes.get("type", "")]
        order["tailwind"] = {"page": html, "scripts": scripts, "styles": styles, "plugins": plan.plugins}
    return order


def _imports(plan: _Plan, entries: Mapping[str, str]) -> dict[str, list[str]]:
    """Specifiers, and prefixes of them, to package and path; addresses in modules as well as entries of the map."""
    targets = dict(entries)
    for module in plan.modules:
        targets.update({name: name for name in read_script(module.body).imports if is_address(name)})
    imports: dict[str, list[str]] = {}
    for key, value in targets.items():
        read = cdn_pages.address(value, "module") if is_address(value) else None
        if isinstance(read, Address):
            imports[key] = [read.package.name, read.path + ("/" if value.endswith("/") and read.path else "")]
        elif read is not None:
            plan.notes[value[:200]] = f"left out: {read}"
    return imports


def _page(html: str, found: list[Element], plan: _Plan, built: Built) -> str:
    """The page with its addresses exchanged, its modules outside, and what it lacks at its head."""
    replaced = dict(plan.dropped)
    told: JSON = built.data.get("replaced", {}) if isinstance(built.data.get("replaced"), dict) else {}
    for text, read in plan.addresses.items():
        place = str(told.get(text, ""))
        if _FILE.fullmatch(place) and place in built.files:
            replaced[text] = place
        elif read.use != "text":
            replaced[text] = _EMPTY[read.use]
    if plan.tailwind:
        replaced[plan.tailwind] = "cdn/tailwind.js"
    pieces: list[str] = []
    at = 0
    modules = {id(each): number for number, each in enumerate(plan.modules)}
    for element in found:
        pieces.append(html[at : element.start])
        at = element.end
        if id(element) in modules:
            pieces.append(f'<script type="module" src="cdn/module{modules[id(element)]}.js">')
            continue
        pieces.append(_exchange(html[element.start : element.body_start], element, replaced))
        pieces.append(_strings(html[element.body_start : element.end], replaced))
    return _headed("".join([*pieces, html[at:]]), "cdn/tailwind.css" in built.files)


def _exchange(tag: str, element: Element, replaced: Mapping[str, str]) -> str:
    source = element.attributes.get("src") or element.attributes.get("href") or ""
    if source not in replaced:
        return tag
    # A checksum is that of the network's own file.
    tag = re.sub(
        r"\s(?:integrity|crossorigin|nonce)(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+))?", "", tag, flags=re.IGNORECASE
    )
    return tag.replace(source, replaced[source], 1)


def _strings(body: str, replaced: Mapping[str, str]) -> str:
    for text in cdn_pages.quoted_addresses(body):
        if text in replaced:
            body = body.replace(text, replaced[text])
    return body


def _headed(html: str, styled: bool) -> str:
    """Charset, viewport and errors first in the head, where there is one; Tailwind's sheet last, as its script does."""
    first = "" if re.search(r"<meta[^>]{0,200}charset", html[:20_000], re.I) else '<meta charset="utf-8">'
    if not re.search(r"<meta[^>]{0,200}viewport", html[:20_000], re.I):
        first += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    first += f'<script src="{shell.FAULT}"></script>'
    at = next((match.end() for place in _PLACES if (match := place.search(html[:50_000]))), 0)
    if styled:
        sheet = '<link rel="stylesheet" href="cdn/tailwind.css">'
        end = re.search(r"</head\s*>", html, re.I)
        if end is not None and end.start() >= at:
            html = html[: end.start()] + sheet + html[end.start() :]
        else:
            first += sheet
    return html[:at] + first + html[at:]
