"""Takes out of a finished corpus what its owners have refused since: a newer set of robots files, and a smaller corpus.

The filter that decided when the corpus was built decides again, by addresses alone: of the documents only ids and URLs
are read. Shards of which nobody refuses anything are the same files under another name; the others are written again
without the documents in question, their tokens cut out. What had left before stays out, also copies of a document that
leaves now: nothing comes back. The old run stays as it is, and still holds the documents, as does whatever was made
from it (`affected.parquet`).
"""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from homespun.corpus.documents import VERDICT, documents
from homespun.corpus.executors import Executor, Local, Task
from homespun.corpus.executors import run as work_off
from homespun.corpus.filters.robots import Robots
from homespun.corpus.filters.signals import Signal
from homespun.corpus.ledger import corpus_folder, numbers
from homespun.corpus.ledger_check import check, shards_table
from homespun.corpus.ledger_rules import OPT_OUT
from homespun.corpus.lineage import Lineage, Made
from homespun.corpus.opt_out_affected import made_from, places
from homespun.corpus.opt_out_cut import cut_shard, link, reindex
from homespun.corpus.robots import Policy
from homespun.corpus.shards import shard_path
from homespun.errors import RunError
from homespun.records import Run
from homespun.runs.run import RunFolder, open_run, read_run

Progress = Callable[[int, int], None]
CARRIED = re.compile(r"(?:documents|excluded|tokens)/[A-Za-z0-9][\w.-]*|[A-Za-z0-9][\w-]*\.json")
INDEX = "tokens/index.json"
ENDING = "-opted-out"
POLICY = frozenset(field.name for field in dataclasses.fields(Policy))
SITE_SIGNALS: frozenset[Signal] = frozenset({"content_signal", "ai_txt"})
"""Signals that stand in a table of robots files."""
REFUSED = {"row": pl.Int64, "id": pl.String, "url": pl.String, "reason": pl.String, "evidence": pl.String}


class OptedOut(NamedTuple):
    """A corpus without the documents that are refused now."""

    folder: Path
    run_id: str
    before: str
    """The old run."""
    totals: Mapping[str, Any]
    """Documents and bytes read, kept and excluded, tokens; ``opted_out``: documents taken out just now."""
    made: Sequence[Made]
    """Runs made from the old one with some of these documents in what they read, as of now."""
    again: bool
    """Whether this had been done before."""


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """Decisions about a corpus: for each shard that is hit, rows of `REFUSED`."""

    shards: Mapping[int, pl.DataFrame]

    @property
    def documents(self) -> int:
        """How many are refused."""
        return sum(map(len, self.shards.values()))


def opt_out(
    run: str,
    robots: Path,
    policy: Policy | None = None,
    *,
    root: Path | str | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> OptedOut:
    """Makes the corpus that is left of another one by newer robots files.

    Args:
        run: A finished corpus, by its id or the beginning of it.
        robots: Table with columns host and content (null: the site has none), and where known status and fetched.
        policy: How to decide; None: as the corpus itself decided.
        root: Folder of runs.
        executor: Where shards are written; a process per core of this machine, unless told.
        progress: Told about shards.

    Raises:
        DataError: no such corpus, or the table cannot be read.
        RunError: the corpus is damaged, or another process works on the same.
    """
    folder = corpus_folder(run, root)
    old = read_run(folder)
    stage = stage_of(old, robots, policy)
    lineage = Lineage(root)
    with _open(old, stage, root) as opened:
        if opened.done:
            known = pl.read_parquet(opened.path / "affected.parquet")
            _, made = made_from(known, old, opened.record.id, lineage, root)
            return OptedOut(opened.path, opened.record.id, old.id, opened.record.metrics, made, True)
        check(folder)
        refusals = refused(folder, stage)
        _tidy(opened.path)
        counts = _write(old, folder, opened.path, refusals, executor or Local(), progress)
        table = _shards(folder, counts)
        opened.write("shards", table)
        affected, made = made_from(places(folder, refusals.shards), old, opened.record.id, lineage, root)
        opened.write("affected", affected)
        totals = {**check(opened.path), "opted_out": refusals.documents}
        _same(old, opened.finish(metrics=totals), counts, opened.path)
        shutil.rmtree(opened.path / "parts", ignore_errors=True)
    return OptedOut(opened.path, opened.record.id, old.id, totals, made, False)


def stage_of(run: Run, robots: Path, policy: Policy | None = None) -> Robots:
    """The filter of robots files as a corpus had it, with newer files; as released data should have it, if it had none.

    Signals that pages themselves gave were heard when they were read; only those of whole sites are asked for again.

    Args:
        run: The corpus's record.
        robots: The newer files.
        policy: How to decide instead.
    """
    stages = [stage for stage in run.config.get("gather") or () if stage.get("stage") == "robots"]
    said: Any = stages[0] if stages else run.config.get(OPT_OUT) or {}
    known: dict[str, Any] = {name: value for name, value in (said.get("policy") or {}).items() if name in POLICY}
    if "agents" in known:
        known["agents"] = tuple(known["agents"])
    signals = SITE_SIGNALS.intersection(said.get("signals") or ())
    return Robots(table=robots, policy=policy or Policy(**known), signals=signals)


def refused(folder: Path, stage: Robots) -> Refusals:
    """Which documents of a corpus a filter of robots files takes out, by their addresses alone.

    Args:
        folder: The corpus.
        stage: The filter.

    Raises:
        DataError: its table cannot be read.
    """
    judge = stage.open()
    found: dict[int, pl.DataFrame] = {}
    for shard in numbers(folder):
        table = pq.read_table(shard_path(folder, "documents", shard), columns=["id", "url"])
        said = judge(documents({name: table[name] for name in table.column_names}))
        rows = pl.DataFrame({name: pl.from_arrow(said[name]) for name in ("id", "url", *VERDICT.names)})
        hit = rows.with_row_index("row").filter(pl.col("reason").is_not_null())
        if len(hit):
            found[shard] = hit.select(pl.col(name).cast(kind) for name, kind in REFUSED.items())
    return Refusals(shards=found)


def described(stage: Robots) -> dict[str, Any]:
    """How robots files are read, for the run's record."""
    return {"policy": dataclasses.asdict(stage.policy), "signals": sorted(stage.signals)}


def _open(old: Run, stage: Robots, root: Path | str | None) -> RunFolder:
    """The new run's folder, unopened: named by the old run's contents, the robots files and how they are read."""
    carried = _carried(old)
    digest = hashlib.sha256(json.dumps(carried, sort_keys=True).encode()).hexdigest()
    before = [name for name in old.config.get("stages") or () if name != OPT_OUT]
    said = {"run": old.id, "outputs": digest, **described(stage)}
    config = {**old.config, "stages": [*before, OPT_OUT], OPT_OUT: said}
    name = old.name.removesuffix(ENDING) + ENDING
    opened = open_run("corpus", name, config=config, inputs={"robots": stage.table}, seed=old.seed, root=root)
    inputs = opened.record.inputs | {f"{old.id}/{name}": content for name, content in carried.items()}
    opened.record = opened.record.model_copy(update={"inputs": inputs})
    return opened


def _tidy(folder: Path) -> None:
    """Takes away what a process that was killed had begun to write."""
    for stale in folder.rglob(".?*"):
        if stale.is_file() and stale.name != ".lock":
            stale.unlink(missing_ok=True)


def _write(
    old: Run, before: Path, after: Path, refusals: Refusals, executor: Executor, progress: Progress | None
) -> dict[int, Mapping[str, Any]]:
    """Writes the shards that are hit, and links the others; gives the counts of those that were written."""
    carried = _carried(old)
    tasks: list[Task] = []
    for shard, rows in refusals.shards.items():
        digests = {name: digest for name, digest in carried.items() if _shard_of(name) == shard}
        columns = (rows[name].to_list() for name in ("row", "reason", "evidence"))
        tasks.append(Task(cut_shard, (before, after, shard, *columns, digests)))
    said = work_off(executor, tasks, progress or (lambda done, total: None))
    counts = dict(zip(refusals.shards, said, strict=True))
    for name in carried:
        if _shard_of(name) not in counts and name != INDEX:
            link(before / name, after / name)
    if INDEX in carried:
        reindex(before, after, numbers(before))
    return counts


def _carried(old: Run) -> dict[str, str]:
    """Files of a corpus that what is made from it has too, changed or not."""
    return {name: digest for name, digest in old.outputs.items() if CARRIED.fullmatch(name)}


def _shard_of(name: str) -> int | None:
    stem = PurePosixPath(name).name.split(".")[0]
    return int(stem) if stem.isdecimal() and stem.isascii() else None


def _same(old: Run, new: Run, counts: Mapping[int, Mapping[str, Any]], folder: Path) -> None:
    """Checks that files taken over are what the old run wrote: its damage must not get a checksum that is right.

    Raises:
        RunError: one is not; then nothing of the new run is left.
    """
    for name, digest in _carried(old).items():
        if _shard_of(name) not in counts and name != INDEX and new.outputs[name] != digest:
            shutil.rmtree(folder)
            raise RunError("is not what the run wrote", f"{old.id}, {name}", "build the corpus again")


def _shards(before: Path, counts: Mapping[int, Mapping[str, Any]]) -> pl.DataFrame:
    """The shards' table with the counts of those that were written."""
    table = shards_table(before)
    for name in ("kept", "kept_bytes", "excluded", "excluded_bytes", "tokens"):
        new = {shard: said[name] for shard, said in counts.items() if name in said}
        if name in table.columns and new:
            value = pl.col("shard").replace_strict(new, default=pl.col(name), return_dtype=table.schema[name])
            table = table.with_columns(value.alias(name))
    return table
