"""Documents whose site refuses them to crawlers that train models: robots files with hindsight, and later signals.

Apertus, section 3.1.1: a document leaves if the robots file of its site, as fetched in 2025, forbids its URL to any of
the agents, whenever the document was crawled. The ledger's evidence names the agents, and which of the three modes
refuse, so that a run in the most protective mode also tells what the others would have removed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, cast

import polars as pl

from homespun.corpus.documents import Batch, Judge, judged
from homespun.corpus.filters.robots_table import RobotsTable
from homespun.corpus.filters.signals import SIGNALS, Signal, captured, site_signals
from homespun.corpus.robots.decide import Decider, Fetched, Policy
from homespun.corpus.robots.robots import AGENTS, MODES, Mode
from homespun.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Robots:
    """Which robots files, and how they are read."""

    name: ClassVar[str] = "robots"
    version: ClassVar[int] = 1

    table: Path
    """Parquet or JSON lines: ``host``, ``content``; ``status``, ``fetched`` and ``ai_txt`` where known."""
    policy: Policy = field(default_factory=Policy)
    """Mode, agents, and what a server error means."""
    signals: frozenset[Signal] = frozenset()
    """What else refuses: ``content_signal`` (ai-train=no in a robots file), ``ai_txt`` (the column of that name),
    ``tdm`` (TDM reservation protocol) and ``x_robots`` (noai) as captured in ``meta``. Off by default, as in the paper.
    """

    def __post_init__(self) -> None:
        for signal in self.signals:
            if signal not in SIGNALS:
                raise ConfigError(f"{signal!r} is no signal", "Robots.signals", ", ".join(SIGNALS))

    @property
    def files(self) -> Mapping[str, Path]:
        """The table."""
        return {"table": self.table}

    def open(self) -> Judge:
        """The function. Reasons: ``everyone`` where the site refuses whoever has no group of its own (``*``), ``agent``
        where it refuses named agents only, ``signal``. A document without a URL stays.

        Raises:
            DataError: the table cannot be read.
        """
        table = RobotsTable.read(self.table)
        deciders: dict[Mode, Decider] = {mode: Decider(table, _with_mode(self.policy, mode)) for mode in MODES}
        return lambda batch: self._judge(table, deciders, batch)

    def _judge(self, table: RobotsTable, deciders: Mapping[Mode, Decider], batch: Batch) -> Batch:
        urls = cast(pl.Series, pl.from_arrow(batch["url"]))
        masks = deciders[self.policy.mode].masks(urls)
        rows = (masks != 0).arg_true()
        reasons: list[str | None] = [None] * len(batch)
        evidence: list[str | None] = [None] * len(batch)
        refused = {mode: (deciders[mode].masks(urls.gather(rows)) != 0).to_list() for mode in MODES if len(rows)}
        everyone = self.policy.agents.index("*") if "*" in self.policy.agents else None
        for at, (row, mask) in enumerate(zip(rows.to_list(), masks.gather(rows).to_list(), strict=True)):
            reasons[row] = "everyone" if everyone is not None and mask >> everyone & 1 else "agent"
            names = [agent for bit, agent in enumerate(self.policy.agents) if mask >> bit & 1]
            evidence[row] = json.dumps({"agents": names, "modes": [mode for mode in refused if refused[mode][at]]})
        if self.signals:
            meta = cast(pl.Series, pl.from_arrow(batch["meta"]))
            said = captured(meta, self.signals, self.policy.agents)
            said |= site_signals(table, urls, self.signals, self.policy.agents)
            for row, one in said.items():
                if reasons[row] is None:
                    reasons[row], evidence[row] = "signal", json.dumps(one._asdict(), ensure_ascii=False)
        return judged(batch, reasons, evidence)


def rates(urls: pl.Series, files: Mapping[str, Fetched], policy: Policy | None = None) -> pl.DataFrame:
    """What each mode would remove: one row for each mode and agent, and for any agent.

    Args:
        urls: Of the documents; null counts as a document that stays.
        files: Robots files by normalised host.
        policy: Agents and what a server error means; its mode is not looked at.

    Returns:
        ``mode``, ``agent`` ("any" first), ``refused``, ``documents``, ``share``.
    """
    policy = policy or Policy()
    rows: list[tuple[str, str, int]] = []
    for mode in MODES:
        masks = Decider(files, _with_mode(policy, mode)).masks(urls).to_numpy()
        rows.append((mode, "any", int((masks != 0).sum())))
        rows += [(mode, agent, int((masks >> bit & 1).sum())) for bit, agent in enumerate(policy.agents)]
    table = pl.DataFrame(rows, schema={"mode": pl.String, "agent": pl.String, "refused": pl.Int64}, orient="row")
    documents = pl.lit(len(urls), dtype=pl.Int64)
    return table.with_columns(documents=documents, share=pl.col("refused") / documents if len(urls) else pl.lit(0.0))


def _with_mode(policy: Policy, mode: Mode) -> Policy:
    return Policy(mode=mode, agents=policy.agents, unavailable=policy.unavailable)


__all__ = ["AGENTS", "Robots", "rates"]
