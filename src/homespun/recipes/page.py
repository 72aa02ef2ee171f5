"""The report of a turn: what it cost, how good it was, when answers can be trusted, and why routes were chosen."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.recipes.battle_page import add_battles
from homespun.recipes.corpus_page import add_corpus
from homespun.recipes.loop import Turned
from homespun.runs.report import Column, Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]
COLOURS = {"single": "#8a93a3", "random": "#b9772a", "oracle": "#3a8f5c", "part": "#8a4fb3", "fusion": "#2457a6"}
PRESETS = ("quality", "balanced", "economy")

ROUTES = (
    Column(key="name", title="policy"),
    Column(key="kind", title="kind"),
    Column(key="score", title="score", spec=".1%"),
    Column(key="score_low", title="95 % low", spec=".1%"),
    Column(key="score_high", title="95 % high", spec=".1%"),
    Column(key="cost", title="$ per 1,000", spec="$"),
    Column(key="saving", title="saved at equal score", spec=".1%"),
)
CALIBRATION = (
    Column(key="measure", title="measure"),
    Column(key="n_groups", title="questions", spec=",d"),
    Column(key="brier", title="Brier", spec=".3f"),
    Column(key="brier_low", title="95 % low", spec=".3f"),
    Column(key="brier_high", title="95 % high", spec=".3f"),
    Column(key="brier_base", title="base rate's", spec=".3f"),
    Column(key="ece", title="ECE (10 bins)", spec=".3f"),
    Column(key="platt_ece", title="after Platt's map", spec=".3f"),
    Column(key="auroc", title="AUROC", spec=".3f"),
)


def headline(routes: Sequence[Row]) -> dict[str, Row]:
    """The rows that tell the story: best single, presets, random and oracle; keyed by what they are."""
    singles = [row for row in routes if row["kind"] == "single"]
    rows = {"best single": max(singles, key=lambda row: (row["score"], -row["cost"]))}
    presets = {f"fusion {name}": name for name in PRESETS}
    rows |= {presets[row["name"]]: row for row in routes if row["name"] in presets}
    return rows | {row["kind"]: row for row in routes if row["kind"] in ("random", "oracle")}


def write(turned: Turned, folder: Path) -> Path:
    """Writes ``report.html`` and its plots as PNG into ``folder``; returns the page's path."""
    rows = headline(turned.routes)
    best, chosen = rows["best single"], rows["balanced"]
    page = Page(
        title="Which model should answer?",
        lead=f"{turned.n:,} held-out questions, real recorded answers of six models under five strategies.",
    )
    page.cards(
        {
            f"score; best single pair ({best['name']}): {best['score']:.1%}": f"{chosen['score']:.1%}",
            f"per 1,000 questions; best single pair: ${1000 * best['cost']:.2f}": f"${1000 * chosen['cost']:.2f}",
            "of the best single pair's cost": f"{chosen['cost'] / best['cost']:.0%}",
            "best possible choice, known only afterwards": f"{rows['oracle']['score']:.1%}",
        }
    )
    _routes(page, turned, folder)
    _confidence(page, turned, folder)
    _grades(page, turned)
    if turned.battles is not None:
        add_battles(page, turned.battles, folder)
    if turned.corpus is not None:
        add_corpus(page, turned.corpus, folder)
    page.section("Where the numbers come from", "Each stage is a run: its folder holds the tables and run.json.")
    page.verbatim("\n".join(f"{stage:<10} {path}" for stage, path in turned.folders.items()))
    return page.write(folder / "report.html")


def _routes(page: Page, turned: Turned, folder: Path) -> None:
    page.section(
        "Score against cost",
        "Each grey dot asks one model under one strategy every question. The blue line is the fusion of taxonomy, "
        "learned predictor and judged cascade, from its dearest setting to its cheapest; the band is its 95 % "
        "interval. It decides from the question alone, and sees an answer only after paying for it.",
    )
    page.figure(
        frontier(turned.routes), "Score and dollars per 1,000 questions, held-out questions.", folder / "frontier.png"
    )
    rows = headline(turned.routes)
    parts = [row for row in turned.routes if row["kind"] == "part" and row["name"].endswith("balanced")]
    page.table([*rows.values(), *parts], ROUTES, mark=[list(rows).index(name) for name in PRESETS if name in rows])
    if turned.examples:
        page.section("Three decisions, in words", "What `homespun route explain ID` tells.")
        for example in turned.examples:
            page.verbatim(example)


def _confidence(page: Page, turned: Turned, folder: Path) -> None:
    page.section(
        "When an answer can be trusted",
        "Five strategies answer the same question; how far their answers agree is measured in three ways. On the "
        "diagonal, a measure could be read as a probability; away from it, it must be calibrated first.",
    )
    page.figure(
        reliability(turned),
        "Reliability, ten equal bins, area of a dot by questions in it.",
        folder / "reliability.png",
    )
    for by, title, text in (
        ("model", "model", "The five strategies of each model as five samples, all data sets."),
        ("dataset", "data set", "Eight samples of code-davinci-002 under faithful chain of thought."),
    ):
        page.text(text)
        rows = [row for row in turned.calibration if row.get(by) is not None]
        page.table(rows, [Column(key=by, title=title), *CALIBRATION])


def _grades(page: Page, turned: Turned) -> None:
    page.section("Accuracy of every cell", "Read and executed by homespun; an unreadable answer counts as wrong.")
    strategies = sorted({row["strategy"] for row in turned.grades})
    cells: dict[tuple[str, str], Row] = {}
    for row in turned.grades:
        key = (row["dataset"], row["model"])
        cells.setdefault(key, {"dataset": key[0], "model": key[1]})[row["strategy"]] = row["accuracy"]
    columns = [Column(key="dataset", title="data set"), Column(key="model", title="model")]
    columns += [Column(key=name, title=name, spec=".1%") for name in strategies]
    page.table([cells[key] for key in sorted(cells)], columns)


def frontier(routes: Sequence[Row]) -> "Figure":
    """Score against cost: single models, random, oracle, parts, and the fusion's curve with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.2))
    axes = figure.subplots()
    for kind in ("single", "random", "oracle", "part"):
        chosen = [row for row in routes if row["kind"] == kind]
        marker = {"single": "o", "random": "s", "oracle": "*", "part": "^"}[kind]
        x, y = [1000 * row["cost"] for row in chosen], [100 * row["score"] for row in chosen]
        axes.scatter(x, y, s=90 if kind == "oracle" else 34, marker=marker, color=COLOURS[kind], label=kind, zorder=3)
    curve = sorted((row for row in routes if row["kind"] == "fusion"), key=lambda row: row["cost"])
    cost = [1000 * row["cost"] for row in curve]
    axes.plot(cost, [100 * row["score"] for row in curve], color=COLOURS["fusion"], lw=2, label="fusion", zorder=4)
    low, high = [100 * row["score_low"] for row in curve], [100 * row["score_high"] for row in curve]
    axes.fill_between(cost, low, high, color=COLOURS["fusion"], alpha=0.13, lw=0)
    best = headline(routes)["best single"]
    _mark(axes, best, f"best single: {best['name']}", (8, -14))
    for row in curve:
        if "μ" not in row["name"]:
            axes.scatter([1000 * row["cost"]], [100 * row["score"]], s=60, color=COLOURS["fusion"], zorder=5)
            _mark(axes, row, row["name"].removeprefix("fusion "), (-6, 10))
    axes.set_xscale("log")
    axes.set_xlabel("dollars per 1,000 questions (log scale)")
    axes.set_ylabel("score, %")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower right")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def reliability(turned: Turned) -> "Figure":
    """One panel per measure: accuracy in each bin of confidence, one line per model."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    frame = turned.reliability
    measures = [name for name in ("agreement", "entropy", "fsd") if name in set(frame["measure"])]
    models = sorted(set(frame["model"]))
    figure = Figure(figsize=(9, 3.3))
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for panel, measure in zip(panels, measures, strict=True):
        panel.plot([0, 1], [0, 1], color="#b4bac5", lw=1, ls="--")
        for index, model in enumerate(models):
            part = frame.filter((frame["measure"] == measure) & (frame["model"] == model) & (frame["n"] > 0))
            colour = colormaps["tab10"](index)
            panel.plot(part["confidence"], part["accuracy"], color=colour, lw=1, alpha=0.7, label=model)
            panel.scatter(
                part["confidence"], part["accuracy"], s=part["n"].to_numpy() / 12 + 4, color=colour, alpha=0.8
            )
        panel.set_title(measure, fontsize=10)
        panel.set_xlabel("consistency")
        panel.set_xlim(-0.02, 1.02)
        panel.set_ylim(-0.02, 1.02)
        panel.grid(alpha=0.25)
    panels[0].set_ylabel("share right")
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(
        handles, labels, frameon=False, fontsize=8, loc="upper center", ncols=len(models), bbox_to_anchor=(0.5, 0.0)
    )
    return figure


def _mark(axes: "Axes", row: Row, text: str, offset: tuple[int, int]) -> None:
    place = (1000 * row["cost"], 100 * row["score"])
    axes.annotate(
        text, place, xytext=offset, textcoords="offset points", fontsize=9, ha="right" if offset[0] < 0 else "left"
    )
