"""`homespun runs ls|show|diff`: what was run, with what, at what cost, and how two runs differ."""

from typing import Any

from cyclopts import App

from homespun.cli.output import Json, Runs, show_json, show_rows
from homespun.runs import ledger
from homespun.runs.report import cell

app = App(name="runs", help="List, show and compare runs.", help_format="plaintext")

COLUMNS = {"id": "", "status": "", "started": "", "seconds": ".1f", "dollars": ".4f"}


@app.default
@app.command(name="ls")
def ls(*, stage: str | None = None, runs: Runs = None, as_json: Json = False) -> None:
    """List runs, newest first.

    Args:
        stage: Only runs of this stage.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        as_json: Print one JSON object.
    """
    rows = ledger.ls(runs, stage=stage)
    if as_json:
        show_json({"rows": rows})
    elif rows:
        show_rows(rows, COLUMNS)
    else:
        print("no runs yet; try: homespun demo")


@app.command
def show(run: str, *, runs: Runs = None, as_json: Json = False) -> None:
    """Show one run: configuration, inputs, metrics, outputs.

    Args:
        run: A run's id, its hash, or the beginning of either.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        as_json: Print one JSON object.
    """
    record = ledger.show(run, runs)
    if as_json:
        show_json(record)
        return
    for key, value in record.items():
        _show_item(key, value)


@app.command
def diff(left: str, right: str, *, runs: Runs = None, as_json: Json = False) -> None:
    """Show in what two runs differ: configuration, inputs, code, packages, metrics.

    Args:
        left: First run's id or its beginning.
        right: Second run's id or its beginning.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        as_json: Print one JSON object.
    """
    rows = ledger.diff(left, right, runs)
    if as_json:
        show_json({"rows": rows})
    elif rows:
        show_rows(rows, {"what": "", "left": "", "right": ""})
    else:
        print("no difference")


def _show_item(key: str, value: Any) -> None:
    if isinstance(value, dict) and value:
        print(f"{key}")
        for name, inner in value.items():
            print(f"  {name:<24} {cell(inner, '')}")
    else:
        print(f"{key:<10} {cell(value, '')}")
