"""From a document to everything made from it: by content, wherever a file was copied to, through any number of runs."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.executors import Local
from homespun.corpus.lineage import Lineage, contents, downstream, folder_sha256
from homespun.corpus.opt_out import opt_out
from homespun.errors import RunError
from homespun.runs.run import open_run, read_run
from homespun.runs.tables import sha256

HERE = Local(workers=1)
NO_GPT = "User-agent: GPTBot\nDisallow: /\n"


@pytest.fixture
def corpus(make: Any, doc: Any) -> Path:
    return make([[doc(f"{s}#{n}", f"text {s} {n}", f"https://h{s}{n}.example/") for n in range(3)] for s in range(3)])


def train(
    name: str, inputs: Mapping[str, Path], config: Mapping[str, Any] | None = None, stage: str = "pretrain"
) -> Path:
    """A run that reads files and writes a checkpoint."""
    with open_run(stage, name, config={"name": name, **(config or {})}, inputs=inputs) as run:
        (run.path / "checkpoint").mkdir()
        (run.path / "checkpoint" / "model.bin").write_text(f"weights of {name}")
        run.finish()
    return run.path


def names(made: Any) -> list[str]:
    return [item.run.split("/")[1].rsplit("-", 1)[0] for item in made]


def test_a_file_is_known_again_by_content_through_several_runs(corpus: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copy(corpus / "tokens" / "00001.bin", tmp_path / "other-name.bin")
    base = train("base", {"data": Path(elsewhere)})
    tuned = train("tuned", {"weights": base / "checkpoint" / "model.bin"}, stage="align")
    train("unrelated", {"robots": corpus.parent.parent / "align" / tuned.name / "run.json"})
    made = downstream(f"corpus/{corpus.name}")
    assert names(made) == ["base", "tuned"]
    assert made[0].through == (f"corpus/{corpus.name}/tokens/00001.bin",)
    assert made[1].through == (f"pretrain/{base.name}/checkpoint/model.bin",)
    assert (made[0].stage, made[0].outputs) == ("pretrain", ("checkpoint/model.bin",))
    assert downstream("corpus/none") == []


def test_a_folder_read_as_a_whole_counts(corpus: Path) -> None:
    record = read_run(corpus)
    for folder in ("tokens", "documents", "excluded"):
        assert folder_sha256(record.outputs, folder) == contents(record)[folder] == sha256(corpus / folder)
    assert folder_sha256(record.outputs, "nothing") is None
    train("whole", {"corpus": corpus / "tokens"})
    lineage = Lineage()
    assert names(lineage.downstream(record.id)) == ["whole"]
    assert names(lineage.downstream(record.id, ["tokens/00002.bin"])) == ["whole"]
    assert names(lineage.downstream(record.id, ["documents/00002.parquet"])) == []


def test_a_run_that_names_another_counts(corpus: Path) -> None:
    record = read_run(corpus)
    train("named", {}, {"data": [{"corpus": record.id}]})
    train("listed", {f"{record.id}/run.json": corpus / "run.json"})
    train("other", {}, {"corpus": "corpus/another-123"})
    assert sorted(names(downstream(record.id))) == ["listed", "named"]
    assert sorted(names(Lineage().downstream(record.id, ["tokens/00000.bin"]))) == ["listed", "named"]


def test_only_those_shards_that_hold_the_document(corpus: Path) -> None:
    record = read_run(corpus)
    train("one", {"tokens": corpus / "tokens" / "00001.bin"})
    train("two", {"tokens": corpus / "tokens" / "00002.bin", "ends": corpus / "tokens" / "00002.ends.npy"})
    lineage = Lineage()
    assert names(lineage.downstream(record.id, ["tokens/00001.bin"])) == ["one"]
    assert names(lineage.downstream(record.id, ["tokens/00002.bin", "tokens/00002.ends.npy"])) == ["two"]
    assert names(lineage.downstream(record.id, ["tokens/00000.bin"])) == []
    assert names(lineage.downstream(record.id, without=[lineage.downstream(record.id)[0].run])) == ["two"]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_downstream_is_reachability(
    edges: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMESPUN_RUNS", str(tmp_path_factory.mktemp("runs")))
    reads = {at: sorted({low for low, high in edges if high == at and low < at}) for at in range(7)}
    made = [train(f"n{at}", {f"in{low}": _output(low) for low in reads[at]}) for at in range(7)]
    reached: dict[int, set[int]] = {at: {high for high in range(7) if at in reads[high]} for at in range(7)}
    for at in reversed(range(7)):
        reached[at] |= {far for near in reached[at] for far in reached[near]}
    for at, path in enumerate(made):
        assert set(names(downstream(f"pretrain/{path.name}"))) == {f"n{far}" for far in reached[at]}


def _output(at: int) -> Path:
    (found,) = Path(os.environ["HOMESPUN_RUNS"]).glob(f"pretrain/n{at}-*/checkpoint/model.bin")
    return found


def test_what_was_made_with_a_document_is_named(corpus: Path, table: Any) -> None:
    base = train("base", {"tokens": corpus / "tokens" / "00001.bin"})
    tuned = train("tuned", {"weights": base / "checkpoint" / "model.bin"}, stage="align")
    train("other", {"tokens": corpus / "tokens" / "00000.bin"})
    done = opt_out(corpus.name, table({"h11.example": NO_GPT, "h20.example": NO_GPT}), executor=HERE)
    assert names(done.made) == ["base", "tuned"]
    affected = pl.read_parquet(done.folder / "affected.parquet")
    assert affected["id"].to_list() == ["1#1", "2#0"]
    assert affected["runs"].to_list() == [[f"pretrain/{base.name}", f"align/{tuned.name}"], []]
    assert affected["shard"].to_list() == [1, 2]
    # Whoever asks again hears of what was made since.
    train("later", {"tokens": corpus / "tokens" / "00002.bin"})
    again = opt_out(corpus.name, table({"h11.example": NO_GPT, "h20.example": NO_GPT}), executor=HERE)
    assert again.again
    assert names(again.made) == ["base", "tuned", "later"]


def test_what_was_made_without_it_is_not(corpus: Path, table: Any) -> None:
    first = opt_out(corpus.name, table({"h11.example": NO_GPT}, "first"), executor=HERE)
    clean = train("clean", {"tokens": first.folder / "tokens" / "00001.bin"})
    both = opt_out(corpus.name, table({"h11.example": NO_GPT, "h12.example": NO_GPT}, "second"), executor=HERE)
    affected = pl.read_parquet(both.folder / "affected.parquet")
    runs = dict(zip(affected["id"].to_list(), affected["runs"].to_list(), strict=True))
    # The first opt-out took 1#1 out; 1#2 was still in it, and in what was made from it.
    assert runs == {"1#1": [], "1#2": [first.run_id, f"pretrain/{clean.name}"]}
    again = opt_out(corpus.name, table({"h11.example": NO_GPT}, "first"), executor=HERE)
    assert (again.again, again.made) == (True, [])  # the second took it out too
    (first.folder / "affected.parquet").write_bytes(b"no table")
    with pytest.raises(RunError, match="affected"):
        opt_out(corpus.name, table({"h10.example": NO_GPT}, "third"), executor=HERE)


def test_what_was_taken_out_later_on_the_way_is_not_named(corpus: Path, table: Any) -> None:
    first = opt_out(corpus.name, table({"h00.example": NO_GPT}, "first"), executor=HERE)
    second = opt_out(first.run_id, table({"h11.example": NO_GPT}, "second"), executor=HERE)
    train("clean", {"tokens": second.folder / "tokens" / "00001.bin"})
    third = opt_out(corpus.name, table({"h11.example": NO_GPT}, "third"), executor=HERE)
    (runs,) = pl.read_parquet(third.folder / "affected.parquet")["runs"].to_list()
    assert runs == [first.run_id]  # it still holds 1#1; what was made of it without 1#1 doesn't


def test_a_damaged_record_is_named_before_anything_is_done(corpus: Path, table: Any) -> None:
    path = train("base", {"tokens": corpus / "tokens" / "00001.bin"})
    (path / "run.json").write_text("{")
    with pytest.raises(RunError, match=path.name):
        opt_out(corpus.name, table({"h11.example": NO_GPT}), executor=HERE)
    assert list(corpus.parent.glob("*-opted-out-*")) == []
