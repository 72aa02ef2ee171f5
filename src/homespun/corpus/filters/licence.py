"""Documents that may be passed on: by their licence, by that of everything they were made from, by who provides them.

Apertus, section 3.2 (systems page 1.2): licences that permit redistribution and commercial use pass; those for
non-commercial use, share-alike and unspecified or ambiguous ones do not; each constituent of a compound set must pass
by itself, since a collection cannot give away what it does not have. Ours decides by document, with the rule it broke.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import pyarrow as pa

from homespun.corpus.documents import Batch, Judge, judged, replaced
from homespun.corpus.filters.licence_expression import Expression, Leaf, UnparsableError, failing, parse, unspecified
from homespun.corpus.robots.hosts import host_of
from homespun.errors import ConfigError

PERMISSIVE = (
    *("CC0-1.0", "CC-BY-[1-4].[05]", "CC-BY-[23].[05]-[A-Z]*", "PDDL-1.0", "ODC-By-1.0", "CDLA-Permissive-*"),
    *("MIT", "MIT-0", "MIT-CMU", "X11", "ISC", "0BSD", "BSD-1-Clause", "BSD-2-Clause", "BSD-2-Clause-Patent"),
    *("BSD-3-Clause", "BSD-3-Clause-Clear", "BSD-Source-Code", "BSL-1.0", "Apache-1.1", "Apache-2.0", "AFL-3.0"),
    *("Unlicense", "WTFPL", "Zlib", "NCSA", "PostgreSQL", "PSF-2.0", "Python-2.0", "curl", "HPND", "UPL-1.0"),
    *("Unicode-DFS-20*", "Unicode-3.0", "blessing", "OGL-UK-*", "etalab-2.0", "LicenseRef-PublicDomain"),
)
"""Redistribution and commercial use, at most for naming the author."""
WEAK_COPYLEFT = ("MPL-2.0", "MPL-2.0-no-copyleft-exception", "EPL-2.0", "CDDL-1.0", "LGPL-*")
"""Share-alike for the files themselves; not in the default."""
SHARE_ALIKE = (
    *("reddit", "reddit.com", "stack exchange", "stackexchange.com", "stack overflow", "stackoverflow.com"),
    *("superuser.com", "serverfault.com", "askubuntu.com", "mathoverflow.net", "stackapps.com"),
)
"""Providers that Apertus leaves out since what they provide is share-alike."""


class Refused(NamedTuple):
    """Why a licence does not pass."""

    reason: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Which licences pass. `licence_rules.read` makes one from a TOML file."""

    name: ClassVar[str] = "licence"
    version: ClassVar[int] = 1

    allow: tuple[str, ...] = PERMISSIVE
    """SPDX identifiers, with ``*``, ``?`` and ``[...]`` as in file names; ``X WITH Y`` names an exception."""
    deny: tuple[str, ...] = ()
    """The same; stronger than ``allow``."""
    sources: tuple[tuple[str, str], ...] = ()
    """(source, expression): what its documents are under, whatever they say; for sources that somebody looked into."""
    providers: tuple[str, ...] = SHARE_ALIKE
    """Whose documents leave whatever their licence: domains, and names that sources and constituents go by."""
    named_only: bool = False
    """Whether a constituent passes of which only the name is known."""

    def __post_init__(self) -> None:
        for source, text in self.sources:
            try:
                parse(text)
            except UnparsableError as error:
                raise ConfigError(f"{text!r}: {error}", f"Licence.sources of {source}", "an SPDX expression") from error
        if not self.allow:
            raise ConfigError("no licence is allowed", "Licence.allow", "PERMISSIVE")

    @property
    def files(self) -> Mapping[str, Path]:
        """None: rules from a file are fields here."""
        return {}

    def open(self) -> Judge:
        """The function: licences in canonical form, and verdicts."""
        return _Open(self).judge

    def allows(self, leaf: Leaf) -> bool:
        """Whether one licence passes. An exception only ever adds a permission, and ``+`` a choice."""
        names = {str(leaf), leaf.licence, leaf.licence.removesuffix("+")}
        if any(fnmatchcase(name, pattern) for name in names for pattern in self.deny):
            return False
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.allow)


class _Open:
    """The rules, prepared; every distinct licence is looked at once."""

    def __init__(self, rules: Licence) -> None:
        self._rules, self._own = rules, dict(rules.sources)
        self._domains = tuple(name.lower() for name in rules.providers if "." in name)
        names = [r"[\W_]*".join(map(re.escape, n.lower().split())) for n in rules.providers if "." not in n]
        self._names = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(names)})(?![a-z0-9])") if names else None
        self._read = lru_cache(1 << 14)(self._said)

    def judge(self, batch: Batch) -> Batch:
        """See `Licence.open`."""
        reasons: list[str | None] = []
        evidence: list[str | None] = []
        licences: list[str | None] = []
        origins: list[str | None] = []
        columns = [batch[name].to_pylist() for name in ("source", "url", "licence", "licence_source", "upstream")]
        for source, url, licence, origin, upstream in zip(*columns, strict=True):
            licence, origin = (self._own[source], "filter") if source in self._own else (licence, origin)
            expression, refused = self._read(licence)
            refused = self._provider(source, url, upstream or ()) or refused
            refused = refused or self._constituent(expression, upstream or ())
            reasons.append(refused.reason if refused else None)
            evidence.append(refused.evidence if refused else None)
            licences.append(str(expression) if expression else licence)
            origins.append(origin)
        batch = replaced(batch, "licence", pa.array(licences, pa.string()))
        return judged(replaced(batch, "licence_source", pa.array(origins, pa.string())), reasons, evidence)

    def _said(self, text: str | None) -> tuple[Expression | None, Refused | None]:
        """What a licence's text means, and why it does not pass."""
        if text is None or unspecified(text):
            return None, Refused("unspecified", "no licence" if text is None else repr(text[:100]))
        try:
            expression = parse(text)
        except UnparsableError as error:
            return None, Refused("unparsable", str(error))
        leaf = failing(expression, self._rules.allows)
        return expression, Refused("not_allowed", str(leaf)) if leaf else None

    def _provider(self, source: str, url: str | None, upstream: tuple[str, ...] | list[str]) -> Refused | None:
        host = host_of(url).partition(":")[0] if url else ""
        for domain in self._domains:
            if host == domain or host.endswith(f".{domain}"):
                return Refused("provider_excluded", domain)
        for name in (source, *(entry.rpartition("=")[0] or entry for entry in upstream)):
            lower = (name or "").lower()
            found = self._names.search(lower) if self._names else None
            if found or any(re.search(rf"(?<![a-z0-9-]){re.escape(d)}(?![a-z0-9-])", lower) for d in self._domains):
                return Refused("provider_excluded", name)
        return None

    def _constituent(self, own: Expression | None, upstream: tuple[str, ...] | list[str]) -> Refused | None:
        """The first thing that a document was made from and that may not be passed on."""
        for entry in upstream:
            name, says, licence = entry.rpartition("=")
            if not says and self._rules.named_only:
                continue
            name, text = (name, licence) if says else (entry, None)
            expression, refused = self._read(text.strip() if text else None)
            if refused:
                what = str(expression) if expression else f"{refused.reason} ({refused.evidence})"
                return Refused("constituent_not_allowed", f"{name.strip()[:200]} is {what}, the whole says {own}")
        return None
