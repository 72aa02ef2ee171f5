"""`homespun demo`: the main job on real recorded answers, from grading to a routed answer, with a report."""

from typing import Any

from homespun.cli.output import Dry, Json, Runs, progress, show_json, show_rows

COLUMNS = {"policy": "", "score": ".1%", "score_low": ".1%", "score_high": ".1%", "cost": "$", "of best": ".0%"}


def demo(*, runs: Runs = None, dry: Dry = False, as_json: Json = False) -> None:
    """Make the whole turn on real recorded answers: grade, calibrate, route, report.

    Args:
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        dry: Only say what would be done.
        as_json: Print one JSON object.
    """
    from homespun.recipes import loop, page

    config = loop.recorded()
    if dry:
        show_json(config.plan())
        return
    turned, folder = loop.make(config, watch=progress, write=page.write, root=runs)
    report = folder / "report.html"
    if as_json:
        show_json({"rows": turned.routes, "n": turned.n, "report": str(report)})
        return
    rows = page.headline(turned.routes)
    best = rows["best single"]["cost"]
    table: list[dict[str, Any]] = [
        row | {"policy": _policy(what, row), "of best": row["cost"] / best} for what, row in rows.items()
    ]
    show_rows(
        table, COLUMNS, title=f"{turned.n:,} held-out questions, score with 95 % interval, dollars per 1,000 questions"
    )
    print(f"\nreport: {report}")


def _policy(what: str, row: dict[str, Any]) -> str:
    return (
        f"{what} ({row['name']})" if what == "best single" else f"homespun {what}" if row["kind"] == "fusion" else what
    )
