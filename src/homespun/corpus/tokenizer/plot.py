"""What a line costs in each language, for one tokenizer or several."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from homespun.corpus.tokenizer.fairness import Fairness, gini
from homespun.errors import DataError
from homespun.runs.tables import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#3b6ea8", "#d9822b", "#4f9d69", "#8e5ea2", "#b0413e", "#777777")


def fairness_plot(found: Sequence[Fairness], title: str) -> "Figure":
    """Bars of tokens per line by language, the dearest of the first tokenizer on the left.

    Args:
        found: At least one, all on the same text.
        title: Line above.
    """
    from matplotlib.figure import Figure

    costs = [said.costs for said in found]
    order = sorted(costs[0], key=lambda lang: (-costs[0][lang], lang))
    width = 0.8 / len(found)
    figure = Figure(figsize=(max(5.0, 1.5 + 0.28 * len(order)), 3.6), layout="constrained", dpi=130)
    axes = figure.subplots()
    places = np.arange(len(order))
    for at, said in enumerate(found):
        heights = [costs[at][lang] for lang in order]
        label = f"{said.name}, Gini {float(gini(heights)):.3f}"
        colour = COLOURS[at % len(COLOURS)]
        axes.bar(places + (at - (len(found) - 1) / 2) * width, heights, width, label=label, color=colour)
        axes.axhline(float(np.mean(heights)), color=colour, linewidth=0.8, linestyle=":")
    axes.set_xticks(places, [lang[:12] for lang in order], rotation=90 if len(order) > 12 else 0, fontsize=8)
    axes.set_ylabel("tokens per line")
    axes.set_xlim(-0.6, len(order) - 0.4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(title.replace("$", r"\$"), fontsize=10, loc="left")
    return figure


def save_plot(path: Path, found: Sequence[Fairness], title: str) -> Path:
    """Writes `fairness_plot` as PNG, whole or not at all.

    Raises:
        DataError: the place cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise DataError(f"unknown picture format {path.suffix!r}", str(path), "a name that ends in .png")
    figure = fairness_plot(found, title)
    try:
        with atomic(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": ""})
    except OSError as error:
        raise DataError(error.strerror or "cannot be written", str(path), "check the folder") from None
    return path
