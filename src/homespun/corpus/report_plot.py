"""A corpus's report as a picture: what is left after each filter, what stayed by language, whom robots files refuse."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.corpus.report import ANY, Report
from homespun.errors import ConfigError, DataError
from homespun.runs.tables import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEPT, LEFT = "#2457a6", "#c9d3e3"
"""Colours of what stays and of what leaves."""
SHOWN = 16
"""Bars of a panel, at most."""
NAME = 30
"""Letters of a name that are shown."""


def report_plot(report: Report) -> "Figure":
    """The report's three panels; that of the agents only where a robots file refused something."""
    from matplotlib.figure import Figure

    panels = 3 if report.agents else 2
    most = max(len(report.filters) + 1, min(SHOWN, len(report.languages)), min(SHOWN, len(report.agents)))
    figure = Figure(figsize=(1 + 5 * panels, 1.4 + 0.26 * most), layout="constrained", dpi=110)
    read, kept = report.totals["read"]["documents"], report.totals["kept"]["documents"]
    figure.suptitle(_plain(f"{report.run}: {kept:,} of {read:,} documents stayed"))
    axes = figure.subplots(1, panels)
    _funnel(axes[0], report.filters, read)
    _languages(axes[1], report.languages[:SHOWN], len(report.languages))
    if report.agents:
        _agents(axes[2], [row for row in report.agents if row["agent"] != ANY][:SHOWN])
    return figure


def save_plot(path: Path, report: Report) -> Path:
    """Writes `report_plot` as PNG, whole or not at all.

    Raises:
        ConfigError: the suffix is not ``.png``.
        DataError: the place cannot be written.
    """
    check_place(path)
    figure = report_plot(report)
    try:
        with atomic(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": ""})
    except OSError as error:
        raise DataError(error.strerror or "cannot be written", str(path), "check the folder") from None
    return path


def check_place(path: Path) -> None:
    """Refuses a name that is no picture's.

    Raises:
        ConfigError: the suffix is not ``.png``.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(f"unknown picture format {path.suffix!r}", "--plot", "a name that ends in .png")


def _funnel(axes: "Axes", filters: Sequence[Mapping[str, Any]], read: int) -> None:
    names = ["all", *(f"after {row['filter']}" for row in filters)]
    kept = [read, *(row["after"] for row in filters)]
    _bars(axes, names, kept, [0, *(row["removed"] for row in filters)])
    for at, row in enumerate(filters):
        if row["removed"]:
            axes.annotate(f"−{row['share']:.1%}", (row["before"], -at - 1), (3, 0), textcoords="offset points",
                          fontsize=7, va="center", color="#5a6475")  # fmt: skip
    axes.set_title("documents after each filter", fontsize=10)


def _languages(axes: "Axes", rows: Sequence[Mapping[str, Any]], count: int) -> None:
    _bars(axes, [row["lang"] for row in rows], [row["kept"] for row in rows], [row["excluded"] for row in rows])
    axes.set_title(
        "by language (dark: stayed)" if count <= len(rows) else f"the largest of {count:,} languages (dark: stayed)",
        fontsize=10,
    )


def _agents(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    others = [row["documents"] - row["alone"] for row in rows]
    _bars(axes, [row["agent"] for row in rows], [row["alone"] for row in rows], others)
    axes.set_title("refused to agents (dark: to it alone)", fontsize=10)


def _bars(axes: "Axes", names: Sequence[str], dark: Sequence[int], light: Sequence[int]) -> None:
    heights = [-at for at in range(len(names))]
    axes.barh(heights, dark, color=KEPT, height=0.7)
    axes.barh(heights, light, left=dark, color=LEFT, height=0.7)
    axes.set_yticks(heights, [_plain(name) for name in names], fontsize=8)
    axes.set_xlim(0, max(1.0, 1.12 * max((a + b for a, b in zip(dark, light, strict=True)), default=1)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _plain(text: str) -> str:
    """Text that matplotlib takes as it stands: no mathematics, no control characters, not too long."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    short = printable if len(printable) <= 2 * NAME else f"{printable[: 2 * NAME - 1]}…"
    return short.replace("$", r"\$")
