"""The reference for cutting is building: what is left is what packing, and the whole pipeline, make of the rest."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from homespun.corpus.executors import Local
from homespun.corpus.filters.robots import Robots
from homespun.corpus.ledger_check import check
from homespun.corpus.opt_out import opt_out
from homespun.corpus.pack import Pack, Tokens, pack_shard, write_index
from homespun.corpus.pipeline import build
from homespun.corpus.plan import Corpus
from homespun.corpus.read.settings import Limits, Source
from homespun.corpus.report import report
from homespun.corpus.shards import shard_path
from homespun.runs.run import open_run


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """A small tokenizer of bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = ["<unk>", "<s>", "</s>", "<pad>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["text of a document, and of another document"] * 4, trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return Pack(tokenizer=tmp_path / "tokenizer.json")


def packed(folder: Path, pack: Pack, shards: int) -> None:
    for shard in range(shards):
        paths = (shard_path(folder, "tokens", shard, ".bin"), shard_path(folder, "tokens", shard, ".ends.npy"))
        pack_shard(shard_path(folder, "documents", shard), pack, *paths)
    write_index(folder / "tokens", pack, shards)


def test_cut_tokens_are_packed_tokens(pack: Pack, doc: Any, table: Any, write_corpus: Any, tmp_path: Path) -> None:
    letters = ["a", "ä text of a document", "", "</s> and <s>", "中文", "and of another document " * 9]
    shards = [
        [doc(f"{s}#{n}", f"{letters[n % 6]} {s}", f"https://h{(s + n) % 4}.example/{n}") for n in range(20)]
        for s in range(3)
    ]
    shards.append([doc("3#0", "alone", "https://h1.example/")])
    with open_run("corpus", "web", config={"name": "web"}) as run:
        write_corpus(run.path, shards, packed=False)
        packed(run.path, pack, 4)
        run.finish()
    robots = table({"h1.example": "User-agent: *\nDisallow: /\n"})
    done = opt_out(run.path.name, robots, executor=Local(workers=1))
    assert done.totals["opted_out"] == 16
    for shard in range(4):
        paths = (tmp_path / f"{shard}.bin", tmp_path / f"{shard}.ends.npy")
        pack_shard(shard_path(done.folder, "documents", shard), pack, *paths)
        assert paths[0].read_bytes() == shard_path(done.folder, "tokens", shard, ".bin").read_bytes()
        assert paths[1].read_bytes() == shard_path(done.folder, "tokens", shard, ".ends.npy").read_bytes()
    told = (done.folder / "tokens" / "index.json").read_bytes()
    write_index(done.folder / "tokens", pack, 4)
    assert (done.folder / "tokens" / "index.json").read_bytes() == told
    tokens = Tokens(done.folder / "tokens")
    assert len(tokens) == done.totals["kept"]
    names = [item.id for docs in shards for item in docs if "h1." not in item.url]
    assert [tokens.identifier(at) for at in range(len(tokens))] == names


def test_what_is_left_of_a_corpus_is_what_building_it_anew_gives(pack: Pack, table: Any, tmp_path: Path) -> None:
    texts = ["Text of a document.", "And of another, ä.", "中文", "A third\nwith lines."]
    rows = [{"id": f"d{n}", "text": f"{texts[n % 4]} {n}", "url": f"https://h{n % 5}.example/{n}"} for n in range(60)]
    (tmp_path / "web.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "broken\n")
    older = {"h1.example": "User-agent: GPTBot\nDisallow: /\n", "h2.example": None}
    newer = older | {"h2.example": "User-agent: CCBot\nDisallow: /7\n", "h4.example": "User-agent: *\nDisallow: /1\n"}
    stage = Robots(table=table(older, "older"))
    corpus = Corpus(
        name="web",
        sources=(Source(name="web", paths=(tmp_path / "web.jsonl",)),),
        gather=(stage,),
        dedup=None,
        pack=pack,
        limits=Limits(slice_bytes=1500),
    )
    here = Local(workers=1)
    before = build(corpus, executor=here)
    done = opt_out(before.run_id, table(newer, "newer"), executor=here)
    anew = build(dataclasses.replace(corpus, gather=(Robots(table=table(newer, "newer")),)), executor=here)
    assert check(anew.folder)["kept"] == done.totals["kept"] < before.totals["kept"]
    assert done.totals["opted_out"] == before.totals["kept"] - anew.totals["kept"]
    names = [
        path.relative_to(anew.folder) for kind in ("documents", "tokens") for path in (anew.folder / kind).iterdir()
    ]
    assert len(names) > 8
    for name in [*names, Path("shards.parquet")]:
        assert (done.folder / name).read_bytes() == (anew.folder / name).read_bytes(), name
    for path in sorted((anew.folder / "excluded").iterdir()):  # the same rows, but for who took them out
        there, here_ = (pq.read_table(folder / "excluded" / path.name) for folder in (anew.folder, done.folder))
        assert here_.drop_columns("filter").equals(there.drop_columns("filter"))
    told = {row["filter"]: row["removed"] for row in report(done.folder).filters}
    assert told == {"read": 1, "robots": 12, "opt_out": done.totals["opted_out"]}
