"""Robots decisions for whole batches: prepared once per file, and made once per host where no path matters.

Most hosts have no file, no group for any of the agents, or one that refuses everything; only where rules name paths is
a URL looked at. Agents are bits of a mask, since the 15 of Apertus share two or three groups of a typical file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import polars as pl

from homespun.corpus.robots.hosts import look_up, normalised
from homespun.corpus.robots.parse import MAX_BYTES, Dialect
from homespun.corpus.robots.paths import paper_path, rfc_path
from homespun.corpus.robots.robots import AGENTS, Mode, robots_file
from homespun.corpus.robots.rules import Rules

PLAIN = r"^/(?:[A-Za-z0-9\-._~=&?+,:;@!'()][A-Za-z0-9\-._~/=&?+,:;@!'()]*)?$"
"""Paths that need no spelling out: ASCII, no escape, no second slash at the beginning."""
_ENCODED = {char: f"%{ord(char):02X}" for char in "&?+,:;@!'()"}
URL_PATTERN = r"^(?:([A-Za-z][A-Za-z0-9+.\-]*):)?//(?:[^/?#@]*@)?([^/?#]*)"


class Fetched(NamedTuple):
    """What was found at ``/robots.txt``."""

    content: bytes | str | None
    status: int | None = None
    """HTTP status, where it is known."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How decisions are made."""

    mode: Mode = "lenient"
    agents: tuple[str, ...] = AGENTS
    unavailable: Literal["allow", "refuse"] = "allow"
    """What a 5xx answer means: everything allowed (the paper), or everything refused (RFC 9309, section 2.3.1.4)."""


class _Test(NamedTuple):
    paper: bool
    rules: Rules
    mask: int


class _Plan(NamedTuple):
    """What a file says about all agents: those refused everywhere, and rules that must see the path."""

    always: int
    tests: tuple[_Test, ...]


_NOTHING = _Plan(0, ())


class Decider:
    """Decisions for the URLs of many hosts.

    Args:
        files: Robots files by normalised host (see `hosts.normalised`).
        policy: Mode, agents, and what a server error means.
    """

    def __init__(self, files: Mapping[str, Fetched], policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self._files = files
        self._everyone = (1 << len(self.policy.agents)) - 1
        self._plans: dict[str, _Plan] = {}
        self._by_content: dict[bytes | str, _Plan] = {}

    def masks(self, urls: pl.Series) -> pl.Series:
        """For each URL the agents that are refused, as bits in the policy's order; 0: the document may stay.

        Args:
            urls: Text; null and what is no URL has no host, and is allowed.
        """
        parts = _parts(urls)
        hosts = parts.select("authority", "scheme").unique()
        plans = [self.plan(*name) for name in hosts.iter_rows()]
        table = hosts.with_columns(
            plan=pl.Series(range(len(plans)), dtype=pl.UInt32),
            always=pl.Series([plan.always for plan in plans], dtype=pl.Int64),
            tested=pl.Series([bool(plan.tests) for plan in plans], dtype=pl.Boolean),
        )
        keys = ["authority", "scheme"]
        joined = parts.join(table, on=keys, how="left", nulls_equal=True, maintain_order="left")
        masks = joined["always"].fill_null(0).to_list()
        chosen = joined.filter(pl.col("tested")).group_by("plan").agg("row", "url", "path", "paper", "plain")
        for at, *columns in chosen.iter_rows():
            _apply(plans[at], masks, columns)
        refused = pl.Series("refused", masks, dtype=pl.Int64)
        return refused.zip_with(~joined["itself"].fill_null(False), pl.Series([0], dtype=pl.Int64))

    def blocked(self, url: str) -> list[str]:
        """The agents that may not take one URL."""
        mask = self.masks(pl.Series([url]))[0]
        return [agent for at, agent in enumerate(self.policy.agents) if mask >> at & 1]

    def plan(self, authority: str | None, scheme: str | None) -> _Plan:
        """What applies to a host; prepared once."""
        host = normalised(authority or "", scheme or "http")
        if host not in self._plans:
            file = look_up(self._files, host) if host else None
            self._plans[host] = _NOTHING if file is None else self._prepare(file)
        return self._plans[host]

    def _prepare(self, file: Fetched) -> _Plan:
        if file.status is not None and file.status >= 500 and self.policy.unavailable == "refuse":
            return _Plan(self._everyone, ())
        if file.content is None:
            return _NOTHING
        if file.content not in self._by_content:
            self._by_content[file.content] = self._plan_of(file.content)
        return self._by_content[file.content]

    def _plan_of(self, content: bytes | str) -> _Plan:
        dialects: Sequence[Dialect] = (
            ("rfc", "paper", "lenient") if self.policy.mode == "lenient" else (self.policy.mode,)
        )
        always, tests = 0, {}
        kept = content if self.policy.mode == "paper" else content[:MAX_BYTES]
        for dialect in dialects:
            file = robots_file(kept, dialect)
            for at, agent in enumerate(self.policy.agents):
                for _, rules in file.groups_for(agent):
                    if rules.never:
                        continue
                    if rules.always is not None:
                        always |= 1 << at
                        continue
                    key = (dialect == "paper", id(rules))
                    mask = tests[key].mask if key in tests else 0
                    tests[key] = _Test(dialect == "paper", rules, mask | 1 << at)
        left = tuple(test._replace(mask=test.mask & ~always) for test in tests.values() if test.mask & ~always)
        return _Plan(always, left)


def _parts(urls: pl.Series) -> pl.DataFrame:
    """Each URL cut up: row, scheme, authority, and its path in both spellings where that takes no looking at it."""
    parts = urls.cast(pl.String).to_frame("url").with_row_index("row")
    found = pl.col("url").str.extract_groups(URL_PATTERN)
    path = pl.col("url").str.replace(URL_PATTERN, "").str.replace(r"#.*$", "")
    path = pl.when(path.str.starts_with("/")).then(path).otherwise("/" + path)
    return parts.with_columns(
        scheme=found.struct[0].str.to_lowercase(),
        authority=found.struct[1],
        path=path,
        plain=path.str.contains(PLAIN),
        paper=path.str.replace_many(list(_ENCODED), list(_ENCODED.values())),
        itself=path.str.contains(r"^/robots\.txt(?:[?;]|$)"),
    )


def _apply(plan: _Plan, masks: list[int], columns: list[Any]) -> None:
    """Sets the bits of every URL of one host whose rules must see the path."""
    rows, urls, paths, papers, plains = columns
    for row, url, path, paper, plain in zip(rows, urls, paths, papers, plains, strict=True):
        rfc = path if plain else rfc_path(path)
        other = paper if plain else paper_path(url)
        mask = 0
        for test in plan.tests:
            rule = test.rules.first(other if test.paper else rfc)
            if rule is not None and not rule.allow:
                mask |= test.mask
        masks[row] |= mask
