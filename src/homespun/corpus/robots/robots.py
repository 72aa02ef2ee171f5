"""Who may take what, by a robots file: RFC 9309 with modes ``paper``, ``rfc`` and ``lenient``.

``rfc``: the standard. ``paper``: what Apertus did, that is, what protego 0.7 says. ``lenient``, for data that will be
released: whatever an owner may have meant to forbid is forbidden. It refuses what either of the others refuses, and
also what a group with a list of names, a version or a part of a name would refuse if it were read kindly.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from homespun.corpus.robots.parse import TOKEN, Dialect, Group, bounded, groups
from homespun.corpus.robots.paths import paper_path, path_of, rfc_path
from homespun.corpus.robots.rules import Rules

Mode = Literal["paper", "rfc", "lenient"]
MODES: tuple[Mode, ...] = ("paper", "rfc", "lenient")
AGENTS = (
    "AI2Bot",
    "Applebot-Extended",
    "Bytespider",
    "CCBot",
    "CCBot/2.0",
    "CCBot/1.0",
    "ClaudeBot",
    "cohere-training-data-crawler",
    "Diffbot",
    "FacebookBot",
    "Meta-ExternalAgent",
    "Google-Extended",
    "GPTBot",
    "PanguBot",
    "*",
)
"""User agents of Apertus (swiss-ai/pretrain-data); the paper's appendix B prints the list without FacebookBot."""
PARSED = 8192
"""Files that are kept read; as many as the released code keeps."""
_LONG = 64
"""Names above that are not worth remembering."""


class Verdict(NamedTuple):
    """Whether an agent may take a URL, and why."""

    allowed: bool
    rule: str | None
    """The line that decides, as it stands in the file."""
    reason: str


class _Named(NamedTuple):
    name: str
    rules: Rules


class RobotsFile:
    """One file, read in one dialect.

    Args:
        content: The file; bytes as they came, or text.
        dialect: How it is read.
        read: Its groups, where they are known.
    """

    def __init__(self, content: bytes | str, dialect: Dialect, read: Mapping[str, Group] | None = None) -> None:
        self.dialect = dialect
        self._groups = {
            name: _Named(name, Rules(group.rules)) for name, group in (read or groups(content, dialect)).items()
        }
        self._chosen: dict[str, tuple[_Named, ...]] = {}

    def groups_for(self, agent: str) -> tuple[_Named, ...]:
        """The groups that an agent obeys: one at most, or several in the lenient dialect."""
        if agent not in self._chosen:
            self._chosen[agent] = tuple(self._choose(agent))
        return self._chosen[agent]

    def obeyed(self, agents: tuple[str, ...]) -> list[tuple[Rules, int]]:
        """Each group's rules with the agents that obey it, as bits; as `groups_for` says them one by one."""
        masks = dict.fromkeys(self._groups, 0)
        if self.dialect == "paper":
            best = [(0, "")] * len(agents)
            for name in self._groups:
                for at, score in (_scores if len(name) <= _LONG else _scores.__wrapped__)(name, agents):
                    if score > best[at][0]:
                        best[at] = score, name
            for at, (score, name) in enumerate(best):
                if score:
                    masks[name] |= 1 << at
        else:
            own = 0
            for name in self._groups:
                masks[name] = (_meant if len(name) <= _LONG else _meant.__wrapped__)(name, agents, self.dialect)
                own |= masks[name]
            if "*" in masks:
                masks["*"] |= ~own & ((1 << len(agents)) - 1)
        return [(self._groups[name].rules, mask) for name, mask in masks.items() if mask]

    def verdict(self, url: str, agent: str) -> Verdict:
        """Whether ``agent`` may take ``url``."""
        written = path_of(url)
        path = paper_path(url) if self.dialect == "paper" else rfc_path(written)
        if written.startswith("/robots.txt") and re.match(r"/robots\.txt(?:[?;]|\Z)", written):
            return Verdict(True, None, "the robots file itself")
        chosen = self.groups_for(agent)
        if not chosen:
            return Verdict(True, None, "no group for this agent")
        kept = None
        for name, rules in chosen:
            rule = rules.first(path)
            if rule is not None and not rule.allow:
                return Verdict(False, rule.text, f"group {name}")
            kept = rule if kept is None else kept
        return Verdict(True, kept.text if kept else None, f"group {chosen[0].name}" if kept else "no rule matches")

    def _choose(self, agent: str) -> Iterator[_Named]:
        if self.dialect == "paper":
            best = max(self._groups.values(), key=lambda group: _paper_score(group.name, agent), default=None)
            if best is not None and _paper_score(best.name, agent):
                yield best
            return
        token = TOKEN.match(agent)
        name = token[0].lower() if token else agent.strip().lower()
        if self.dialect == "rfc":
            own = [self._groups[name]] if name and name in self._groups else []
        else:
            own = [group for group in self._groups.values() if _may_mean(group.name, name, agent.strip().lower())]
        yield from own or [self._groups[star] for star in ("*",) if star in self._groups]


def _paper_score(name: str, agent: str) -> int:
    """Protego's: the length of the group's name where the agent holds it from the beginning of a word."""
    if name == "*":
        return 1
    asked = agent.strip().lower()
    at = asked.find(name)
    while at != -1:
        if at == 0 or not (asked[at - 1].isalnum() or asked[at - 1] in "-_"):
            return len(name)
        at = asked.find(name, at + 1)
    return 0


def _may_mean(name: str, token: str, agent: str) -> bool:
    """Whether a group's name may have been meant for an agent: equal, with a version, or a part of it."""
    if not name or name == "*":
        return name == agent
    bare = TOKEN.match(name)
    return (bare is not None and bare[0].lower() == token) or _paper_score(name, agent) > 0


@lru_cache(PARSED)
def _scores(name: str, agents: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Places of the agents that a group's name is meant for in the paper's dialect, each with its score."""
    scores = ((at, _paper_score(name, agent)) for at, agent in enumerate(agents))
    return tuple((at, score) for at, score in scores if score)


@lru_cache(PARSED)
def _meant(name: str, agents: tuple[str, ...], dialect: Dialect) -> int:
    """The agents that a group's name is meant for in the other dialects, as bits."""
    mask = 0
    for at, agent in enumerate(agents):
        found = TOKEN.match(agent)
        token = found[0].lower() if found else agent.strip().lower()
        same = name == token and bool(token)
        if same if dialect == "rfc" else _may_mean(name, token, agent.strip().lower()):
            mask |= 1 << at
    return mask


@lru_cache(PARSED)
def robots_file(content: bytes | str, dialect: Dialect) -> RobotsFile:
    """A file, read once for as long as it is remembered."""
    return RobotsFile(content, dialect)


def verdict(content: bytes | str | None, url: str, agent: str, mode: Mode = "lenient") -> Verdict:
    """Whether an agent may take a URL.

    Args:
        content: The site's robots file; None if there is none: then everything is allowed (an opt-out policy).
        url: A whole URL, or a path.
        agent: A name such as ``GPTBot``, with or without a version.
        mode: ``paper``, ``rfc`` or ``lenient``.
    """
    if content is None:
        return Verdict(True, None, "no robots file")
    dialects: Sequence[Dialect] = ("rfc", "paper", "lenient") if mode == "lenient" else (mode,)
    kept: Verdict | None = None
    for dialect in dialects:
        said = robots_file(content if mode == "paper" else bounded(content), dialect).verdict(url, agent)
        if not said.allowed:
            return said if mode != "lenient" else said._replace(reason=f"{said.reason}, read as {dialect}")
        kept = kept or said
    assert kept is not None
    return kept


def blocked(content: bytes | str | None, url: str, agents: Sequence[str] = AGENTS, mode: Mode = "lenient") -> list[str]:
    """The agents among ``agents`` that may not take a URL; one is enough for Apertus to drop the document."""
    return [agent for agent in agents if not verdict(content, url, agent, mode).allowed]


__all__ = ["AGENTS", "MODES", "Group", "Mode", "RobotsFile", "Verdict", "blocked", "robots_file", "verdict"]
