"""MinHash: unbiased, the S-curve, and the same recall as rensa's on the same shingles."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import binomtest

import homespun
from homespun.corpus.dedup import Dedup, keys, sign
from homespun.corpus.dedup.minhash import Shingles, bands, shingles, signatures
from homespun.corpus.dedup.words import Words, words

DATA = Path(homespun.__file__).parent / "data"
Plant = Callable[[int, int, int], Any]
PAIRS = 800
BANDS = [key for key in keys(Dedup()) if key != "exact"]


def curve(jaccard: Any, bands: int = 14, rows: int = 8) -> Any:
    """Probability that a pair shares a band."""
    return 1 - (1 - jaccard**rows) ** bands


@pytest.mark.parametrize("shared", [67, 75, 82, 89, 92, 95, 97])
def test_recall_is_the_s_curve(planted: Plant, shared: int) -> None:
    drawn = planted(shared, PAIRS, shared)
    left, right = sign(drawn.left, Dedup()), sign(drawn.right, Dedup())
    found = np.any([left[band].to_numpy() == right[band].to_numpy() for band in BANDS], axis=0)
    assert binomtest(int(found.sum()), PAIRS, curve(drawn.jaccard)).pvalue > 0.01


def test_unrelated_documents_share_no_band(planted: Plant) -> None:
    drawn = planted(0, 2000, 1)
    left, right = sign(drawn.left, Dedup()), sign(drawn.right, Dedup())
    for band in BANDS:
        assert not set(left[band].to_pylist()) & set(right[band].to_pylist())


@pytest.mark.parametrize("shared", [40, 67, 89])
def test_the_estimate_is_unbiased_and_varies_like_a_binomial(shared: int) -> None:
    drawn = np.random.default_rng(shared).integers(0, 1 << 32, (PAIRS, 2, 100), dtype=np.uint32)
    drawn[:, 1, :shared] = drawn[:, 0, :shared]
    places = np.arange(2 * PAIRS)
    minima = signatures(Shingles(drawn.reshape(-1), places * 100, places), 112, 0)
    estimate = (minima[:, ::2] == minima[:, 1::2]).mean(axis=0)
    jaccard = shared / (200 - shared)
    variance = jaccard * (1 - jaccard) / 112
    assert abs(estimate.mean() - jaccard) < 3 * (variance / PAIRS) ** 0.5
    assert 0.85 < estimate.var() / variance < 1.15


def test_recall_equals_that_of_rensa_on_the_same_shingles(planted: Plant) -> None:
    from rensa import RMinHash, RMinHashLSH

    drawn = planted(82, PAIRS, 7)
    sides = drawn.left["text"].to_pylist(), drawn.right["text"].to_pylist()
    both = [text for pair in zip(*sides, strict=True) for text in pair]
    part = shingles(words(both, 0), 5, 0)
    found = bands(signatures(part, 112, 0), 8, 0, np.zeros(len(both), np.uint64))
    ours = int((found[:, ::2] == found[:, 1::2]).any(axis=0).sum())
    flat = part.hashes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(flat, [*part.starts.tolist(), len(flat)], 112, 1)
    flags = RMinHashLSH(0.7, 112, 14).insert_matrix_and_query_duplicate_flags(matrix)
    theirs = sum(flags) // 2
    pooled = (ours + theirs) / (2 * PAIRS)
    assert abs(ours - theirs) / PAIRS < 3 * (2 * pooled * (1 - pooled) / PAIRS) ** 0.5
    assert 0.5 < pooled < 0.65


def test_real_answers_are_found_as_often_as_their_exact_similarity_says() -> None:
    """All pairs of 1,500 recorded answers of language models, compared by brute force.

    Many answers are much alike, so that pairs are found or missed together: the mean over draws is what the law says.
    """
    table = pq.read_table(DATA / "recorded" / "greedy.parquet", columns=["completion"])
    texts = table["completion"].take(np.arange(0, len(table), len(table) // 1500)[:1500]).to_pylist()
    part = shingles(words(texts, 0), 5, 0)
    sets = [set(each.tolist()) for each in np.split(part.hashes, part.starts[1:])]
    names = {shingle: at for at, shingle in enumerate(sorted(set().union(*sets)))}
    places = [names[shingle] for each in sets for shingle in sorted(each)]
    sizes = np.array([len(each) for each in sets])
    ends = np.concatenate([[0], np.cumsum(sizes)])
    matrix = csr_array((np.ones(len(places), np.int32), places, ends), shape=(len(sets), len(names)))
    shared = (matrix @ matrix.T).toarray()
    jaccard = shared / (sizes[:, None] + sizes[None, :] - shared)
    one, other = np.triu_indices(len(sets), 1)
    between = jaccard[one, other]
    one, other, between = (values[between > 0.02] for values in (one, other, between))
    middle, low = (between > 0.3) & (between < 0.95), between <= 0.3
    assert middle.sum() > 1000
    counts: list[tuple[int, int]] = []
    for seed in range(40):
        found = bands(signatures(part, 112, seed), 8, seed, np.zeros(len(sets), np.uint64))
        hit = np.any([band[one] == band[other] for band in found], axis=0)
        assert hit[between == 1].all()
        counts.append((int(hit[middle].sum()), int(hit[low].sum())))
    expected = [curve(between[some]).sum() for some in (middle, low)]
    error = np.std(counts, axis=0, ddof=1) / len(counts) ** 0.5
    assert np.all(np.abs(np.mean(counts, axis=0) - expected) < 3 * error)
    assert expected[1] < 0.1 * expected[0]


def brute(found: Words, ngram: int) -> list[list[tuple[int, ...]]]:
    """The shingles of each text that has any, as tuples of words."""
    ends = np.cumsum(found.counts)
    texts = [found.hashes[end - count : end].tolist() for end, count in zip(ends, found.counts, strict=True)]
    each = [[tuple(text[at : at + ngram]) for at in range(len(text) - ngram + 1)] for text in texts]
    return [runs for runs in each if runs]


@given(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=8), st.integers(1, 5))
def test_shingles_are_the_runs_of_words_of_one_text(texts: list[list[int]], ngram: int) -> None:
    counts = np.array([len(text) for text in texts], np.int64)
    read = Words(np.array([word for text in texts for word in text], np.uint64) + np.uint64(17), counts)
    expected = brute(read, ngram)
    found = shingles(read, ngram, 0)
    assert found.rows.tolist() == [at for at, text in enumerate(texts) if len(text) >= ngram]
    flat = [run for runs in expected for run in runs]
    by_run = dict(zip(flat, found.hashes.tolist(), strict=True))
    assert [by_run[run] for run in flat] == found.hashes.tolist()
    assert len(set(by_run.values())) == len(by_run)
    assert found.starts.tolist() == np.cumsum([0, *map(len, expected)])[:-1].tolist()


@given(st.lists(st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=9), max_size=6), st.randoms())
def test_minima_forget_order_and_repetition(sets: list[list[int]], random: Random) -> None:
    def minima(each: list[list[int]]) -> list[list[int]]:
        flat = np.array([x for values in each for x in values], np.uint32)
        starts = np.cumsum([0, *map(len, each)])[:-1]
        return signatures(Shingles(flat, starts, np.arange(len(each))), 6, 0).tolist()

    shuffled = [random.sample(values * 2, 2 * len(values)) for values in sets]
    assert minima(sets) == minima(shuffled)


def test_a_band_is_equal_only_if_all_its_rows_are_in_place_and_the_language_is() -> None:
    minima = np.random.default_rng(0).integers(0, 1 << 32, (12, 1), dtype=np.uint32).repeat(5, axis=1)
    minima[5, 1] += 1
    minima[11, 2] -= 1
    minima[:2, 3] = minima[1::-1, 3]
    found = bands(minima, 4, 0, np.array([0, 0, 0, 0, 1], np.uint64))
    same = (found[:, :1] == found).T.tolist()
    assert same == [[True] * 3, [True, False, True], [True, True, False], [False, True, True], [False] * 3]
    assert len(set(found[:, 0].tolist())) == 3
