"""A corpus is built: every document has its place or its reason, and the same bytes come out however it was made."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

from homespun.corpus.dedup import Dedup
from homespun.corpus.documents import Batch, Judge
from homespun.corpus.executors import Executor, Local, OnRay
from homespun.corpus.pipeline import build
from homespun.corpus.plan import Corpus
from homespun.errors import ConfigError, RunError
from homespun.runs.run import read_run

Recipe = Callable[..., Corpus]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a finished run but its record, which tells the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("run.json", ".lock")
    }


def excluded(folder: Path) -> pl.DataFrame:
    """The ledger of a run."""
    return pl.read_parquet(folder / "excluded" / "*.parquet")


def test_every_document_has_its_place_or_its_reason(recipe: Recipe, tmp_path: Path) -> None:
    phases: list[tuple[str, int, int]] = []
    corpus = recipe()
    built = build(corpus, root=tmp_path, executor=Local(workers=1), progress=lambda *said: phases.append(said))
    kept = pl.read_parquet(built.folder / "documents" / "*.parquet")
    left = excluded(built.folder)
    assert kept.height + left.height == built.totals["read"] == 150 + 65 + 1 + 20
    names = kept["id"].to_list() + left["id"].to_list()
    assert len(set(names)) == len(names)
    shards = pl.read_parquet(built.folder / "shards.parquet")
    assert shards.height > 5
    assert (shards["kept"] + shards["excluded"] == shards["read"]).all()
    assert shards["kept_bytes"].sum() == kept["text"].str.len_bytes().sum()
    assert shards["excluded_bytes"].sum() == left["bytes"].sum()

    reasons = {row["id"]: (row["filter"], row["reason"], row["evidence"]) for row in left.iter_rows(named=True)}
    assert reasons["lines/copy"] == ("dedup", "exact", "table/p3")
    assert reasons["lines/near"] == ("dedup", "near", "table/p5")
    assert reasons["lines/none"][:2] == ("read", "no_text")
    assert reasons["lines/short"][:2] == ("language", "no_letters")
    assert left.filter(pl.col("filter") == "read").height == 2
    assert set(left["filter"]) == {"read", "language", "dedup", "quality", "sample"}
    assert [name for name in corpus.stages if name in set(left["filter"])] == [
        "read",
        "language",
        "dedup",
        "quality",
        "sample",
    ]
    by_id = {row["id"]: row for row in kept.iter_rows(named=True)}
    for name, copies in (("table/p3", 2), ("table/p5", 2)):
        assert by_id[name]["copies"] == copies if name in by_id else reasons[name][0] in ("quality", "sample")
    if "lines/mail" in by_id:
        assert "<email-pii>" in by_id["lines/mail"]["text"]
        assert "<ip-pii>" in by_id["lines/mail"]["text"]
    assert {phase for phase, _, _ in phases} == {"gather", "compare", "refine"}
    assert not (built.folder / "parts").exists()
    assert read_run(built.folder).metrics["kept"] == kept.height


def test_a_finished_run_returns_at_once(recipe: Recipe, tmp_path: Path) -> None:
    first = build(recipe(), root=tmp_path, executor=Local(workers=1))
    second = build(recipe(), root=tmp_path, executor=Local(workers=1))
    assert (first.again, second.again) == (False, True)
    assert first.folder == second.folder
    assert first.totals == second.totals
    assert build(recipe(seed=1), root=tmp_path, executor=Local(workers=1)).folder != first.folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Filled by the first test that builds in one process."""
    return {}


def alone(recipe: Recipe, tmp_path: Path, reference: dict[str, bytes]) -> dict[str, bytes]:
    """What one process makes."""
    if not reference:
        reference.update(contents(build(recipe(), root=tmp_path / "alone", executor=Local(workers=1)).folder))
    return reference


@pytest.mark.parametrize(
    "executor",
    [
        Local(workers=2),
        pytest.param(OnRay(), marks=[pytest.mark.slow, pytest.mark.xdist_group("ray")]),
    ],
    ids=["pool", "ray"],
)
def test_the_same_bytes_from_every_executor(
    recipe: Recipe, tmp_path: Path, executor: Executor, reference: dict[str, bytes]
) -> None:
    expected = alone(recipe, tmp_path, reference)
    try:
        found = contents(build(recipe(), root=tmp_path / "other", executor=executor).folder)
    finally:
        if isinstance(executor, OnRay):
            import ray

            ray.shutdown()
    assert list(found) == list(expected)
    assert [name for name in found if found[name] != expected[name]] == []


SCRIPT = """
import pickle, sys, time
from pathlib import Path
from homespun.corpus.executors import Local
from homespun.corpus.pipeline import build

def tell(phase, done, total):
    print(phase, done, flush=True)
    if (phase, str(done)) == (sys.argv[3], sys.argv[4]):
        time.sleep(60)

if __name__ == "__main__":
    recipe, executor = pickle.loads(Path(sys.argv[1]).read_bytes()), Local(workers=int(sys.argv[5]))
    build(recipe, root=sys.argv[2], executor=executor, progress=tell)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "done", "workers"), [("gather", 3, 2), ("compare", 5, 1), ("refine", 2, 2), ("refine", 4, 1)]
)
def test_a_killed_run_goes_on_to_the_same_bytes(
    recipe: Recipe, tmp_path: Path, phase: str, done: int, workers: int, reference: dict[str, bytes]
) -> None:
    expected = alone(recipe, tmp_path, reference)
    (tmp_path / "recipe").write_bytes(pickle.dumps(recipe()))
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "script.py", tmp_path / "recipe", tmp_path / "runs", phase, done, workers]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.split() == [phase, str(done)]:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (folder,) = (tmp_path / "runs" / "corpus").iterdir()
    early = time.time()
    assert read_run(folder).status == "running"
    stale = folder / "parts" / "gathered" / ".00099.parquet.7"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_bytes(b"what a killed process had begun")
    kept = {
        path: path.stat().st_mtime for path in folder.rglob("*.json") if path.parent.name in ("gathered", "refined")
    }
    assert kept
    steps: list[str] = []

    def look(name: str, *_: int) -> None:
        if not steps:
            assert all(path.stat().st_mtime == at for path, at in kept.items())
        steps.append(name)

    built = build(recipe(), root=tmp_path / "runs", executor=Local(workers=1), progress=look)
    assert not built.again
    assert time.time() > early
    assert contents(built.folder) == expected


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A stage that fails at a document."""

    name: ClassVar[str] = "broken"
    version: ClassVar[int] = 1
    at: str = "table/p77"

    @property
    def files(self) -> Mapping[str, Path]:
        """None."""
        return {}

    def open(self) -> Judge:
        """The function."""

        def judge(batch: Batch) -> Batch:
            if self.at in batch["id"].to_pylist():
                raise ZeroDivisionError("by nothing")
            return batch

        return judge


def test_a_stage_that_fails_is_named_and_nothing_is_lost(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"shard \d+, batch from table/p\d+: ZeroDivisionError in stage broken"):
        build(recipe(gather=(Broken(),)), root=tmp_path, executor=Local(workers=1))
    (folder,) = (tmp_path / "corpus").iterdir()
    assert read_run(folder).status == "failed"
    assert list((folder / "parts" / "gathered").glob("*.json"))
    assert not list((folder / "parts").rglob(".*"))


def test_another_process_on_the_same_run_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    from homespun.corpus.pipeline import open_corpus
    from homespun.corpus.read.source import slices

    corpus = recipe()
    shards = [cut for source in corpus.sources for cut in slices(source, corpus.limits)]
    with open_corpus(corpus, shards, tmp_path), pytest.raises(RunError, match="another process"):
        build(corpus, root=tmp_path, executor=Local(workers=1))


def test_names_must_differ(recipe: Recipe) -> None:
    source = recipe().sources[0]
    with pytest.raises(ConfigError, match="two sources are called 'table'"):
        recipe(sources=(source, source))
    with pytest.raises(ConfigError, match="two stages are called 'broken'"):
        recipe(gather=(Broken(), Broken(at="x")))
    with pytest.raises(ConfigError, match="without sources"):
        recipe(sources=())


def test_without_deduplication_copies_stay(recipe: Recipe, tmp_path: Path) -> None:
    built = build(recipe(dedup=None, cuts=(), refine=()), root=tmp_path, executor=Local(workers=1))
    kept = pl.read_parquet(built.folder / "documents" / "*.parquet")
    assert {"lines/copy", "lines/near", "table/p3"} <= set(kept["id"])
    assert kept["copies"].null_count() == kept.height


def test_earlier_sources_stand_for_later_ones(recipe: Recipe, tmp_path: Path) -> None:
    turned = recipe(sources=recipe().sources[::-1], cuts=(), refine=(), dedup=Dedup(minhash=False))
    left = excluded(build(turned, root=tmp_path, executor=Local(workers=1)).folder)
    assert left.filter(pl.col("filter") == "dedup").select("id", "evidence").rows() == [("table/p3", "lines/copy")]
