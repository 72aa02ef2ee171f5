"""Builds a corpus: text that may be used, and for every document that stayed or left the reason.

Gather (per shard) → shuffle (what repeats) → refine (per shard) → the shards' table. A shard is a slice of an input; it
is the unit of work, of resuming, and of what a worker anywhere can do alone. The same recipe over the same files gives
the same bytes, by a pool of processes, by Ray, or by a run that was killed and went on.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from homespun.corpus.executors import Executor, Local, Results, Task
from homespun.corpus.gather import gather
from homespun.corpus.pack import write_index
from homespun.corpus.plan import Corpus
from homespun.corpus.read.source import Slice, slices
from homespun.corpus.refine import Thresholds, refine
from homespun.corpus.shards import shard_path, write_json
from homespun.corpus.shuffle import shuffle
from homespun.corpus.sketch import Sketch
from homespun.errors import DataError
from homespun.runs.run import RunFolder, open_run

Progress = Callable[[str, int, int], None]
"""Told the phase, how many of its tasks are done, and of how many."""
SHARDS = {
    "shard": pl.Int32,
    "source": pl.String,
    "path": pl.String,
    "start": pl.Int64,
    "stop": pl.Int64,
    "read": pl.Int64,
    "read_bytes": pl.Int64,
    "kept": pl.Int64,
    "kept_bytes": pl.Int64,
    "excluded": pl.Int64,
    "excluded_bytes": pl.Int64,
    "tokens": pl.Int64,
}


class Built(NamedTuple):
    """A finished corpus."""

    folder: Path
    run_id: str
    totals: Mapping[str, Any]
    """Documents and bytes read, kept and excluded, tokens."""
    again: bool
    """Whether it had been finished before."""


def build(
    corpus: Corpus,
    *,
    root: Path | str | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Built:
    """Builds a corpus, or goes on where an earlier run of the same recipe stopped.

    Args:
        corpus: The recipe.
        root: Folder of runs.
        executor: Where to work; a process per core of this machine, unless told.
        progress: Told about each phase.

    Raises:
        DataError: a source or another input is missing.
        RunError: a stage failed, a worker died, or another process works on this run.
    """
    executor = executor or Local()
    tell = progress or _silent
    shards = [cut for source in corpus.sources for cut in slices(source, corpus.limits)]
    if not shards:
        raise DataError("nothing to read", corpus.name, "sources with files in them")
    with open_corpus(corpus, shards, root) as run:
        if run.done:
            return Built(run.path, run.record.id, run.record.metrics, True)
        parts = run.path / "parts"
        _tidy(run.path)
        with executor.session(len(shards)) as work:
            tasks = [Task(gather, (corpus, at, cut, parts)) for at, cut in enumerate(shards)]
            work(tasks, lambda done, total: tell("gather", done, total))
            if corpus.dedup:
                shuffle(corpus.dedup, len(shards), parts, work, lambda done, total: tell("compare", done, total))
            thresholds = _thresholds(corpus, len(shards), run.path)
            tasks = [Task(refine, (corpus, at, thresholds, run.path)) for at in range(len(shards))]
            said = work(tasks, lambda done, total: tell("refine", done, total))
        totals = _close(corpus, shards, said, run)
    return Built(run.path, run.record.id, totals, False)


def _silent(phase: str, done: int, total: int) -> None:
    """Tells nobody."""


def open_corpus(corpus: Corpus, shards: list[Slice], root: Path | str | None) -> RunFolder:
    """The run's folder, unopened: named by the recipe, the contents of all files, and the code."""
    files = {f"{cut.source.name}/{cut.name or cut.path.name}": cut.path for cut in shards}
    inputs = files | corpus.files()
    return open_run("corpus", corpus.name, config=corpus.described(), inputs=inputs, seed=corpus.seed, root=root)


def _tidy(folder: Path) -> None:
    """Takes away what a process that was killed had begun to write."""
    for stale in folder.rglob(".*.parquet*"):
        stale.unlink(missing_ok=True)


def _thresholds(corpus: Corpus, shards: int, folder: Path) -> list[Thresholds]:
    """For each cut its threshold by language, from the scores of the whole corpus; kept in the run."""
    found: list[Thresholds] = []
    for at, cut in enumerate(corpus.cuts):
        merged = Sketch()
        for shard in range(shards):
            merged = merged.merge(Sketch.of(pq.read_table(shard_path(folder / "parts", f"sketched-{at}", shard))))
        found.append(tuple(sorted(cut.thresholds(merged).items())))
    if corpus.cuts:
        write_json(folder / "thresholds.json", {c.column: dict(by) for c, by in zip(corpus.cuts, found, strict=True)})
    return found


def _close(corpus: Corpus, shards: list[Slice], said: Results, run: RunFolder) -> Mapping[str, Any]:
    """Writes the shards' table and the tokens' index, takes the work away, and closes the run."""
    rows = [
        {
            "shard": at,
            "source": cut.source.name,
            "path": cut.name or cut.path.name,
            "start": cut.start,
            "stop": cut.stop,
            **{name: counts.get(name) for name in SHARDS if name in counts},
        }
        for at, (cut, counts) in enumerate(zip(shards, said, strict=True))
    ]
    table = pl.DataFrame(rows, schema=SHARDS)
    run.write("shards", table)
    if corpus.pack:
        write_index(run.path / "tokens", corpus.pack, len(shards))
    counted = [name for name in SHARDS if name not in ("shard", "source", "path", "start", "stop")]
    totals = {name: int(table[name].sum()) for name in counted if table[name].null_count() < len(table)}
    run.finish(metrics=totals)
    shutil.rmtree(run.path / "parts", ignore_errors=True)
    return totals
