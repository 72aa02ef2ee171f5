"""A corpus shrinks by exactly what is refused now, and every other byte stays where and what it was."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus import opt_out as work
from homespun.corpus import opt_out_cut
from homespun.corpus.executors import Local
from homespun.corpus.ledger import why
from homespun.corpus.opt_out import opt_out, stage_of
from homespun.corpus.report import report
from homespun.corpus.robots import MODES, Policy, blocked
from homespun.corpus.robots.hosts import host_of
from homespun.errors import DataError, RunError
from homespun.runs import run
from homespun.runs.run import read_run

HERE = Local(workers=1)
NO_GPT = "User-agent: GPTBot\nDisallow: /\n"
NOBODY = "User-agent: *\nDisallow: /private\n"
ROBOTS = [None, NO_GPT, NOBODY, "User-agent: CCBot/2.0\nDisallow: /a\n", "User-agent: GPT\nDisallow: /a\nAllow: /a/b\n"]
HOSTS = [f"{letter}.example" for letter in "abcd"]
URLS = [None, "", "no url"] + [f"https://{h}/{p}" for h in HOSTS for p in ("", "a", "a/b", "private/x")]
FATES = st.sampled_from([None, None, None, ("robots", "agent", "{}"), ("dedup", "near", "x")])
DOCS = st.lists(st.tuples(FATES, st.sampled_from(URLS), st.text(max_size=9)), max_size=14)


def contents(folder: Path) -> dict[str, bytes]:
    """Files of a corpus that both runs have."""
    kinds = ("documents/*", "excluded/*", "tokens/*", "shards.parquet")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for kind in kinds for path in sorted(folder.glob(kind))
    }


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shards=st.lists(DOCS, min_size=1, max_size=3),
    files=st.lists(st.sampled_from(ROBOTS), min_size=4, max_size=4),
    mode=st.sampled_from(MODES),
    packed=st.booleans(),
)
def test_what_is_left_is_what_the_pipeline_would_have_written(
    shards: list[Any], files: list[Any], mode: Any, packed: bool, make: Any, doc: Any, table: Any, write_corpus: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    root = tmp_path_factory.mktemp("runs")
    rows = [
        [doc(f"{s}#{n}", text, url, "en", fate) for n, (fate, url, text) in enumerate(docs)]
        for s, docs in enumerate(shards)
    ]
    folder = make(rows, packed=packed, root=root)
    before = contents(folder)
    policy, robots = Policy(mode=mode), dict(zip(HOSTS, files, strict=True))
    done = opt_out(folder.name, table(robots), policy, root=root, executor=HERE)

    def now(item: Any) -> Any:
        content = robots.get(host_of(item.url or ""))
        agents = {m: blocked(content, item.url or "", mode=m) for m in MODES} if content and item.left is None else {}
        if not agents.get(mode):
            return item
        evidence = {"agents": agents[mode], "modes": [m for m in MODES if agents[m]]}
        reason = "everyone" if "*" in agents[mode] else "agent"
        return item._replace(left=("opt_out", reason, json.dumps(evidence)))

    after = [[now(item) for item in docs] for docs in rows]
    wanted = tmp_path_factory.mktemp("wanted")
    totals = write_corpus(wanted, after, packed=packed)
    assert contents(done.folder) == contents(wanted)
    assert contents(folder) == before
    assert {name: done.totals[name] for name in totals} == totals
    gone = [item.id for docs in after for item in docs if item.left and item.left[0] == "opt_out"]
    assert done.totals["opted_out"] == len(gone)
    affected = pl.read_parquet(done.folder / "affected.parquet")
    assert affected["id"].to_list() == gone
    texts = {item.id: item.text for docs in rows for item in docs}
    for row in affected.iter_rows(named=True):
        if packed:
            ids = np.fromfile(folder / f"tokens/{row['shard']:05d}.bin", dtype="<u2")[row["start"] : row["stop"]]
            assert bytes(int(token) - 10 for token in ids[1:-1]) == texts[row["id"]].encode()
        else:
            assert row["start"] is row["stop"] is None


@pytest.fixture
def corpus(make: Any, doc: Any) -> Path:
    return make(
        [
            [doc("0#0", "zero", "https://a.example/"), doc("0#1", "one", "https://b.example/")],
            [doc("1#0", "two", "https://c.example/"), doc("1#1", "three", left=("dedup", "exact", "0#1"))],
            [doc(f"2#{n}", f"text {n}", f"https://{'b' if n % 3 else 'c'}.example/{n}") for n in range(40)],
        ]
    )


def test_shards_without_a_hit_are_the_same_files(corpus: Path, table: Any) -> None:
    done = opt_out(corpus.name, table({"a.example": NO_GPT}), executor=HERE)
    for name in ("documents/00001.parquet", "tokens/00001.bin", "excluded/00002.parquet", "tokens/00002.ends.npy"):
        assert os.path.samefile(corpus / name, done.folder / name)
    for name in ("documents/00000.parquet", "tokens/00000.bin", "excluded/00000.parquet", "tokens/index.json"):
        assert not os.path.samefile(corpus / name, done.folder / name)


def test_texts_of_shards_without_a_hit_are_not_read(corpus: Path, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    known = opt_out_cut.batches
    monkeypatch.setattr(opt_out_cut, "batches", lambda path: (read.append(path), known(path))[1])
    done = opt_out(corpus.name, table({"a.example": NO_GPT}), executor=HERE)
    assert read == [corpus / "documents/00000.parquet"]
    asked: list[Any] = []
    reader = pq.read_table
    monkeypatch.setattr(
        work.pq, "read_table", lambda path, columns: (asked.append(columns), reader(path, columns=columns))[1]
    )
    work.refused(corpus, stage_of(read_run(corpus), table({"a.example": NO_GPT})))
    assert asked == [["id", "url"]] * 3
    assert done.totals["opted_out"] == 1


def test_another_disk_gets_copies(corpus: Path, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = contents(opt_out(corpus.name, table({"a.example": NO_GPT}), executor=HERE).folder)

    def refuses(*_: Any) -> None:
        raise OSError("Invalid cross-device link")

    shutil.rmtree(next(corpus.parent.glob("web-opted-out-*")))
    monkeypatch.setattr(os, "link", refuses)
    done = opt_out(corpus.name, table({"a.example": NO_GPT}), executor=HERE)
    assert contents(done.folder) == linked
    assert not os.path.samefile(corpus / "documents/00001.parquet", done.folder / "documents/00001.parquet")


def test_the_same_again_returns_at_once(corpus: Path, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opt_out(corpus.name, table({"b.example": NO_GPT}), executor=HERE)
    monkeypatch.setattr(work, "refused", lambda *_: pytest.fail("decided again"))
    again = opt_out(corpus.name, table({"b.example": NO_GPT}, "elsewhere"), executor=HERE)
    assert (first.again, again.again) == (False, True)
    assert (again.folder, again.totals) == (first.folder, first.totals)


def test_nothing_refused_is_a_run_too(corpus: Path, table: Any) -> None:
    done = opt_out(corpus.name, table({"z.example": NO_GPT, "a.example": None}), executor=HERE)
    assert done.totals["opted_out"] == 0
    assert contents(done.folder) == contents(corpus)
    assert done.run_id != f"corpus/{corpus.name}"


def test_what_had_left_stays_out_and_is_told_so(corpus: Path, table: Any) -> None:
    done = opt_out(corpus.name, table({"b.example": NO_GPT}), executor=HERE)
    answer = why("0#1", run=done.run_id)
    assert (answer.filter, answer.reason) == ("opt_out", "agent")
    assert answer.words == "0#1 left at opt_out: its site's newer robots file refuses GPTBot"
    assert answer.settings is not None
    assert answer.settings["run"] == f"corpus/{corpus.name}"
    copy = why("1#1", run=done.run_id)
    assert copy.filter == "dedup"
    assert copy.keeper_words == answer.words
    said = report(done.folder)
    assert said.filters[-1]["filter"] == "opt_out"
    assert said.filters[-1]["removed"] == done.totals["opted_out"] == 27
    assert {row["agent"]: row["documents"] for row in said.agents} == {"any": 27, "GPTBot": 27}


def test_twice_in_a_row_is_both_at_once(corpus: Path, table: Any) -> None:
    one = opt_out(corpus.name, table({"a.example": NO_GPT}, "one"), executor=HERE)
    two = opt_out(one.run_id, table({"b.example": NO_GPT}, "two"), executor=HERE)
    both = opt_out(corpus.name, table({"a.example": NO_GPT, "b.example": NO_GPT}, "both"), executor=HERE)
    assert contents(two.folder) == contents(both.folder)
    assert two.folder.name.startswith("web-opted-out-")
    assert read_run(two.folder).config["stages"] == read_run(both.folder).config["stages"]


def test_policy_is_the_corpus_s_own(corpus: Path, make: Any, doc: Any, table: Any) -> None:
    robots = table({"a.example": "User-agent: AI2Bot\nDisallow: /\n"})
    own = stage_of(read_run(corpus), robots).policy
    assert own == Policy(mode="rfc", agents=("GPTBot", "CCBot", "*"))
    assert stage_of(read_run(make([[doc("a")]], "plain", config={"name": "plain"})), robots).policy == Policy()
    done = opt_out(corpus.name, robots, executor=HERE)
    assert done.totals["opted_out"] == 0
    assert stage_of(read_run(done.folder), robots).policy == own
    done = opt_out(corpus.name, robots, Policy(), executor=HERE)
    assert done.totals["opted_out"] == 1


def test_signals_of_sites_are_asked_for_again(make: Any, doc: Any, table: Any) -> None:
    robots = table({"a.example": "User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n"})
    docs = [[doc("a", url="https://a.example/x"), doc("b", url="https://b.example/x")]]
    for signals, left in (([], 0), (["content_signal", "tdm"], 1)):
        folder = make(docs, config={"name": "x", "gather": [{"stage": "robots", "signals": signals}]})
        done = opt_out(folder.name, robots, executor=HERE)
        assert done.totals["opted_out"] == left
    answer = why("a", run=done.run_id)
    assert (answer.filter, answer.reason) == ("opt_out", "signal")
    assert answer.words == "a left at opt_out: its site asks since not to be trained on"


@pytest.mark.parametrize(
    ("columns", "words"),
    [({"host": ["a"]}, "content"), ({"content": ["a"]}, "host"), ({"host": ["a"], "content": [7]}, "Int64")],
)
def test_what_is_no_table_of_robots_files_is_one_line(corpus: Path, tmp_path: Path, columns: Any, words: str) -> None:
    path = tmp_path / "robots.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(DataError, match=words) as error:
        opt_out(corpus.name, path, executor=HERE)
    assert len(str(error.value).splitlines()) == 1
    assert not list(corpus.parent.glob("web-opted-out-*/documents"))


def test_damage_is_found_before_anything_is_done(corpus: Path, table: Any) -> None:
    path = corpus / "documents" / "00002.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises((RunError, DataError), match=r"00002"):
        opt_out(corpus.name, table({"b.example": NO_GPT}), executor=HERE)
    (left,) = corpus.parent.glob("web-opted-out-*")
    assert read_run(left).status == "failed"
    assert not (left / "documents").exists()


@pytest.mark.parametrize("name", ["tokens/00001.bin", "documents/00001.parquet", "tokens/00000.bin"])
def test_damage_gets_no_checksum_of_its_own(corpus: Path, table: Any, name: str) -> None:
    content = bytearray((corpus / name).read_bytes())
    content[len(content) // 3] ^= 1
    (corpus / name).write_bytes(content)
    with pytest.raises((RunError, DataError), match=name):
        opt_out(corpus.name, table({"a.example": NO_GPT}), executor=HERE)
    assert all(read_run(left).status == "failed" for left in corpus.parent.glob("web-opted-out-*"))


def test_a_missing_file_is_named(corpus: Path, table: Any) -> None:
    record = json.loads((corpus / "run.json").read_text())
    record["outputs"]["thresholds.json"] = "0" * 64
    (corpus / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"thresholds\.json: is missing"):
        opt_out(corpus.name, table({"a.example": NO_GPT}), executor=HERE)


def test_a_file_is_never_carried_out_of_the_run(corpus: Path, table: Any, tmp_path: Path) -> None:
    record = json.loads((corpus / "run.json").read_text())
    record["outputs"] |= {"documents/../../../../escape": "0" * 64, "/etc/hostname": "0" * 64, "page.html": "0" * 64}
    (corpus / "run.json").write_text(json.dumps(record))
    done = opt_out(corpus.name, table({"a.example": NO_GPT}), executor=HERE)
    assert set(read_run(done.folder).outputs) - set(contents(done.folder)) == {"affected.parquet"}


KILLED = """
import os, signal, sys
from pathlib import Path
from homespun.corpus import opt_out_cut
from homespun.corpus.executors import Local
from homespun.corpus.opt_out import opt_out
from homespun.runs import run
run.code_hash = lambda: "of today"
known, calls = getattr(opt_out_cut, sys.argv[3]), []
def kills(*arguments, **named):
    calls.append(1)
    if len(calls) == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    return known(*arguments, **named)
setattr(opt_out_cut, sys.argv[3], kills)
opt_out(sys.argv[1], Path(sys.argv[2]), executor=Local(workers=1))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("where", "call"), [("_cut_tokens", 1), ("_copy", 3), ("write_json", 1), ("write_json", 2)])
def test_a_killed_run_goes_on_to_the_same_bytes(
    corpus: Path, table: Any, where: str, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "code_hash", lambda: "of today")  # whoever edits the package meanwhile
    robots = table({"b.example": NO_GPT})
    told = [sys.executable, "-c", KILLED, corpus.name, str(robots), where, str(call)]
    killed = subprocess.run(told, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = corpus.parent.glob("web-opted-out-*")
    assert read_run(left).status == "running"
    with pytest.raises(RunError, match="running"):
        why("0#0", run=left.name)
    done = opt_out(corpus.name, robots, executor=HERE)
    assert (done.folder, done.again) == (left, False)
    found = contents(done.folder)
    stray = [path for path in left.rglob(".*") if path.is_file() and path.name != ".lock"]
    assert stray == []
    shutil.rmtree(left)
    assert contents(opt_out(corpus.name, robots, executor=HERE).folder) == found


@pytest.mark.slow
def test_a_pool_writes_what_one_process_writes(corpus: Path, table: Any) -> None:
    robots = table({"b.example": NO_GPT, "c.example": NOBODY})
    alone = contents(opt_out(corpus.name, robots, executor=HERE).folder)
    shutil.rmtree(next(corpus.parent.glob("web-opted-out-*")))
    assert contents(opt_out(corpus.name, robots, executor=Local(workers=2)).folder) == alone


def test_the_ledger_keeps_its_order(corpus: Path, table: Any) -> None:
    done = opt_out(corpus.name, table({"b.example": NO_GPT}), executor=HERE)
    for path in sorted((done.folder / "excluded").glob("*.parquet")):
        rows = pq.read_table(path)["row"].to_pylist()
        assert rows == sorted(rows)
