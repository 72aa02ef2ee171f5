"""A robots file, read line by line into groups. Three dialects, which differ in what they forgive.

``rfc``: RFC 9309, with what google/robotstxt forgives besides (a missing colon, common misspellings, lines cut at
16,664 bytes). ``paper``: as protego 0.7 reads, the parser that Apertus used. ``lenient``: everything that an owner may
have meant to forbid.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, overload

from homespun.corpus.robots.paths import paper_pattern, rfc_pattern
from homespun.corpus.robots.rules import Rule

Dialect = Literal["paper", "rfc", "lenient"]
MAX_BYTES = 500 * 1024
"""RFC 9309, section 2.5: at least this much of a file must be read; we read no more, but in the paper's dialect."""
MAX_PAPER_BYTES = 2**20
"""protego has no bound; ours keeps a hostile file from taking minutes."""
MAX_LINE = 2083 * 8
"""Bytes of a line that google/robotstxt reads."""
TOKEN = re.compile(r"[A-Za-z_-]+")
"""Product token, RFC 9309, section 2.2.1."""

_DISALLOW = {"disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"}  # spellchecker:disable-line
_AGENT = {"user-agent", "useragent", "user agent"}
_OTHER = {"sitemap", "sitemaps", "site-map", "host", "crawl-delay", "crawl delay", "request-rate", "request rate"} | {
    "visit-time",
    "visit time",
}
_SITE_WIDE = {"sitemap", "sitemaps", "site-map", "host"}
_KNOWN = _DISALLOW | _AGENT | _OTHER | {"allow"}


@dataclass(slots=True)
class Group:
    """The rules for one name, merged over the whole file."""

    agent: str
    """Lower-case; ``*`` for everybody."""
    rules: list[Rule] = field(default_factory=list[Rule])


def decode(content: bytes | str, dialect: Dialect) -> str:
    """The text of a file; what is no UTF-8 is replaced, and a byte order mark dropped but in the paper's dialect."""
    if dialect == "paper":
        content = bounded(content, MAX_PAPER_BYTES)
        return content if isinstance(content, str) else content.decode("utf-8", "replace")
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return bounded(raw.removeprefix(b"\xef\xbb\xbf")).decode("utf-8", "replace")


@overload
def bounded(content: bytes, limit: int = MAX_BYTES) -> bytes: ...


@overload
def bounded(content: bytes | str, limit: int = MAX_BYTES) -> bytes | str: ...


def bounded(content: bytes | str, limit: int = MAX_BYTES) -> bytes | str:
    """The beginning of a file, up to the end of a line: half of one could forbid more than the whole."""
    if len(content) <= limit:
        return content
    kept = content[:limit]
    text = kept if isinstance(kept, str) else kept.decode("latin-1")  # a byte a character, so that places are the same
    at = max(text.rfind("\n"), text.rfind("\r"))
    return kept[: at + 1] if at >= 0 else kept


def groups(content: bytes | str, dialect: Dialect) -> dict[str, Group]:
    """All groups of a file, by name in lower case.

    Args:
        content: The file.
        dialect: How it is read.
    """
    text = decode(content, dialect)
    return _paper(text) if dialect == "paper" else _grouped(list(_lines(text)), dialect)


def both(content: bytes | str) -> tuple[dict[str, Group], dict[str, Group]]:
    """The same in the dialects ``rfc`` and ``lenient``, whose lines are the same, and most often the groups as well."""
    lines = list(_lines(decode(content, "rfc")))
    strict = _grouped(lines, "rfc")
    alike = all(value == "*" or TOKEN.fullmatch(value) for _, name, value in lines if name in _AGENT)
    return strict, strict if alike else _grouped(lines, "lenient")


def _grouped(lines: Iterable[tuple[int, str, str]], dialect: Dialect) -> dict[str, Group]:
    found: dict[str, Group] = {}
    current: list[Group] = []
    ruled = False
    for number, name, value in lines:
        if name == "allow" or name in _DISALLOW:
            ruled = True
            if value and current:
                rules = _rules(name == "allow", value, number)
                for group in current:
                    group.rules += rules
        elif name in _AGENT:
            if ruled:
                current, ruled = [], False
            for agent in _agents(value, dialect):
                group = found.setdefault(agent, Group(agent))
                if not any(group is other for other in current):
                    current.append(group)
    return found


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, name in lower case, value) of each line that can be a rule."""
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if len(line) * 4 >= MAX_LINE:
            line = line.encode()[: MAX_LINE - 1].decode("utf-8", "ignore")
        bare = line.partition("#")[0].strip()
        if not bare:
            continue
        name, colon, value = bare.partition(":")
        if not colon:
            words = bare.split()
            if len(words) != 2:  # "disallow /" is understood, prose is not
                continue
            name, value = words
        yield number, name.strip().lower(), value.strip()


def _agents(value: str, dialect: Dialect) -> list[str]:
    """Names on a user-agent line. A name that is none makes a group that nobody is in."""
    if value[:1] == "*" and (len(value) == 1 or value[1].isspace()):
        return ["*"]
    if dialect == "rfc":
        token = TOKEN.match(value)
        return [token[0].lower() if token else ""]
    names = [value, *re.split(r"[,;\s]+", value)]
    return list(dict.fromkeys(name.lower().replace("*", "") or "*" for name in names if name))


def _rules(allow: bool, value: str, line: int) -> list[Rule]:
    pattern = rfc_pattern(value)
    if not pattern:
        return []
    if allow and pattern.endswith("/index.html"):  # as google/robotstxt and protego: the folder is allowed as well
        return [Rule(allow, pattern, line, value), Rule(True, pattern.removesuffix("index.html") + "$", line, value)]
    return [Rule(allow, pattern, line, value)]


def _paper(text: str) -> dict[str, Group]:
    found: dict[str, Group] = {}
    current: list[Group] = []
    before = None
    for number, line in enumerate(text.splitlines(), 1):
        directive = _directive(line.partition("#")[0].strip())
        if directive is None:
            continue
        name, value = directive
        if name in _AGENT and before is not None and before not in _AGENT:
            current = []
        if name not in _SITE_WIDE:
            before = name
        if not value:
            continue
        if name in _AGENT:
            for agent in _paper_agents(value):
                group = found.setdefault(agent, Group(agent))
                if not any(group is other for other in current):
                    current.append(group)
        elif name == "allow" or name in _DISALLOW:
            rules = _paper_rules(name == "allow", value, number)
            for group in current:
                group.rules += rules
    return found


def _paper_agents(value: str) -> list[str]:
    agent = value.strip().lower()
    bare = agent.replace("*", "") if agent != "*" else ""
    return [name for name in (agent, bare if bare != agent else "") if name]


def _paper_rules(allow: bool, value: str, line: int) -> list[Rule]:
    """A pattern with ``$`` counts twice, the first time with the sign as itself."""
    found = _paper_rules(allow, value.replace("$", "%24"), line) if "$" in value else []
    pattern = paper_pattern(value)
    if pattern:
        found.append(Rule(allow, pattern, line, value))
        if allow and pattern.endswith("/index.html"):
            found.append(Rule(True, pattern.removesuffix("index.html") + "$", line, value))
    return found


def _directive(line: str) -> tuple[str, str] | None:
    """Name and value of a line as protego finds them: by the first colon, else by the first words."""
    if not line:
        return None
    name, colon, value = line.partition(":")
    name = name.strip().lower()
    if colon and (name in _KNOWN or not value or value[0].isspace()):
        return name, value.strip()
    words = line.split()
    for count in (1, 2):
        candidate = " ".join(words[:count]).lower()
        if candidate in _KNOWN:
            return candidate, " ".join(words[count:])
    return (name, value.strip()) if colon else None
