"""Robots decisions for whole batches: prepared once per file, and made once per host where no path matters.

Most hosts have no file, no group for any of the agents, or one that refuses everything; only where rules name paths is
a URL looked at, and most of those pass a first look (`gates`). Agents are bits of a mask, since the 15 of Apertus
share two or three groups of a typical file; files that say the same share one plan.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homespun.corpus.robots.gates import ENCODED, Gate, gate
from homespun.corpus.robots.hosts import look_up, normalised
from homespun.corpus.robots.parse import MAX_BYTES, both, bounded, groups
from homespun.corpus.robots.paths import paper_path, path_of, rfc_path
from homespun.corpus.robots.robots import AGENTS, Mode, RobotsFile
from homespun.corpus.robots.rules import Rule, Rules

PLAIN = r"^/(?:[A-Za-z0-9\-._~=&?+,:;@!'()][A-Za-z0-9\-._~/=&?+,:;@!'()]*)?$"
"""Paths that need no spelling out: ASCII, no escape, no second slash at the beginning."""
_TRANSLATED = str.maketrans(ENCODED)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\Z")
_SITEMAPS = r"(?im)^sitemap:[\x20-\x7e\t]*(?=[\r\n]|\Z)"
_SITEMAP_LINES = (re.compile(_SITEMAPS), re.compile(_SITEMAPS.encode()))
"""Lines that say nothing about who may take what, and make most files of one program differ."""

KEPT_HOSTS, KEPT_RULES = 2_000_000, 1_000_000
"""How much is remembered before everything is forgotten: some hundreds of megabytes at most."""


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
    gate: Gate

    def refused(self, rfc: str, paper: str) -> int:
        """The agents that may not take a path, given in both spellings."""
        mask = self.always
        for test in self.tests:
            if test.mask & ~mask:
                rule = test.rules.first(paper if test.paper else rfc)
                if rule is not None and not rule.allow:
                    mask |= test.mask
        return mask


_NOTHING = _Plan(0, (), gate(()))
_FREE, _CUT = 0, 1
"""Numbers of two plans: nothing is refused; and the host must be cut out of the URL anew."""


class Decider:
    """Decisions for the URLs of many hosts.

    Args:
        files: Robots files by normalised host (see `hosts.normalised`).
        policy: Mode, agents, and what a server error means.
    """

    def __init__(self, files: Mapping[str, Fetched], policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self._files = files
        self._everyone = _Plan((1 << len(self.policy.agents)) - 1, (), _NOTHING.gate)
        self._forget()

    def _forget(self) -> None:
        self._plans: list[_Plan] = [_NOTHING, _NOTHING]
        self._numbers: dict[tuple[object, ...], int] = {self._key(_NOTHING): _FREE}
        self._sites: dict[tuple[str | None, str | None], int] = {}
        self._contents: dict[bytes, int] = {}
        self._rules: dict[tuple[bool, str], Rule] = {}

    def masks(self, urls: pl.Series) -> pl.Series:
        """For each URL the agents that are refused, as bits in the policy's order; 0: the document may stay.

        Args:
            urls: Text; null and what is no URL has no host, and is allowed.
        """
        if len(self._sites) > KEPT_HOSTS or len(self._rules) > KEPT_RULES:
            self._forget()
        cut = urls.cast(pl.String).alias("url").to_frame().select(pl.col("url").str.splitn("/", 4)).unnest("url")
        cut.columns = ["scheme", "empty", "authority", "rest"]
        sites = cut.select("scheme", "authority").unique()
        numbers = [self._number(*site) for site in zip(sites["scheme"], sites["authority"], strict=True)]
        sites = sites.with_columns(plan=pl.Series(numbers, dtype=pl.Int64))
        keys = ["scheme", "authority"]
        joined = cut.select(keys).join(sites, on=keys, how="left", nulls_equal=True, maintain_order="left")
        plan_of = np.where((cut["empty"] == "").fill_null(False).to_numpy(), joined["plan"].to_numpy(), _FREE)
        always = np.array([plan.always for plan in self._plans], dtype=np.int64)
        tested = np.array([bool(plan.tests) for plan in self._plans], dtype=np.bool_)
        masks = always[plan_of]
        rows = np.flatnonzero(tested[plan_of])
        order = np.argsort(plan_of[rows], kind="stable")
        rows = rows[order]
        self._look(masks, rows, plan_of[rows], cut["rest"].gather(rows))
        refused = np.flatnonzero(masks)
        itself = cut["rest"].gather(refused).str.contains(r"^robots\.txt(?:[?;#]|$)").fill_null(False).to_numpy()
        masks[refused[itself]] = 0
        for row in np.flatnonzero(plan_of == _CUT).tolist():
            masks[row] = self._one(urls[row])
        return pl.Series("refused", masks)

    def blocked(self, url: str) -> list[str]:
        """The agents that may not take one URL."""
        mask = self.masks(pl.Series([url]))[0]
        return [agent for at, agent in enumerate(self.policy.agents) if mask >> at & 1]

    def _look(
        self, masks: NDArray[np.int64], rows: NDArray[np.int64], plans: NDArray[np.int64], rest: pl.Series
    ) -> None:
        """Sets the bits of URLs whose rules must see the path.

        Args:
            masks: Of all URLs.
            rows: Places of those that are looked at, plan by plan.
            plans: Number of each one's plan.
            rest: What stands behind the host and its slash.
        """
        path = "/" + rest.fill_null("")
        if path.str.contains("#", literal=True).any():
            path = path.str.splitn("#", 2).struct.field("field_0")
        plain = path.str.contains(PLAIN).to_numpy()
        paths, places = path.to_list(), rows.tolist()
        for at in np.flatnonzero(~plain).tolist():
            masks[places[at]] = self._plans[plans[at]].refused(rfc_path(paths[at]), paper_path(f"//host{paths[at]}"))
        starts = [0, *(np.flatnonzero(np.diff(plans)) + 1).tolist(), len(places)] if places else [0]
        for start, stop in pairwise(starts):
            plan = self._plans[plans[start]]
            for found in plan.gate.stopped(paths[start:stop]):
                at = start + found
                if plain[at]:
                    one = paths[at]
                    masks[places[at]] = plan.refused(one, one.translate(_TRANSLATED))

    def _number(self, scheme: str | None, authority: str | None) -> int:
        """The number of the plan that applies to a host; prepared once."""
        site = (scheme, authority)
        if site not in self._sites:
            if authority is None or not scheme or not _SCHEME.match(scheme):
                self._sites[site] = _FREE if authority is None or scheme else self._of_host(authority, "http")
            elif "?" in authority or "#" in authority:
                self._sites[site] = _CUT
            else:
                self._sites[site] = self._of_host(authority, scheme[:-1])
        return self._sites[site]

    def _one(self, url: str) -> int:
        """The same for a URL whose host ends in a query or a fragment."""
        scheme, _, rest = url.partition("//")
        host = re.match(r"[^/?#]*", rest)
        plan = self._plans[self._of_host(host[0] if host else "", scheme[:-1])]
        path = path_of(url)
        return plan.refused(rfc_path(path), paper_path(f"//host{path}"))

    def _of_host(self, authority: str, scheme: str) -> int:
        host = normalised(authority, scheme)
        file = look_up(self._files, host) if host else None
        if file is None:
            return _FREE
        if file.status is not None and file.status >= 500 and self.policy.unavailable == "refuse":
            return self._kept(self._everyone)
        if file.content is None:
            return _FREE
        content = file.content
        if len(content) < MAX_BYTES:  # a longer file is cut, and must be cut where it stands
            content = _SITEMAP_LINES[0].sub("", content) if isinstance(content, str) else _bare(content)
        raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        name = blake2b(raw, digest_size=16, key=b"text" if isinstance(content, str) else b"bytes").digest()
        if name not in self._contents:
            self._contents[name] = self._kept(self._plan_of(content))
        return self._contents[name]

    def _kept(self, plan: _Plan) -> int:
        key = self._key(plan)
        if key not in self._numbers:
            self._numbers[key] = len(self._plans)
            self._plans.append(plan)
        return self._numbers[key]

    @staticmethod
    def _key(plan: _Plan) -> tuple[object, ...]:
        return (plan.always, *((test.paper, test.mask, test.rules.said) for test in plan.tests))

    def _plan_of(self, content: bytes | str) -> _Plan:
        files: Sequence[RobotsFile]
        if self.policy.mode == "lenient":
            kept = bounded(content)
            strict, lenient = both(kept)
            files = RobotsFile(kept, "rfc", strict), RobotsFile(kept, "lenient", lenient), RobotsFile(kept, "paper")
        else:
            whole = content if self.policy.mode == "paper" else bounded(content)
            files = (RobotsFile(whole, self.policy.mode, groups(whole, self.policy.mode)),)
        always, tests = 0, list[_Test]()
        for file in files:
            for rules, mask in file.obeyed(self.policy.agents):
                if rules.never:
                    continue
                if rules.always is not None:
                    always |= mask
                else:
                    tests.append(_Test(file.dialect == "paper", rules, mask))
        left = tuple(
            _Test(test.paper, Rules(self._shared(said) for said in test.rules.said), test.mask)
            for test in _merged([test._replace(mask=test.mask & ~always) for test in tests])
        )
        looked: list[tuple[Rule, bool]] = [(rule, test.paper) for test in left for rule in test.rules]
        return _Plan(always, left, gate(looked))

    def _shared(self, said: tuple[bool, str]) -> Rule:
        """One rule for all files that have it."""
        if said not in self._rules:
            self._rules[said] = Rule(*said, 0, "")
        return self._rules[said]


def _bare(content: bytes) -> bytes:
    return _SITEMAP_LINES[1].sub(b"", content)


def _merged(tests: Sequence[_Test]) -> tuple[_Test, ...]:
    """Tests that refuse somebody, those of equal rules and spelling as one."""
    found: dict[tuple[bool, tuple[tuple[bool, str], ...]], _Test] = {}
    for test in tests:
        if test.mask:
            key = (test.paper, test.rules.said)
            found[key] = test._replace(mask=test.mask | (found[key].mask if key in found else 0))
    return tuple(found.values())
