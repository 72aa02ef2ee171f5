"""What a corpus lost where: documents, bytes and tokens before and after each filter, by language and by user agent.

Documents are counted exactly. A document's bytes are those that its text had when it left, so a page that left before
its text was taken out of it counts with its markup. Tokens are counted for what stayed; for what left they are
estimated from its bytes, by the tokens per byte of what stayed in its language, or in all where its language isn't
known or nothing of it stayed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from homespun.corpus.ledger import ends, numbers
from homespun.corpus.ledger_check import check
from homespun.corpus.ledger_rules import ROBOTS, SIGNAL, robots_evidence
from homespun.corpus.robots import MODES
from homespun.corpus.shards import shard_path
from homespun.errors import RunError
from homespun.records import Run
from homespun.runs.run import read_run

Row = Mapping[str, Any]
UNKNOWN = "unknown"
"""Language of documents that left before anybody asked."""
ANY = "any"
"""The row of agents that counts documents refused to at least one."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A corpus in numbers; ``tokens`` are None throughout where it was not packed."""

    run: str
    totals: Mapping[str, Any]
    """Documents and bytes read; documents, bytes and tokens kept and excluded (their tokens estimated)."""
    filters: Sequence[Row]
    """In the order in which a document meets them."""
    reasons: Sequence[Row]
    languages: Sequence[Row]
    """By documents, most first."""
    filters_by_language: Sequence[Row]
    agents: Sequence[Row] = field(default_factory=tuple)
    """Documents that robots files refuse to each agent; ``alone``: to no other."""
    agents_by_language: Sequence[Row] = field(default_factory=tuple)
    modes: Sequence[Row] = field(default_factory=tuple)
    """Documents that each way of reading robots files refuses; without ``whole`` at least as many."""

    def plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Rates:
    """Tokens per byte of what stayed."""

    by_language: Mapping[str, float]
    overall: float | None

    def tokens(self, rows: pl.DataFrame) -> int | None:
        """Estimate for rows with ``lang`` and ``bytes``."""
        if self.overall is None:
            return None
        rate = pl.col("lang").replace_strict(self.by_language, default=self.overall, return_dtype=pl.Float64)
        return round(float(rows.select((rate * pl.col("bytes")).sum()).item()))


def report(folder: Path) -> Report:
    """Counts a corpus, after checking that nothing of it was lost.

    Args:
        folder: The run's.

    Raises:
        RunError: the run's files are damaged, or don't agree.
    """
    checked = check(folder)
    run = read_run(folder)
    kept, left = _kept(folder), _left(folder)
    rates = _rates(kept)
    filters = _filters(run, kept, left, rates)
    lost = None if rates.overall is None else sum(row["tokens_removed"] for row in filters)
    totals = {
        "read": {"documents": checked["read"], "bytes": checked["read_bytes"]},
        "kept": {"documents": checked["kept"], "bytes": checked["kept_bytes"], "tokens": checked.get("tokens")},
        "excluded": {"documents": checked["excluded"], "bytes": checked["excluded_bytes"], "tokens_estimated": lost},
    }
    refused = _refused(left)
    reached = next((row["before"] for row in filters if row["filter"] in ROBOTS), 0)
    return Report(
        run=run.id,
        totals=totals,
        filters=filters,
        reasons=[
            {"filter": filter_, "reason": reason, **_loss(rows, checked["read"], rates)}
            for (filter_, reason), rows in _parts(left, ["filter", "reason"], [row["filter"] for row in filters])
        ],
        languages=_languages(kept, left, rates),
        filters_by_language=[
            {"filter": filter_, "lang": lang, **_loss(rows, checked["read"], rates)}
            for (filter_, lang), rows in _parts(left, ["filter", "lang"], [row["filter"] for row in filters])
        ],
        agents=_agents(refused, reached, rates),
        agents_by_language=[
            {"lang": lang, **row}
            for (lang,), rows in _parts(refused, ["lang"], ())
            for row in _agents(rows, reached, rates)
        ],
        modes=_modes(run, refused, reached),
    )


def _kept(folder: Path) -> pl.DataFrame:
    """Documents, bytes and tokens of what stayed, by language; a shard at a time."""
    found: list[pl.DataFrame] = []
    for shard in numbers(folder):
        rows = pl.scan_parquet(shard_path(folder, "documents", shard))
        table = rows.select(pl.col("lang").fill_null(UNKNOWN), bytes=pl.col("text").str.len_bytes()).collect()
        known = ends(folder, shard)
        counts = None if known is None else np.diff(known, prepend=0)
        table = table.with_columns(tokens=pl.Series(counts, dtype=pl.Int64) if counts is not None else pl.lit(None))
        sums = (pl.len().alias("documents"), pl.col("bytes").sum(), pl.col("tokens").cast(pl.Int64).sum())
        found.append(table.group_by("lang").agg(sums).with_columns(packed=pl.lit(known is not None)))
    merged = pl.concat(found).group_by("lang").agg(pl.col("documents", "bytes", "tokens").sum(), pl.col("packed").all())
    return merged.cast({"documents": pl.Int64, "bytes": pl.Int64}).sort("lang")


def _left(folder: Path) -> pl.DataFrame:
    """Documents and bytes of what left, by filter, reason and language; by evidence too where that names agents."""
    files = [shard_path(folder, "excluded", shard) for shard in numbers(folder)]
    evidence = pl.when(pl.col("filter").is_in(ROBOTS)).then(pl.col("evidence"))
    rows = pl.scan_parquet(files).with_columns(pl.col("lang").fill_null(UNKNOWN), evidence=evidence)
    keys = ["filter", "reason", "lang", "evidence"]
    sums = (pl.len().cast(pl.Int64).alias("documents"), pl.col("bytes").sum())
    try:
        return rows.group_by(keys).agg(sums).sort(keys).collect(engine="streaming")
    except (OSError, pl.exceptions.PolarsError) as error:
        first = (str(error).splitlines() or ["?"])[0][:200]
        raise RunError(f"cannot be read: {first}", str(folder / "excluded"), "build it again") from None


def _rates(kept: pl.DataFrame) -> _Rates:
    some = kept.filter(pl.col("bytes") > 0)
    if not len(kept) or not kept["packed"].all() or not len(some):
        return _Rates(by_language={}, overall=None)
    by = dict(zip(some["lang"].to_list(), (some["tokens"] / some["bytes"]).to_list(), strict=True))
    return _Rates(by_language=by, overall=int(some["tokens"].sum()) / int(some["bytes"].sum()))


def _loss(rows: pl.DataFrame, read: int, rates: _Rates) -> dict[str, Any]:
    documents = int(rows["documents"].sum())
    share = documents / read if read else None
    return {
        "documents": documents,
        "share": share,
        "bytes": int(rows["bytes"].sum()),
        "tokens_estimated": rates.tokens(rows),
    }


def _filters(run: Run, kept: pl.DataFrame, left: pl.DataFrame, rates: _Rates) -> list[dict[str, Any]]:
    """From what stayed backwards: before each filter there was what came after it and what it took."""
    after = {"documents": int(kept["documents"].sum()), "bytes": int(kept["bytes"].sum())}
    tokens = None if rates.overall is None else int(kept["tokens"].sum())
    read = after["documents"] + int(left["documents"].sum())
    rows: list[dict[str, Any]] = []
    for name in reversed(order(run, left["filter"].unique().sort().to_list())):
        lost = _loss(left.filter(pl.col("filter") == name), read, rates)
        before = {key: after[key] + lost[key] for key in after}
        estimate = lost["tokens_estimated"]
        earlier = None if tokens is None or estimate is None else tokens + estimate
        row = {
            "filter": name,
            "before": before["documents"],
            "removed": lost["documents"],
            "after": after["documents"],
            "share": lost["share"],
            "share_of_before": lost["documents"] / before["documents"] if before["documents"] else None,
            "bytes_before": before["bytes"],
            "bytes_removed": lost["bytes"],
            "bytes_after": after["bytes"],
            "tokens_before": earlier,
            "tokens_removed": estimate,
            "tokens_after": tokens,
        }
        rows.append(row)
        after, tokens = before, earlier
    return rows[::-1]


def order(run: Run, seen: Iterable[str]) -> list[str]:
    """Filters in the order in which a document meets them: as the recipe has it, then others that the ledger knows."""
    stages: Any = run.config.get("stages")
    named = [str(name) for name in stages] if isinstance(stages, list) else []
    return list(dict.fromkeys([*named, *seen]))


def _parts(rows: pl.DataFrame, keys: list[str], filters: Sequence[str]) -> list[tuple[tuple[Any, ...], pl.DataFrame]]:
    """Rows by key: in the filters' order, then by name."""
    parts = rows.partition_by(keys, as_dict=True).items()
    places = {name: at for at, name in enumerate(filters)}
    return sorted(parts, key=lambda part: (places.get(str(part[0][0]), 0), part[0]))


def _languages(kept: pl.DataFrame, left: pl.DataFrame, rates: _Rates) -> list[dict[str, Any]]:
    stayed = {row["lang"]: row for row in kept.iter_rows(named=True)}
    rows: list[dict[str, Any]] = []
    for lang in sorted({*stayed, *left["lang"].to_list()}):
        lost = _loss(left.filter(pl.col("lang") == lang), 0, rates)
        here = stayed.get(lang, {"documents": 0, "bytes": 0, "tokens": 0})
        read = here["documents"] + lost["documents"]
        known = lost["tokens_estimated"] is not None
        row = {
            "lang": lang,
            "read": read,
            "kept": here["documents"],
            "excluded": lost["documents"],
            "share_kept": here["documents"] / read,
            "bytes_before": here["bytes"] + lost["bytes"],
            "bytes_after": here["bytes"],
            "tokens_before": here["tokens"] + lost["tokens_estimated"] if known else None,
            "tokens_after": here["tokens"] if known else None,
        }
        rows.append(row)
    return sorted(rows, key=lambda row: (-row["read"], row["lang"]))


def _refused(left: pl.DataFrame) -> pl.DataFrame:
    """What robots files took by naming agents, with the agents and modes of each row."""
    rows = left.filter(pl.col("filter").is_in(ROBOTS), pl.col("reason") != SIGNAL)
    said = [robots_evidence(evidence) for evidence in rows["evidence"]]
    return rows.with_columns(
        agents=pl.Series([list(agents) for agents, _ in said], dtype=pl.List(pl.String)),
        modes=pl.Series([list(modes) for _, modes in said], dtype=pl.List(pl.String)),
    )


def _agents(refused: pl.DataFrame, reached: int, rates: _Rates) -> list[dict[str, Any]]:
    """Any agent first, then each, by documents."""
    if not len(refused):
        return []
    rows: list[dict[str, Any]] = []
    for name in sorted(set(refused["agents"].explode(empty_as_null=False).to_list())):
        hit = refused.filter(pl.col("agents").list.contains(name))
        alone = int(hit.filter(pl.col("agents").list.len() == 1)["documents"].sum())
        rows.append({"agent": name, "alone": alone, **_loss(hit, reached, rates)})
    rows.sort(key=lambda row: (-row["documents"], row["agent"]))
    return [{"agent": ANY, "alone": None, **_loss(refused, reached, rates)}, *rows]


def _modes(run: Run, refused: pl.DataFrame, reached: int) -> list[dict[str, Any]]:
    """The three ways of reading; whole where the run's own refuses all that the other does."""
    if not len(refused):
        return []
    own = _own_mode(run)
    rows: list[dict[str, Any]] = []
    for mode in MODES:
        hit = int(refused.filter(pl.col("modes").list.contains(mode))["documents"].sum())
        share = hit / reached if reached else None
        rows.append({"mode": mode, "documents": hit, "share": share, "whole": own in (mode, "lenient")})
    return rows


def _own_mode(run: Run) -> str | None:
    """In which mode a run decided, if it says so."""
    stages: Any = [said for said in run.config.get("gather") or () if said.get("stage") == "robots"]
    policies: list[Any] = [said.get("policy") or {} for said in [*stages, run.config.get("opt_out") or {}]]
    modes = {policy.get("mode", "lenient") for policy in policies if policy}
    return modes.pop() if len(modes) == 1 else None
