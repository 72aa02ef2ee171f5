"""Hashed n-grams: against a loop in plain Python and scikit-learn's counts; batches and processes don't matter."""

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from homespun.corpus.heads.embedder import owned, pieces
from homespun.corpus.heads.hashed import BASE, BLOCK, WORD_BASE, HashedNgrams, _blocks, _letters
from homespun.errors import ConfigError

SMALL = HashedNgrams(bits=10)
WIDE = HashedNgrams(bits=24)
texts = st.lists(st.text(st.sampled_from("ab cé。\n.Ä한🙂\0"), max_size=40), max_size=8)


def column(value: int, salt: int, bits: int) -> int:
    value = (value ^ salt * 0x9E3779B1) & 0xFFFFFFFF
    value = (value ^ value >> 15) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return value >> (32 - bits)


def counted(text: str, config: HashedNgrams) -> Counter[int]:
    """A text's columns by the definition, one n-gram at a time."""
    found: Counter[int] = Counter()
    for n in range(1, config.characters + 1):
        for at in range(len(text) - n + 1):
            value = 0
            for letter in text[at : at + n]:
                value = (value * BASE + ord(letter) + 1) & 0xFFFFFFFF
            found[column(value, n, config.bits)] += 1
    words: list[str] = [""]
    for letter in text:
        words[-1] += letter if _letters()[ord(letter)] else ""
        if not _letters()[ord(letter)] and words[-1]:
            words.append("")
    hashes = [sum((ord(c) + 1) * pow(WORD_BASE, i, 1 << 64) for i, c in enumerate(w)) % (1 << 64) for w in words if w]
    pairs = [(a * WORD_BASE + b) % (1 << 64) for a, b in pairwise(hashes)]
    if config.words:
        for salt, values in ((101, hashes), (102, pairs)):
            found.update(column((v ^ v >> 32) & 0xFFFFFFFF, salt, config.bits) for v in values)
    return found


@given(texts)
@pytest.mark.parametrize("config", [SMALL, HashedNgrams(bits=12, characters=0), HashedNgrams(bits=12, words=False)])
def test_vectors_are_those_of_the_definition(config: HashedNgrams, written: list[str]) -> None:
    vectors, owner = config.embed(written)
    assert owner.tolist() == [at for at, text in enumerate(written) if text]
    dense = vectors.toarray()
    for row, at in enumerate(owner.tolist()):
        expected = counted(written[at], config)
        total = sum(expected.values())
        found = {int(c): float(dense[row, c]) for c in np.flatnonzero(dense[row])}
        assert found == pytest.approx({c: n / total**0.5 for c, n in expected.items()})


@given(texts, st.integers(0, 99))
def test_projecting_is_multiplying(written: list[str], seed: int) -> None:
    weights = np.random.default_rng(seed).standard_normal(SMALL.width).astype(np.float32)
    vectors, owner = SMALL.embed(written, None)
    found = SMALL.project(written, weights, None)
    assert found.owner.tolist() == owner.tolist()
    assert found.vectors.shape == (len(owner), 1)
    np.testing.assert_allclose(found.vectors[:, 0], vectors @ weights.astype(np.float64), atol=1e-4)


@given(texts, st.integers(0, 8))
def test_batches_do_not_matter_to_the_last_bit(written: list[str], at: int) -> None:
    weights = np.random.default_rng(0).standard_normal(SMALL.width).astype(np.float32)
    whole = SMALL.project(written, weights).vectors
    parts = [SMALL.project(part, weights).vectors for part in (written[:at], written[at:])]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    both = [SMALL.embed(part).vectors.toarray() for part in (written[:at], written[at:])]
    assert np.concatenate(both).tobytes() == SMALL.embed(written).vectors.toarray().tobytes()


def test_as_many_distinct_ngrams_as_scikit_learn_counts() -> None:
    config = HashedNgrams(bits=24, words=False)
    written = ["The quick brown fox jumps over the lazy dog, twice.", "Pack my box with five dozen liquor jugs."]
    counts = CountVectorizer(analyzer="char", ngram_range=(1, 5), lowercase=False).fit_transform(written)
    vectors = config.embed(written).vectors
    for row in range(2):
        ours = sorted((vectors[[row]].data ** 2 / vectors[[row]].data.min() ** 2).round().astype(int).tolist())
        assert ours == sorted((counts[[row]].data ** 2).tolist())


def test_blocks_hold_every_text_once() -> None:
    written = ["a" * 300, "b" * (BLOCK - 200), "c" * 5, "d" * BLOCK]
    blocks = list(_blocks(written))
    assert sum(len(block.starts) for block in blocks) == 4
    assert all(len(block.points) <= BLOCK for block in blocks)
    weights = np.ones(SMALL.width, dtype=np.float32)
    config = HashedNgrams(bits=10, size=BLOCK)
    apart = [config.project([text], weights).vectors[0, 0] for text in written]
    assert config.project(written, weights).vectors[:, 0].tolist() == apart


def test_case_is_ignored_on_demand() -> None:
    config = HashedNgrams(bits=10, lower=True)
    same = config.embed(["GROẞ İ x", "groß i̇ x"]).vectors.toarray()
    np.testing.assert_array_equal(same[0], same[1])
    assert (SMALL.embed(["A"]).vectors != SMALL.embed(["a"]).vectors).nnz


def test_another_process_finds_the_same() -> None:
    code = (
        "import numpy as np; from homespun.corpus.heads.hashed import HashedNgrams;"
        "w = np.arange(4096, dtype=np.float32);"
        "print(HashedNgrams(bits=12).project(['Grüezi, 世界 and all'], w).vectors[0, 0].hex())"
    )
    mine = HashedNgrams(bits=12).project(["Grüezi, 世界 and all"], np.arange(4096, dtype=np.float32)).vectors[0, 0]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == mine.hex()


@given(st.text(st.sampled_from("ab "), max_size=300), st.integers(16, 40), st.none() | st.integers(1, 4))
def test_pieces_are_the_text(text: str, size: int, most: int | None) -> None:
    found = pieces(text, size, most)
    assert all(0 < len(piece) <= size for piece in found)
    assert text.startswith("".join(found))
    assert most is not None or "".join(found) == text
    assert most is None or len(found) <= most
    if most == 1 and text:
        assert len(found[0]) >= min(len(text), size - size // 10)


def test_every_piece_has_its_owner() -> None:
    parts, owner = owned(["", "a" * 40, "b"], 16, None)
    assert list(zip(owner.tolist(), map(len, parts), strict=True)) == [(1, 16), (1, 16), (1, 8), (2, 1)]


def test_nothing_to_embed() -> None:
    assert SMALL.embed([]).vectors.shape == (0, SMALL.width)
    assert SMALL.embed([""]).vectors.shape == (0, SMALL.width)
    assert SMALL.project([""], np.ones(SMALL.width, np.float32)).vectors.shape == (0, 1)


def test_a_lone_surrogate_is_only_a_character() -> None:
    assert SMALL.embed(["a\ud800"]).vectors.nnz > 0


@pytest.mark.parametrize(
    "change",
    [{"bits": 3}, {"bits": 25}, {"bits": "9"}, {"size": 1}, {"characters": 9}, {"characters": 0, "words": False}],
)
def test_wrong_settings(change: dict) -> None:
    with pytest.raises(ConfigError, match="HashedNgrams"):
        HashedNgrams(**change)
