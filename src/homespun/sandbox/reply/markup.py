"""HTML pages and Vue's single-file components: how to know them, and what they load."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser

from homespun.sandbox.reply.cdn import cdn_package, is_address
from homespun.sandbox.reply.script_source import ScriptSource, read_script
from homespun.sandbox.reply.types import Dependency, Language

_SKIPPED = re.compile(r"(?:\s+|<!--.{0,5000}?-->|<\?xml[^>]{0,500}\?>){0,20}", re.DOTALL)
_PAGE = re.compile(r"<(?:!doctype\s+(?:html|svg)|html|svg|head|body)[\s>]", re.IGNORECASE)
_FRAGMENT = re.compile(r"<(?:script|style|link|meta|title|!--)[\s>-]", re.IGNORECASE)
_TEMPLATE = re.compile(r"^<template(?:\s{1,20}(?:lang|functional)\b[^>]{0,200})?>", re.MULTILINE)
_SCRIPT = re.compile(r"^<script((?:\s[^>]{0,300})?)>", re.MULTILINE)
_COMPONENT = re.compile(r"^[ \t]*(?:export\s+default\b|import\b[^\n]*['\"]vue['\"])", re.MULTILINE)
_SFC_START = re.compile(r"<(?:template|script|style)[\s>]", re.IGNORECASE)
_FORMATTING = re.compile(r"</?(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)\b[^>]{0,500}>", re.IGNORECASE)
_MAX_FORMATTING = 2_000
_MAX_SCRIPTS = 50


def _start(code: str) -> int:
    match = _SKIPPED.match(code)
    return match.end() if match else 0


def is_page(code: str) -> bool:
    """Whether a text begins as an HTML document or an SVG picture does; comments before it don't count."""
    return bool(_PAGE.match(code, _start(code)))


def is_fragment(code: str) -> bool:
    """Whether a text begins with an element that only HTML has."""
    return bool(_FRAGMENT.match(code, _start(code)))


def is_component(code: str) -> bool:
    """Whether a text is a Vue single-file component: its parts stand at the left edge, one of them Vue's own."""
    if not _SFC_START.match(code, _start(code)):
        return False
    scripts = [match[1] for match in _SCRIPT.finditer(code)]
    if any(re.search(r"\bsetup\b", attributes) for attributes in scripts):
        return True
    exports = (
        bool(scripts) and not any("type=" in each or "src=" in each for each in scripts) and _COMPONENT.search(code)
    )
    return bool(exports) or (bool(_TEMPLATE.search(code)) and not scripts)


@dataclass(frozen=True, slots=True)
class Page:
    """What a page loads: packages by address, addresses that are no package, and its inline modules."""

    packages: tuple[Dependency, ...]
    refused: tuple[tuple[str, str], ...]
    imports: tuple[str, ...]


def read_page(code: str) -> Page:
    """Read the scripts, style sheets, import maps and inline modules of a page."""
    if sum(1 for _ in _FORMATTING.finditer(code)) > _MAX_FORMATTING:
        # HTML's repair of misnested formatting is quadratic, and formatting loads nothing.
        code = _FORMATTING.sub("", code)
    tree = LexborHTMLParser(code)
    addresses = [value for value in _attributes(tree) if is_address(value)]
    mapped: set[str] = set()
    imports: list[str] = []
    for at, node in enumerate(tree.css("script:not([src])")):
        kind = (node.attributes.get("type") or "").lower()
        if kind == "importmap":
            entries = _import_map(node.text())
            mapped |= entries.keys()
            addresses += [value for value in entries.values() if is_address(value)]
        elif kind in ("", "module", "text/javascript", "text/babel", "text/typescript") and at < _MAX_SCRIPTS:
            imports += read_script(node.text()).imports
    addresses += [name for name in imports if is_address(name)]
    bare = tuple(name for name in imports if not is_address(name) and not _mapped(name, mapped))
    packages, refused = packages_at(addresses)
    return Page(tuple(packages), tuple(refused), bare)


def _attributes(tree: LexborHTMLParser) -> Iterator[str]:
    for node in tree.css("script[src], link[rel][href]"):
        attributes = node.attributes
        relation = (attributes.get("rel") or "").lower()
        if node.tag == "script" or relation in ("stylesheet", "modulepreload"):
            yield attributes.get("src") or attributes.get("href") or ""


def _import_map(text: str) -> dict[str, str]:
    try:
        entries = json.loads(text).get("imports", {})
        return {str(key): str(value) for key, value in entries.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _mapped(name: str, keys: set[str]) -> bool:
    """Whether an import map answers for a name: itself, or a prefix that ends in a slash."""
    parts = name.split("/")[:8]
    return name in keys or any("/".join(parts[:length]) + "/" in keys for length in range(1, len(parts)))


def packages_at(addresses: list[str]) -> tuple[list[Dependency], list[tuple[str, str]]]:
    """The packages that addresses deliver, and the addresses that are none, each with its reason."""
    packages: list[Dependency] = []
    refused: list[tuple[str, str]] = []
    for address in addresses:
        bundle = address.partition("/combine/")[2].split(",") if "cdn.jsdelivr.net/combine/" in address else []
        for each in [f"https://cdn.jsdelivr.net/{part}" for part in bundle[:20]] or [address]:
            read = cdn_package(each)
            if isinstance(read, Dependency):
                packages.append(read)
            else:
                refused.append((each[:200], read))
    return packages, refused


def read_component(code: str) -> tuple[Language, ScriptSource]:
    """The language of a single-file component, by ``lang`` or by its types, and its script."""
    tree = LexborHTMLParser(code)
    scripts = tree.css("script")
    typed = any((node.attributes.get("lang") or "").lower() in ("ts", "tsx") for node in scripts)
    source = read_script("\n".join(node.text() for node in scripts), typed=typed)
    return source.language, source
