"""The interval plot: one line per model, best on top."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.errors import ConfigError, DataError
from homespun.runs.tables import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 3
"""Panels beside each other, at most."""
NAME = 34
"""Letters of a name that are shown."""


def interval_plot(rows: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    """Ratings with their intervals; with groups, a panel for each.

    Args:
        rows: Of a `leaderboard.Leaderboard`, ranked.
        title: Line above.
    """
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(row.get("group") for row in rows))
    panels = [[row for row in rows if row.get("group") == group] for group in groups]
    across = min(WIDE, len(panels))
    down = math.ceil(len(panels) / across)
    height = 0.9 + 0.2 * max(map(len, panels))
    figure = Figure(figsize=(2 + 5.5 * across, 0.6 + height * down), layout="constrained", dpi=110)
    figure.suptitle(_plain(title))
    places = figure.subplots(down, across, squeeze=False).ravel()
    for axes, panel, group in zip(places, panels, groups, strict=False):
        _panel(axes, panel, group)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    return figure


def save_plot(path: Path, rows: Sequence[Mapping[str, Any]], title: str) -> Path:
    """Writes `interval_plot` as PNG, whole or not at all.

    Raises:
        DataError: the place cannot be written.
    """
    check_place(path)
    figure = interval_plot(rows, title)
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


def _panel(axes: "Axes", rows: Sequence[Mapping[str, Any]], group: str | None) -> None:
    heights = list(range(len(rows), 0, -1))
    axes.hlines(heights, [row["low"] for row in rows], [row["high"] for row in rows], color="#8aa4c8", linewidth=3)
    axes.plot([row["rating"] for row in rows], heights, "o", color="#1f3b66", markersize=4)
    axes.set_yticks(heights, [_plain(row["model"]) for row in rows], fontsize=8)
    axes.set_ylim(0.3, len(rows) + 0.7)
    axes.set_xlabel("rating, Elo scale")
    axes.grid(axis="x", alpha=0.3)
    if group is not None:
        axes.set_title(_plain(group), fontsize=10)


def _plain(text: str) -> str:
    """Text that matplotlib takes as it stands: no mathematics, no control characters, not too long."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    short = printable if len(printable) <= 2 * NAME else f"{printable[: 2 * NAME - 1]}…"
    return short.replace("$", r"\$")
