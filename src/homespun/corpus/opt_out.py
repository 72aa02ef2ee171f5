"""Takes out of a finished corpus what its owners have refused since: a newer set of robots files, and a smaller corpus.

Decided is by address alone: of the documents only ids, URLs, sources and languages are read. Shards of which nobody
refuses anything are the same files under another name; the others are written again without the documents in question,
their tokens cut out. What had left before stays out, also copies of a document that leaves now: nothing comes back.
The old run stays as it is, and still holds the documents, as does whatever was made from it (`affected.parquet`).
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

from homespun.corpus.executors import Executor, Local, Task
from homespun.corpus.executors import run as work_off
from homespun.corpus.ledger import corpus_folder, numbers
from homespun.corpus.ledger_check import check, shards_table
from homespun.corpus.ledger_rules import OPT_OUT
from homespun.corpus.lineage import Lineage, Made
from homespun.corpus.opt_out_affected import made_from, places
from homespun.corpus.opt_out_cut import cut_shard, link, reindex
from homespun.corpus.robots import MODES, Decider, Fetched, Mode, Policy
from homespun.corpus.robots.hosts import normalised
from homespun.corpus.shards import shard_path
from homespun.errors import DataError, RunError
from homespun.records import Run
from homespun.runs.run import RunFolder, open_run, read_run
from homespun.runs.tables import read_table

Progress = Callable[[int, int], None]
CARRIED = re.compile(r"(?:documents|excluded|tokens)/[A-Za-z0-9][\w.-]*|[A-Za-z0-9][\w-]*\.json")
INDEX = "tokens/index.json"
ENDING = "-opted-out"
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
    policy = policy or policy_of(old)
    lineage = Lineage(root)
    with _open(old, robots, policy, root) as opened:
        if opened.done:
            known = pl.read_parquet(opened.path / "affected.parquet")
            _, made = made_from(known, old, opened.record.id, lineage, root)
            return OptedOut(opened.path, opened.record.id, old.id, opened.record.metrics, made, True)
        check(folder)
        refusals = refused(folder, read_robots(robots), policy)
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


def policy_of(run: Run) -> Policy:
    """How a corpus decided about robots files; as released data should, if it didn't."""
    stages = [stage for stage in run.config.get("gather") or () if stage.get("stage") == "robots"]
    said: Any = stages[0].get("policy") if stages else (run.config.get(OPT_OUT) or {}).get("policy")
    if not isinstance(said, dict):
        return Policy()
    known: dict[str, Any] = {f.name: said[f.name] for f in dataclasses.fields(Policy) if f.name in said}
    if "agents" in known:
        known["agents"] = tuple(known["agents"])
    return Policy(**known)


def read_robots(path: Path) -> dict[str, Fetched]:
    """Robots files by normalised host; of several for one host the one fetched last, and of these the last row.

    Raises:
        DataError: the table is unreadable, or has no such columns.
    """
    table = read_table(path, {"host": "text"}, {"content": "any", "status": "count", "fetched": "text"})
    if "content" not in table.columns:
        raise DataError("missing column 'content'", str(path), "the text of each host's robots file, or null")
    if table["content"].dtype not in (pl.String, pl.Binary, pl.Null):
        raise DataError(f"holds {table['content'].dtype}", f"{path}, column 'content'", "text, or bytes as they came")
    if "fetched" in table.columns:
        table = table.sort("fetched", nulls_last=False, maintain_order=True)
    status = table["status"].cast(pl.Int64) if "status" in table.columns else pl.Series([None] * len(table))
    return {
        normalised(host): Fetched(content, code)
        for host, content, code in zip(table["host"], table["content"], status, strict=True)
    }


def refused(folder: Path, files: Mapping[str, Fetched], policy: Policy) -> Refusals:
    """Which documents of a corpus robots files refuse.

    Args:
        folder: The corpus.
        files: Robots files by host.
        policy: How to decide.
    """
    own = Decider(files, policy)
    modes: dict[Mode, Decider] = {mode: Decider(files, dataclasses.replace(policy, mode=mode)) for mode in MODES}
    found: dict[int, pl.DataFrame] = {}
    for shard in numbers(folder):
        table = pl.read_parquet(shard_path(folder, "documents", shard), columns=["id", "url"])
        hit = table.with_row_index("row").with_columns(mask=own.masks(table["url"])).filter(pl.col("mask") != 0)
        if not len(hit):
            continue
        refuses = {mode: decider.masks(hit["url"]).to_list() for mode, decider in modes.items()}
        said = [_evidence(mask, policy, [m for m in MODES if refuses[m][at]]) for at, mask in enumerate(hit["mask"])]
        rows = hit.with_columns(
            reason=pl.Series([reason for reason, _ in said], dtype=pl.String),
            evidence=pl.Series([evidence for _, evidence in said], dtype=pl.String),
        )
        found[shard] = rows.select(pl.col(name).cast(kind) for name, kind in REFUSED.items())
    return Refusals(shards=found)


def _evidence(mask: int, policy: Policy, modes: Sequence[str]) -> tuple[str, str]:
    """Reason and evidence, in the words of the robots filter."""
    agents = [agent for at, agent in enumerate(policy.agents) if mask >> at & 1]
    return "everyone" if agents == ["*"] else "agent", json.dumps({"agents": agents, "modes": list(modes)})


def _open(old: Run, robots: Path, policy: Policy, root: Path | str | None) -> RunFolder:
    """The new run's folder, unopened: named by the old run's contents, the robots files and the policy."""
    carried = _carried(old)
    digest = hashlib.sha256(json.dumps(carried, sort_keys=True).encode()).hexdigest()
    before = [name for name in old.config.get("stages") or () if name != OPT_OUT]
    said = {"run": old.id, "outputs": digest, "policy": dataclasses.asdict(policy)}
    config = {**old.config, "stages": [*before, OPT_OUT], OPT_OUT: said}
    name = old.name.removesuffix(ENDING) + ENDING
    opened = open_run("corpus", name, config=config, inputs={"robots": robots}, seed=old.seed, root=root)
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
