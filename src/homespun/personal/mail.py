"""E-mail addresses, as they are written and as they are disguised: "name (at) host [dot] org", "name at host dot org".

The last label must be a name of the root zone, which tells ``icon@2x.png`` from an address, and names that RFC 2606
and 6761 keep for examples are nobody's. Disguises in plain words need "at" and "dot" both, and a first word that is
not one of those that stand before "at" in prose ("find us at example dot com").
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from homespun.personal.addresses import public
from homespun.personal.spans import Span

_LOCAL = r"[\w+][\w.+'*~!#$^-]{0,63}"
_MARKS = "\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff"
_LABEL = rf"[\w{_MARKS}](?:[\w{_MARKS}-]{{0,62}})"
_SIGN = r"(?:@|＠|%40|&#64;|&#x40;|&commat;)"
_OPEN, _CLOSE = r"\s{0,3}[(\[{<]\s{0,2}", r"\s{0,2}[)\]}>]\s{0,3}"
_AT = r"(?:at|@|ät|arroba|chiocciola|arobase|собака)"
_DOT = r"(?:dot|\.|punkt|punto|ponto|point|точка)"
_BRACKETED_DOT = rf"(?:[.．。]|{_OPEN}{_DOT}{_CLOSE}|\s{{1,3}}dot\s{{1,3}})"
_WORD = r"\w[\w+-]{0,40}"

PLAIN = re.compile(rf"(?<!\w)({_LOCAL}){_SIGN}((?:{_LABEL}\.){{1,8}}[\w{_MARKS}-]{{2,63}}|\[[0-9A-Fa-f.:]{{7,45}}\])")
BRACKETED = re.compile(
    rf"(?i)(?<!\w)({_WORD}(?:{_BRACKETED_DOT}{_WORD}){{0,3}}){_OPEN}{_AT}{_CLOSE}"
    rf"({_LABEL}(?:{_BRACKETED_DOT}{_LABEL}){{1,5}})"
)
_BRACKETED_AT = re.compile(rf"(?i)[(\[{{<]\s{{0,2}}{_AT}\s{{0,2}}[)\]}}>]")
WORDS = re.compile(
    rf"(?i)(?<!\w)({_WORD}(?:(?:\s{{1,3}}dot\s{{1,3}}|\.){_WORD}){{0,3}})(?:\s{{1,3}}at\s{{1,3}}|@)"
    rf"({_LABEL}(?:\s{{1,3}}dot\s{{1,3}}{_LABEL}){{1,4}})"
)
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Letters of scripts that set no space between words, so that prose runs into an address."""
_SPLIT = re.compile(rf"(?i)\s*[(\[{{<]?\s*(?<![^\W_]){_DOT}(?![^\W_])\s*[)\]}}>]?\s*|[.．。]")

_PROSE = """
    a about all also am an and are arrived available be been begin book bought buy by came can check click
    contact download dropped email find found for from get go had has have he her here him his home i in is it
    its join just keep laugh learn listen live located look me meet more not now of offer on online only or
    order our out over page play posted read register see seen sell she shop shout site sold start stay stop
    store that the their them then there they this time to today up us view visit was we web website well went
    were what where which who with work write you your
"""
"""Words that stand before "at" in prose; none of them names a mailbox."""
_BEFORE_AT = frozenset(_PROSE.split())
_KEPT = ("example.com", "example.org", "example.net", "example.edu")
_KEPT_ENDINGS = (".example", ".test", ".invalid", ".local", ".localhost", *(f".{name}" for name in _KEPT))
_TOOLS = frozenset({"git", "hg", "svn", "ssh"})
HINT = rf"(?i)@|＠|%40|&#64;|&#x40;|&commat;|[(\[{{<]\s{{0,2}}{_AT}\s{{0,2}}[)\]}}>]|\sdot\s"
"""A text without this holds no address; for a fast first look."""


def emails(text: str, *, disguised: bool = True) -> Iterator[Span]:
    """Addresses, from left to right.

    Args:
        text: Prose.
        disguised: Whether those that are spelt out in words count.
    """
    found = list(_plain(text))
    if disguised:
        if _BRACKETED_AT.search(text):
            found += _disguised(text, BRACKETED, frozenset())
        if " dot " in text.lower():
            found += _disguised(text, WORDS, _BEFORE_AT)
    end = 0
    for span in sorted(found):
        if span.start >= end:
            yield span
            end = span.stop


@cache
def top_level() -> frozenset[str]:
    """Names of the root zone, in lower case; those outside ASCII as they are written and as they are encoded."""
    lines = files("homespun.personal").joinpath("tlds.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


def _plain(text: str) -> Iterator[Span]:
    for found in PLAIN.finditer(text):
        local = re.split(r"\.\.+", found[1])[-1]
        local = (_UNSPACED.split(local)[-1] or local).lstrip("'*~!#$^-.")
        start = found.end(1) - len(local)
        if not local or local.endswith("."):
            continue
        host = found[2]
        if host.startswith("["):
            host = host if public(host[1:-1]) else ""
        else:
            prose = _UNSPACED.search(host)
            host = _domain(host[: prose.start()] if prose and prose.start() else host)
        if not host or _nobodys(host.lower()):
            continue
        stop = found.start(2) + len(host)
        if local.lower() in _TOOLS and text[stop : stop + 1] == ":":  # git@host.org:path is a place, not a person
            continue
        yield Span(start, stop, f"{local}@{host}".lower())


def _disguised(text: str, pattern: re.Pattern[str], kept: frozenset[str]) -> Iterator[Span]:
    for found in pattern.finditer(text):
        local, labels = _joined(found[1]), _joined(found[2]).split(".")
        while labels and labels[-1].lower() not in top_level():
            labels.pop()
        host = ".".join(labels)
        if len(labels) < 2 or not local or local.lower() in kept or _nobodys(host.lower()) or _domain(host) != host:
            continue
        yield Span(found.start(), _stop(found, len(labels)), f"{local}@{host}".lower())


def _stop(found: re.Match[str], count: int) -> int:
    """Where the ``count``-th label of a disguised host ends."""
    cuts = [cut.start() for cut in _SPLIT.finditer(found[2])]
    return found.start(2) + cuts[count - 1] if count <= len(cuts) else found.end()


def _joined(spelt: str) -> str:
    return ".".join(part for part in _SPLIT.split(spelt) if part)


def _domain(host: str) -> str:
    """The longest beginning of a dotted name that ends in a name of the root zone; empty where there is none."""
    labels = host.split(".")
    while len(labels) > 1:
        last = labels[-1].lower()
        good = all(label and not label.endswith("-") and "_" not in label for label in labels)
        if last in top_level() and good and len(".".join(labels)) <= 253:
            return ".".join(labels)
        labels.pop()
    return ""


def _nobodys(host: str) -> bool:
    return host in _KEPT or host.endswith(_KEPT_ENDINGS)
