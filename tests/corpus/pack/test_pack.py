"""Packing: every row is where the ends say, the same bytes each time, and no document can say that it is over."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from homespun.corpus.documents import SCHEMA, documents
from homespun.corpus.pack import Pack, Packer, Tokens, pack_shard, write_index
from homespun.corpus.shards import ShardWriter, shard_path
from homespun.corpus.tokenizer import CONTROL, MARKERS, SPECIALS, Bpe, save, train_bpe
from homespun.corpus.tokenizer.files import assembled
from homespun.errors import ConfigError, DataError

TEXTS = ["one two three", "", "</s><s>", "mail <email-pii> or <ip-pii>", "é漢字\x00\r\n", "<|user|>two<|user-end|>"]


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = train_bpe(["one two three four", "two three"] * 5, Bpe(vocab=300))
    return save(made, tmp_path_factory.mktemp("tokenizer"))


def written(folder: Path, shards: Sequence[Sequence[str | None]]) -> Path:
    """Shards of documents in a run's folder."""
    for shard, texts in enumerate(shards):
        with ShardWriter(shard_path(folder, "documents", shard), SCHEMA) as writer:
            writer.append(documents({"id": [f"{shard}-{at}" for at in range(len(texts))], "text": texts}))
    return folder


def packed(folder: Path, settings: Pack, shards: int) -> Tokens:
    for shard in range(shards):
        place = shard_path(folder, "tokens", shard, ".bin")
        pack_shard(shard_path(folder, "documents", shard), settings, place, place.with_suffix(".ends.npy"))
    write_index(folder / "tokens", settings, shards)
    return Tokens(folder / "tokens")


def test_every_document_is_where_its_row_says(tokenizer: Path, tmp_path: Path) -> None:
    shards = [TEXTS, [], ["two", *TEXTS[::-1]]]
    found = packed(written(tmp_path, shards), Pack(tokenizer=tokenizer), 3)
    assert len(found) == 13
    own = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    flat = [(shard, row, text) for shard, texts in enumerate(shards) for row, text in enumerate(texts)]
    for at, (shard, row, text) in enumerate(flat):
        ids = found.document(at)
        assert found.place(at) == (shard, row)
        assert found.identifier(at) == f"{shard}-{row}"
        assert (ids[0], ids[-1]) == (1, 2)
        assert own.decode(ids[1:-1].tolist(), skip_special_tokens=False) == text
        start, stop = found.find(shard, row)
        assert (found.shard(shard)[start:stop] == ids).all()
    assert found.num_tokens == sum(len(found.document(at)) for at in range(13))
    assert (tmp_path / "tokens/00000.bin").stat().st_size == 2 * int(found.ends(0)[-1])
    for wrong in (-1, 13):
        with pytest.raises(IndexError):
            found.document(wrong)
    with pytest.raises(IndexError):
        found.find(1, 0)


@given(text=st.text() | st.lists(st.sampled_from([*SPECIALS, " ", "x", "\n"])).map("".join))
def test_only_markers_are_read_from_text(tokenizer: Path, text: str) -> None:
    (ids,) = Packer(Pack(tokenizer=tokenizer)).encode([text])
    inner = [SPECIALS[at] for at in ids[1:-1] if at < len(SPECIALS)]
    assert not set(inner) & set(CONTROL)
    for marker in MARKERS:
        assert inner.count(marker) == text.count(marker)


def test_a_foreign_tokenizer_is_made_safe(tokenizer: Path, tmp_path: Path) -> None:
    said = json.loads((tokenizer / "tokenizer.json").read_text())
    for token in said["added_tokens"]:  # the very opposite of ours
        token["special"] = token["content"] in MARKERS
    said["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(said))
    ours, theirs = (Packer(Pack(tokenizer=path)).encode(TEXTS) for path in (tokenizer, other))
    assert [ids.tolist() for ids in ours] == [ids.tolist() for ids in theirs]


def test_merges_that_spell_an_end_are_refused(tokenizer: Path, tmp_path: Path) -> None:
    said = json.loads((tokenizer / "tokenizer.json").read_text())
    said["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    vocab, merges = said["model"]["vocab"], said["model"]["merges"]
    for left, right in (("<", "/"), ("</", "s"), ("</s", ">")):
        merges.append([left, right])
        vocab.setdefault(left + right, len(vocab))
    (tmp_path / "tokenizer.json").write_text(json.dumps(said))
    with pytest.raises(ConfigError, match="became a control token"):
        Packer(Pack(tokenizer=tmp_path)).encode(["a</s>b"])


def test_ids_are_as_wide_as_the_vocabulary(tokenizer: Path, tmp_path: Path) -> None:
    wide = assembled([(a, b) for a in letters() for b in letters()], Bpe())
    assert wide.get_vocab_size() == 32 + 256 + 256 * 256
    folder = save(wide, tmp_path / "wide")
    last = "\u1b6da"  # its bytes are e1 ad, ad 61: the second pair is among the last of all
    narrow, broad = (
        packed(written(tmp_path / name, [[*TEXTS, last]]), Pack(tokenizer=path), 1)
        for name, path in (("a", tokenizer), ("b", folder))
    )
    assert (narrow.index["dtype"], broad.index["dtype"]) == ("uint16", "uint32")
    assert broad.document(0).dtype == np.dtype("<u4")
    ids = broad.document(len(TEXTS))
    assert ids.max() > 65_535
    assert wide.decode(ids[1:-1].tolist()) == last


def letters() -> list[str]:
    from homespun.corpus.tokenizer.files import alphabet

    return alphabet()


def test_portions_and_row_groups_change_nothing(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{text} {at}" for at in range(200) for text in TEXTS]
    written(tmp_path, [texts])
    settings = Pack(tokenizer=tokenizer)
    once = packed(tmp_path, settings, 1).shard(0).tobytes()
    monkeypatch.setattr("homespun.corpus.pack.ENCODED_BYTES", 50)
    again = shard_path(tmp_path / "again", "tokens", 0, ".bin")
    table = pq.read_table(shard_path(tmp_path, "documents", 0))
    pq.write_table(table, tmp_path / "small.parquet", row_group_size=7)
    pack_shard(tmp_path / "small.parquet", settings, again, again.with_suffix(".ends.npy"))
    assert again.read_bytes() == once


@pytest.mark.slow
def test_another_process_packs_the_same_bytes(tokenizer: Path, tmp_path: Path) -> None:
    packed(written(tmp_path, [TEXTS * 50]), Pack(tokenizer=tokenizer), 1)
    code = (
        "import sys; from pathlib import Path; from homespun.corpus.pack import *; d, t, b = map(Path, sys.argv[1:]);"
        "print(pack_shard(d, Pack(tokenizer=t), b, b.with_suffix('.ends.npy')))"
    )
    again = tmp_path / "again.bin"
    words = [sys.executable, "-c", code, str(shard_path(tmp_path, "documents", 0)), str(tokenizer), str(again)]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("{'documents': 300, ")
    for kind in (".bin", ".ends.npy"):
        assert again.with_suffix(kind).read_bytes() == shard_path(tmp_path, "tokens", 0, kind).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["a", " ", "\n", "漢", "!"])
def test_an_endless_word_costs_no_more_than_words(tokenizer: Path, letter: str) -> None:
    (ids,) = Packer(Pack(tokenizer=tokenizer)).encode([letter * (1 << 18)])
    assert len(ids) == (1 << 18) * len(letter.encode()) + 2


def test_a_missing_text_is_an_empty_document(tokenizer: Path, tmp_path: Path) -> None:
    found = packed(written(tmp_path, [["two", None]]), Pack(tokenizer=tokenizer), 1)
    assert found.document(1).tolist() == [1, 2]


def test_the_index_says_what_a_loader_needs(tokenizer: Path, tmp_path: Path) -> None:
    found = packed(written(tmp_path, [["two"], []]), Pack(tokenizer=tokenizer), 2)
    said = json.loads((tmp_path / "tokens/index.json").read_text())
    assert said == found.index
    assert (said["version"], said["begin"], said["end"], said["documents"]) == (1, 1, 2, 1)
    assert said["specials"]["<email-pii>"] == SPECIALS.index("<email-pii>")
    assert len(said["tokenizer"]) == 64
    assert [shard["documents"] for shard in said["shards"]] == [1, 0]
    assert said["vocab"] == Packer(Pack(tokenizer=tokenizer)).vocab


def spoil_length(folder: Path) -> None:
    (folder / "00000.bin").write_bytes((folder / "00000.bin").read_bytes()[:-1])


def spoil_ends(folder: Path) -> None:
    np.save(folder / "00000.ends.npy", np.array([5, 3]))


def spoil_pickle(folder: Path) -> None:
    np.save(folder / "00000.ends.npy", np.array([{}]), allow_pickle=True)


def spoil_index(folder: Path) -> None:
    (folder / "index.json").write_text('{"version": 2}')


def without_ids(folder: Path) -> None:
    (folder / "00000.bin").unlink()


def without_ends(folder: Path) -> None:
    (folder / "00000.ends.npy").unlink()


def without_index(folder: Path) -> None:
    (folder / "index.json").unlink()


def spoil_list(folder: Path) -> None:
    (folder / "index.json").write_text("[1]")


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_length,
        spoil_ends,
        spoil_pickle,
        spoil_index,
        spoil_list,
        without_ids,
        without_ends,
        without_index,
    ],
)
def test_damaged_tokens_are_refused(tokenizer: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    packed(written(tmp_path, [TEXTS]), Pack(tokenizer=tokenizer), 1)
    spoil(tmp_path / "tokens")
    with pytest.raises(DataError):
        Tokens(tmp_path / "tokens")


def test_a_failure_leaves_nothing_behind(tokenizer: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no")
    place = tmp_path / "tokens/00000.bin"
    with pytest.raises(DataError, match="cannot be read as parquet"):
        pack_shard(broken, Pack(tokenizer=tokenizer), place, place.with_suffix(".ends.npy"))
    assert list((tmp_path / "tokens").iterdir()) == []
    with pytest.raises(ConfigError, match="has no special token '<bos>'"):
        Packer(Pack(tokenizer=tokenizer, begin="<bos>"))
    with pytest.raises(DataError, match=r"no tokenizer\.json"):
        Packer(Pack(tokenizer=tmp_path))
    with pytest.raises(DataError, match="cannot be read"):
        write_index(tmp_path / "tokens", Pack(tokenizer=tokenizer), 1)


def test_documents_must_lie_beside_their_tokens(tokenizer: Path, tmp_path: Path) -> None:
    found = packed(written(tmp_path, [["two"]]), Pack(tokenizer=tokenizer), 1)
    shard_path(tmp_path, "documents", 0).unlink()
    assert found.document(0).tolist()[0] == 1
    with pytest.raises(DataError, match="beside the tokens"):
        found.identifier(0)
