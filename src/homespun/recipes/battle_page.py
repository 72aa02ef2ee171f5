"""The report's section on battles: who won how often, and what people would have seen."""

from pathlib import Path

from homespun.arena.plot import interval_plot
from homespun.recipes.battles import Battled, Shown
from homespun.runs.report import Column, Page

RATINGS = (
    Column(key="rank", title="rank", spec="d"),
    Column(key="model", title="model"),
    Column(key="rating", title="rating", spec=".0f"),
    Column(key="low", title="95 % low", spec=".0f"),
    Column(key="high", title="95 % high", spec=".0f"),
    Column(key="votes", title="battles", spec=",d"),
)
RUNS = (
    Column(key="contestant", title="contestant"),
    Column(key="environment", title="environment"),
    Column(key="status", title="status"),
    Column(key="seconds", title="seconds", spec=".2f"),
    Column(key="note", title="note"),
)


def add_battles(page: Page, battled: Battled, folder: Path) -> None:
    """Writes the section; its plot also lies in ``folder`` as battles.png."""
    page.section(
        "Whose programs win",
        f"{battled.votes:,} battles: two models' recorded programs for one word problem run in the sandbox, and the "
        "right one wins. Bradley–Terry on the Elo scale, mean 1000; intervals cover 95 %.",
    )
    page.figure(
        interval_plot(battled.rows, "Programs for word problems"),
        "Ratings with 95 % intervals.",
        folder / "battles.png",
    )
    page.table(battled.rows, RATINGS)
    if battled.note:
        page.text(f"Programs with pages were not run: {battled.note}")
    for prompt in dict.fromkeys(shown.prompt for shown in battled.shown):
        _battle(page, [shown for shown in battled.shown if shown.prompt == prompt])


def _battle(page: Page, sides: list[Shown]) -> None:
    page.text(f"A battle as people see it: {sides[0].prompt}")
    page.pictures([(side.png, side.contestant) for side in sides if side.png is not None])
    page.table([side._asdict() for side in sides], RUNS)
