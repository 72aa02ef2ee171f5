"""The report's section on a corpus: what was read, what every filter took and why, and what robots files refuse."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.corpus.report import ANY
from homespun.corpus.report_plot import report_plot
from homespun.recipes.corpora import Made
from homespun.runs.report import Column, Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
COLOURS = {"paper": "#8a93a3", "rfc": "#2457a6", "lenient": "#b9772a"}
MODES = {
    "paper": "as Apertus read them (protego)",
    "rfc": "as RFC 9309 says",
    "lenient": "whatever an owner may have meant",
}
LANGUAGES = 24
"""Languages in the table, at most."""
EVIDENCE = 160
"""Characters of evidence that are shown."""
FUNNEL = (
    Column(key="filter", title="filter"),
    Column(key="before", title="documents before", spec=",d"),
    Column(key="removed", title="left", spec=",d"),
    Column(key="share", title="of all read", spec=".1%"),
    Column(key="after", title="after", spec=",d"),
    Column(key="bytes_after", title="bytes after", spec=",d"),
    Column(key="tokens_after", title="tokens after", spec=",d"),
)
BY_LANGUAGE = (
    Column(key="lang", title="language"),
    Column(key="read", title="read", spec=",d"),
    Column(key="kept", title="kept", spec=",d"),
    Column(key="share_kept", title="kept of read", spec=".1%"),
    Column(key="bytes_after", title="bytes kept", spec=",d"),
    Column(key="tokens_after", title="tokens kept", spec=",d"),
)
BY_MODE = (
    Column(key="mode", title="mode"),
    Column(key="meaning", title="robots files are read"),
    Column(key="documents", title="documents refused", spec=",d"),
    Column(key="share", title="of those asked about", spec=".1%"),
    Column(key="agents", title="agents refused somewhere", spec=",d"),
)
BY_REASON = (
    Column(key="filter", title="filter"),
    Column(key="reason", title="reason"),
    Column(key="documents", title="documents", spec=",d"),
    Column(key="bytes", title="bytes", spec=",d"),
    Column(key="example", title="for example"),
    Column(key="evidence", title="on the evidence"),
)


def add_corpus(page: Page, made: Made, folder: Path) -> None:
    """Writes the section; its plots also lie in ``folder`` as corpus.png and robots.png."""
    said = made.report
    totals = said.totals
    read, kept, left = totals["read"], totals["kept"], totals["excluded"]
    tokens = f", {kept['tokens']:,} tokens" if kept.get("tokens") is not None else ""
    page.section(
        "A corpus that can be answered for",
        f"{read['documents']:,} documents were read, {kept['documents']:,} stayed ({kept['bytes']:,} bytes{tokens}), "
        f"and {left['documents']:,} left. Each that left is in the ledger with its filter, reason and evidence. "
        "Tokens of documents that left are estimated from their bytes, by those that stayed in their language.",
    )
    page.figure(report_plot(said), "Documents after each filter, by language and by agent.", folder / "corpus.png")
    page.table(said.filters, FUNNEL)
    if made.refused:
        page.text(
            f"Robots files, read in three ways, for all {made.refused[0]['asked']:,} documents with an address; the "
            "corpus itself was filtered in the way that its recipe names."
        )
        page.figure(agents(made.refused), "Documents refused to each user agent.", folder / "robots.png")
        page.table(by_mode(made.refused), BY_MODE)
    page.text("Why documents left, with an example of each reason; homespun corpus why ID tells it of any document.")
    page.table(reasons(made), BY_REASON)
    rows = said.languages[:LANGUAGES]
    more = (
        f"The largest {len(rows)} of {len(said.languages)} languages"
        if len(rows) < len(said.languages)
        else "Languages"
    )
    page.text(f"{more}. A document that left before its language was told counts as unknown.")
    page.table(rows, BY_LANGUAGE)


def by_mode(refused: Sequence[Row]) -> list[Row]:
    """A row for each way of reading: documents refused to at least one agent."""
    rows: list[Row] = []
    for mode, meaning in MODES.items():
        own = [row for row in refused if row["mode"] == mode]
        hit = next((row for row in own if row["agent"] == ANY), None)
        if hit is not None:
            named = sum(row["documents"] > 0 for row in own if row["agent"] != ANY)
            share = hit["documents"] / hit["asked"] if hit["asked"] else None
            rows.append({"mode": mode, "meaning": meaning, **hit, "share": share, "agents": named})
    return rows


def reasons(made: Made) -> list[Row]:
    """The report's reasons, each with a document that left for it."""
    examples = {(row["filter"], row["reason"]): row for row in made.shown}
    rows: list[Row] = []
    for row in made.report.reasons:
        example = examples.get((row["filter"], row["reason"]), {})
        evidence = example.get("evidence") or ""
        short = evidence if len(evidence) <= EVIDENCE else f"{evidence[: EVIDENCE - 1]}…"
        rows.append({**row, "example": example.get("id"), "evidence": short})
    return rows


def agents(refused: Sequence[Row]) -> "Figure":
    """A group of bars for each agent, a bar for each way of reading."""
    from matplotlib.figure import Figure

    counts = {(row["mode"], row["agent"]): row["documents"] for row in refused}
    most = {row["agent"]: max(counts[mode, row["agent"]] for mode in MODES) for row in refused}
    names = sorted(most, key=lambda name: (name != ANY, -most[name], name))
    figure = Figure(figsize=(9, 0.9 + 0.36 * len(names)), layout="constrained")
    axes = figure.subplots()
    for at, mode in enumerate(MODES):
        heights = [-index - 0.27 * (at - 1) for index in range(len(names))]
        axes.barh(heights, [counts[mode, name] for name in names], height=0.25, color=COLOURS[mode], label=mode)
    axes.set_yticks(
        [-index for index in range(len(names))], ["any of them" if n == ANY else n for n in names], fontsize=8
    )
    axes.set_xlabel("documents refused")
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="lower right", title="robots files read")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
