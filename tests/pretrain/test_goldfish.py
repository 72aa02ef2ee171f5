"""Goldfish masks: the released product, windows by definition, documents and words wherever they stand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.pretrain.goldfish import SEED, TABLE, Goldfish, mask, released_table, word_mask, words

MASK64 = (1 << 64) - 1


def mix(value: int) -> int:
    """SplitMix64's finaliser, by Python's integers."""
    value = (value + 0x9E3779B97F4A7C15) & MASK64
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & MASK64
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & MASK64
    return value ^ value >> 31


def by_definition(row: list[int], starts: list[int], length: int, k: int) -> list[bool]:
    """Each window's polynomial, term by term."""
    counted = []
    for at in range(len(row)):
        value = 0
        for place in range(at - length + 1, at + 1):
            term = mix(row[place]) if place >= starts[at] else 0xD1B54A32D192ED03
            value = (value * 0x9E3779B97F4A7C15 + term) & MASK64
        counted.append(mix(value) >= (1 << 64) // k)
    return counted


@settings(max_examples=60, deadline=None)
@given(
    documents=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=30), min_size=1, max_size=5),
    length=st.integers(1, 20),
)
def test_hashes_are_the_polynomial_of_the_window(documents: list[list[int]], length: int) -> None:
    row = [token for tokens in documents for token in tokens]
    numbers = [at for at, tokens in enumerate(documents) for _ in tokens]
    starts = [numbers.index(number) for number in numbers]
    found = mask(np.array([row]), Goldfish(k=3, context=length), np.array([numbers]))
    assert found[0].tolist() == by_definition(row, starts, length, 3)


def test_product_is_the_released_one() -> None:
    import torch

    labels = torch.randint(0, 131_072, (3, 200), generator=torch.Generator().manual_seed(1))
    table = torch.rand(TABLE, generator=torch.Generator().manual_seed(SEED))
    expected = torch.ones(3, 200, dtype=torch.bool)
    for row in range(3):
        for at in range(49, 200):
            key = torch.prod(labels[row, at - 49 : at + 1]) % TABLE
            expected[row, at] = table[key] >= 1 / 50
    found = mask(labels.numpy(), Goldfish(hash="product"))
    assert (found == expected.numpy()).all()
    assert found[:, :49].all()
    assert released_table().shape == (TABLE,)


def test_products_wrap_to_zero_and_hashes_do_not() -> None:
    """The released hash maps windows of even ids onto one key; a window's own hash keeps its rate."""
    labels = np.random.default_rng(0).integers(0, 50_000, (40, 2000)) * 2
    windows = np.lib.stride_tricks.sliding_window_view(labels, 50, axis=1)
    with np.errstate(over="ignore"):
        wrapped = np.multiply.reduce(windows, axis=-1, dtype=np.int64) == 0
    assert wrapped.mean() > 0.02
    dropped = 1 - mask(labels, Goldfish(hash="rolling"))[:, 49:].mean()
    assert abs(dropped - 1 / 50) < 3 * np.sqrt(1 / 50 / wrapped.size) * 1.5


@pytest.mark.parametrize("k", [2, 10, 50])
def test_one_in_k_is_dropped(k: int) -> None:
    labels = np.random.default_rng(k).integers(0, 4096, (64, 4096))
    dropped = 1 - mask(labels, Goldfish(k=k), np.zeros_like(labels)).mean()
    assert abs(dropped - 1 / k) < 3 * np.sqrt((1 / k) * (1 - 1 / k) / labels.size)


@settings(max_examples=40, deadline=None)
@given(
    passage=st.lists(st.integers(0, 999), min_size=1, max_size=120),
    before=st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=60), max_size=3),
)
def test_a_document_has_one_mask_wherever_it_stands(passage: list[int], before: list[list[int]]) -> None:
    chosen = Goldfish(k=4)
    alone = mask(np.array([passage]), chosen, np.zeros((1, len(passage)), dtype=np.int64))[0]
    row = [token for tokens in [*before, passage] for token in tokens]
    numbers = [at for at, tokens in enumerate([*before, passage]) for _ in tokens]
    found = mask(np.array([row]), chosen, np.array([numbers]))[0]
    assert (found[-len(passage) :] == alone).all()


def test_the_released_window_looks_across_borders() -> None:
    """Why there is `document`: the same passage gets another mask behind another predecessor."""
    rng = np.random.default_rng(3)
    passage = rng.integers(0, 1000, 300)
    rows = np.stack([np.concatenate([rng.integers(0, 1000, 100), passage]) for _ in range(20)])
    released = mask(rows, Goldfish(k=4, hash="product"))[:, 100:149]
    assert (released != released[0]).any()


@given(st.text(max_size=60))
def test_words_tile_what_is_written(text: str) -> None:
    spans, keys = words(text)
    assert len(spans) == len(keys)
    outside = "".join(
        text[stop:start] for (_, stop), (start, _) in zip([(0, 0), *spans], [*spans, (len(text),) * 2], strict=True)
    )
    assert not any(char.isalnum() for char in outside)


def tokens(text: str, cut: int) -> list[str]:
    """A text in pieces of ``cut`` characters, as a tokenizer might."""
    return [text[at : at + cut] for at in range(0, len(text), cut)]


def dropped_words(pieces: list[str]) -> list[int]:
    """Numbers of the words that have no counted token."""
    counted = word_mask(pieces, Goldfish(k=5))
    spans, _ = words("".join(pieces))
    ends = np.cumsum([len(piece) for piece in pieces])
    return [at for at, (start, _) in enumerate(spans) if not counted[np.searchsorted(ends, start, side="right")]]


def test_copies_with_other_breaks_and_capitals_have_the_same_gaps() -> None:
    rng = np.random.default_rng(0)
    vocabulary = [f"word{at}" for at in range(500)]
    text = " ".join(vocabulary[at] for at in rng.integers(0, 500, 400))
    broken = text.replace(" ", "\n  ").upper()
    plain, other = (_word_hits(each) for each in (text, broken))
    assert 20 < len(plain) < 140
    assert plain == other


def _word_hits(text: str) -> list[int]:
    """Words dropped when every token is a word or what lies between."""
    spans, _ = words(text)
    pieces, at = [], 0
    for start, stop in spans:
        pieces += [text[at:start], text[start:stop]]
        at = stop
    pieces.append(text[at:])
    counted = word_mask(pieces, Goldfish(k=5))
    return [number for number in range(len(spans)) if not counted[2 * number + 1]]


def test_tokens_of_a_dropped_word_all_go() -> None:
    text = " ".join(f"abc{at}def" for at in range(300))
    assert set(_word_hits(text)) <= set(dropped_words(tokens(text, 3)))


def test_wrong_use_is_refused() -> None:
    labels = np.zeros((1, 4), dtype=np.int64)
    with pytest.raises(ValueError, match="needs the documents"):
        mask(labels, Goldfish())
    with pytest.raises(ValueError, match="word_mask"):
        mask(labels, Goldfish(hash="words"))
