"""What a corpus is made of: sources, stages before and after deduplication, cuts, packing.

A recipe is a function that returns one of these; vary it with `dataclasses.replace`. The order is that of Apertus
(arXiv:2509.14233, section 3; systems page 1.5): what may be used at all, then what repeats, then what is good, then
what must not be told.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homespun.corpus.dedup import Dedup
from homespun.corpus.documents import Stage
from homespun.corpus.filters.cut import Cut
from homespun.corpus.pack import Pack
from homespun.corpus.read.source import Limits, Source
from homespun.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A recipe, resolved."""

    name: str
    """A word for people; the run's hash makes it unique."""
    sources: tuple[Source, ...]
    """Where documents come from, in the order in which earlier ones win over later copies."""
    gather: tuple[Stage, ...] = ()
    """Judged as documents are read: extraction, robots files, licence, language, scores."""
    dedup: Dedup | None = dataclasses.field(default_factory=Dedup)
    """The only step that compares documents of different shards; None leaves it out."""
    cuts: tuple[Cut, ...] = ()
    """Shares of the best, or of all but the worst, by language; their thresholds come from the whole corpus."""
    refine: tuple[Stage, ...] = ()
    """Judged after deduplication: sampling, personal data."""
    pack: Pack | None = None
    """Tokens for training, beside the documents."""
    limits: Limits = dataclasses.field(default_factory=Limits)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sources:
            raise ConfigError("a corpus without sources", self.name, "at least one Source")
        for what, names in (("source", [s.name for s in self.sources]), ("stage", self.stages)):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ConfigError(f"two {what}s are called {twice[0]!r}", self.name, "a name for each")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of all filters in the order in which a document meets them, as the ledger says them."""
        dedup = ("dedup",) if self.dedup else ()
        names = ("read", *(s.name for s in self.gather), *dedup, *(c.column for c in self.cuts))
        return (*names, *(s.name for s in self.refine))

    def described(self) -> dict[str, Any]:
        """Everything that can change the result, for the run's record; files by name, their contents are its inputs."""
        return {
            "name": self.name,
            "seed": self.seed,
            "stages": list(self.stages),
            "sources": [plain(source) for source in self.sources],
            "gather": [_stage(stage) for stage in self.gather],
            "dedup": plain(self.dedup),
            "cuts": [plain(cut) for cut in self.cuts],
            "refine": [_stage(stage) for stage in self.refine],
            "pack": plain(self.pack),
            "limits": plain(self.limits),
        }

    def files(self) -> dict[str, Path]:
        """Files besides the sources' that the stages and the packing read, by a name for the record."""
        found = {f"{s.name}/{name}": path for s in (*self.gather, *self.refine) for name, path in s.files.items()}
        return found | ({"pack/tokenizer": self.pack.tokenizer} if self.pack else {})


def _stage(stage: Stage) -> dict[str, Any]:
    return {"stage": stage.name, "version": stage.version, **plain(stage)}


def plain(value: Any) -> Any:
    """A configuration as JSON knows it: dataclasses as mappings, paths by their last name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(inner) for inner in value)
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value
