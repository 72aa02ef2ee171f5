"""What every verb shares: tables and JSON on stdout, progress on stderr, and the options that all take."""

import json
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from homespun.runs.report import cell
from homespun.runs.tables import sha256

Json = Annotated[bool, Parameter(name="--json", negative=())]
Dry = Annotated[bool, Parameter(name="--dry", negative=())]
Runs = Annotated[Path | None, Parameter(name="--runs")]
Row = Mapping[str, Any]


Advance = Callable[[int, int], None]
"""Callback of long work: how much is done, of how much."""


def show_json(value: Any) -> None:
    """Prints one JSON object. Unknown numbers are null, never NaN."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str))


def show_rows(rows: Sequence[Row], columns: Mapping[str, str], title: str | None = None) -> None:
    """Prints rows as a table.

    Args:
        rows: The rows.
        columns: Key of each column to show, with its format: a format spec (``.1%``), ``$`` for dollars per
            1,000 questions, or an empty string for text.
        title: Line above the table.
    """
    if title:
        print(f"{title}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, spec in columns.items():
        heading = f"{name} $/1000" if spec == "$" else name
        table.add_column(heading, justify="left" if not spec else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(cell(row.get(name), spec) for name, spec in columns.items()))
    width = None if sys.stdout.isatty() else 160
    Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table)


def show_plan(config: Row, inputs: Mapping[str, Path | None], **forecast: float) -> None:
    """Prints what would be done: resolved configuration, inputs with their checksums, forecast of cost.

    Raises:
        DataError: an input cannot be read.
    """
    files = {name: {"path": str(path), "sha256": sha256(path)} for name, path in inputs.items() if path is not None}
    show_json({"config": config, "inputs": files, "forecast": {"dollars": 0.0, **forecast}})


def say(line: str) -> None:
    """One line of progress on stderr."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str) -> Generator[Advance]:
    """A bar on a terminal; elsewhere a line when work begins, every ten seconds, and at the end.

    Nothing is said before the first step, so that bad input is answered by its error alone.
    """
    if sys.stderr.isatty():
        console = Console(file=sys.stderr)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    start, last = time.monotonic(), [0.0]

    def advance(done: int, total: int) -> None:
        if not last[0]:
            last[0] = time.monotonic()
            say(f"{label} …")
        elif time.monotonic() - last[0] >= 10:
            last[0] = time.monotonic()
            say(f"{label}: {done:,} of {total:,}")

    yield advance
    say(f"{label}: done in {time.monotonic() - start:.1f} s")
