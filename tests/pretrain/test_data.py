"""The loader: every sequence once a pass, the same batch for the same step, borders and masks where they belong."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.errors import DataError
from homespun.pretrain.data import Order, Stream, Tokens, permuted, places
from homespun.pretrain.goldfish import Goldfish


def pack(folder: Path, shards: list[list[list[int]]], tokenizer: str = "t") -> Path:
    """Documents of ids, as a corpus run packs them: 1, text, 2."""
    folder.mkdir(parents=True)
    said = []
    for at, documents in enumerate(shards):
        ids = [token for document in documents for token in (1, *document, 2)]
        np.array(ids, "<u2").tofile(folder / f"{at:05d}.bin")
        said.append({"shard": at, "documents": len(documents), "tokens": len(ids)})
    index = {"dtype": "uint16", "vocab": 100, "tokenizer": tokenizer, "begin": 1, "end": 2, "shards": said}
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def stream(tmp_path: Path, **changes: object) -> Stream:
    """A small one."""
    rng = np.random.default_rng(0)
    documents = [[int(token) for token in rng.integers(4, 100, rng.integers(1, 40))] for _ in range(60)]
    folder = pack(tmp_path / "tokens", [documents[:20], [], documents[20:]])
    chosen = {"length": 16, "batch": 4, "goldfish": None} | changes
    return Stream(tokens=Tokens([folder]), **chosen)  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 3000), seed=st.integers(0, 5), turn=st.integers(0, 3))
def test_a_permutation_is_one(count: int, seed: int, turn: int) -> None:
    found = permuted(np.arange(count), count, seed, turn)
    assert sorted(found.tolist()) == list(range(count))


def test_permutations_differ_and_look_random() -> None:
    first, second = (permuted(np.arange(10_000), 10_000, seed, 0) for seed in (0, 1))
    assert (first == second).mean() < 0.01
    assert abs(np.corrcoef(np.arange(10_000), first)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.03


@given(sequences=st.integers(1, 50), batch=st.integers(1, 17))
def test_a_pass_sees_every_sequence_once(sequences: int, batch: int) -> None:
    order = Order(sequences=sequences, batch=batch)
    seen = np.concatenate([order.at(step) for step in range(-(-3 * sequences // batch))])
    for turn in range(3):
        here = seen[turn * sequences : (turn + 1) * sequences]
        assert sorted(here.tolist()) == list(range(sequences))


def test_reading_goes_across_shards(tmp_path: Path) -> None:
    tokens = stream(tmp_path).tokens
    whole = tokens.read(0, len(tokens))
    for start, stop in ((0, 5), (300, 700), (len(tokens) - 3, len(tokens))):
        assert tokens.read(start, stop).tolist() == whole[start:stop].tolist()
    assert (whole == 1).sum() == 60


def test_batches_are_asked_for_by_number(tmp_path: Path) -> None:
    first, second = stream(tmp_path), Stream(tokens=Tokens([tmp_path / "tokens"]), length=16, batch=4, goldfish=None)
    for step in (0, 7, 3, 100):
        one, two = first.at(step), second.at(step)
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
        assert one.inputs.shape == (4, 16)
        assert (one.inputs[:, 1:] == one.labels[:, :-1]).all()


def test_borders_positions_and_weights() -> None:
    inputs = np.array([[7, 2, 1, 8, 9, 2, 1, 5]])
    documents, position = places(inputs, 1)
    assert documents.tolist() == [[0, 0, 1, 1, 1, 1, 2, 2]]
    assert position.tolist() == [[0, 1, 0, 1, 2, 3, 0, 1]]


def test_what_follows_an_end_is_not_to_be_guessed(tmp_path: Path) -> None:
    batch = stream(tmp_path).at(0)
    assert ((batch.weights == 0) == (batch.inputs == 2)).all()
    assert ((batch.labels == 1) <= (batch.weights == 0)).all()


@pytest.mark.parametrize("hash_", ["product", "rolling", "document"])
def test_goldfish_drops_labels(tmp_path: Path, hash_: str) -> None:
    chosen = Goldfish(k=4, context=5, hash=hash_)  # type: ignore[arg-type]
    plain, masked = stream(tmp_path), Stream(tokens=Tokens([tmp_path / "tokens"]), length=16, batch=64, goldfish=chosen)
    batch = masked.at(0)
    open_ = batch.inputs != plain.tokens.end
    assert 0.1 < (batch.weights[open_] == 0).mean() < 0.4
    assert (batch.weights[~open_] == 0).all()


def test_goldfish_by_words_needs_their_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="text of each token"):
        stream(tmp_path, goldfish=Goldfish(hash="words"))
    pieces = tuple(f" w{at}" for at in range(100))
    batch = Stream(
        tokens=Tokens([tmp_path / "tokens"]), length=16, batch=64, goldfish=Goldfish(k=3, hash="words"), pieces=pieces
    ).at(0)
    assert 0.15 < (batch.weights[batch.inputs != 2] == 0).mean() < 0.5


def test_damage_is_one_line(tmp_path: Path) -> None:
    folder = pack(tmp_path / "a", [[[5, 6, 7]]])
    other = pack(tmp_path / "b", [[[5, 6, 7]]], tokenizer="u")
    with pytest.raises(DataError, match="different tokenizers"):
        Tokens([folder, other])
    with pytest.raises(DataError, match="make no sequence"):
        Stream(tokens=Tokens([folder]), length=16, batch=1, goldfish=None)
    (folder / "00000.bin").write_bytes(b"abc")
    with pytest.raises(DataError, match="holds 3 bytes, not 5 tokens"):
        Tokens([folder])
    (folder / "index.json").write_text("{}")
    with pytest.raises(DataError, match=r"no readable index\.json"):
        Tokens([folder])
