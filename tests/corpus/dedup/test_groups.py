"""Pairs and groups: against a union-find written out, and laws of the whole way."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.corpus.dedup import Dedup, keys, pairs, resolve, sign
from homespun.corpus.dedup import pairs as pairs_function
from homespun.corpus.documents import Batch, documents
from homespun.errors import ConfigError, DataError

Way = Callable[..., pa.Table]
SMALL = Dedup(bands=2, rows=2)


def batch(texts: Sequence[str | None]) -> Batch:
    return documents({"id": list(map(str, range(len(texts)))), "text": texts})


def write(folder: Path, table: dict[str, Any], name: str = "signed") -> Path:
    types = {"exact": pa.binary(16)}
    arrays = {column: pa.array(values, types.get(column, pa.uint64())) for column, values in table.items()}
    pq.write_table(pa.table(arrays), folder / f"{name}.parquet")
    return folder / f"{name}.parquet"


def union_find(edges: Sequence[Sequence[int]]) -> dict[int, int]:
    """Each document's smallest fellow."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for one, other in edges:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return {node: root(node) for node in parent}


nodes = st.integers(0, 30).map(lambda node: node if node % 2 else node << 40)
edges = st.lists(st.lists(nodes, min_size=2, max_size=2, unique=True).map(sorted), max_size=25)


@given(st.tuples(edges, edges, edges))
def test_groups_are_those_of_union_find(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[list[list[int]], ...]
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    paths: dict[str, Path] = {}
    for key, each in zip(keys(SMALL), drawn, strict=True):
        first, second = [one for one, _ in each], [other for _, other in each]
        paths[key] = write(folder, {"first": first, "second": second}, key)
    rows = resolve(paths, SMALL).to_pylist()
    expected = union_find([edge for each in drawn for edge in each])
    sizes = Counter(expected.values())
    exact = {second for _, second in drawn[0]}
    assert rows == [
        {"document": d, "keeper": k, "kind": "exact" if d in exact else "near", "copies": sizes[k]}
        for d, k in sorted(expected.items())
        if d != k
    ]


@given(st.lists(st.none() | st.integers(0, 6), max_size=20), st.randoms(), st.integers(1, 4))
def test_pairs_of_a_key_are_its_groups(
    tmp_path_factory: pytest.TempPathFactory, values: list[int | None], random: Any, files: int
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    order = random.sample(range(len(values)), len(values))
    spread = [value and value * ((1 << 64) // 7) for value in values]
    hashed = [None if value is None else value.to_bytes(8, "little") * 2 for value in spread]
    paths: list[Path] = []
    for file in range(files):
        rows = order[file::files]
        columns = {"exact": [hashed[at] for at in rows], "band_00": [spread[at] for at in rows], "document": rows}
        paths.append(write(folder, columns, str(file)))
    groups: dict[int, list[int]] = defaultdict(list)
    for at, value in enumerate(values):
        if value is not None:
            groups[value].append(at)
    expected = sorted((group[0], other) for group in groups.values() for other in group[1:])
    for key in ("exact", "band_00"):
        table = pairs(paths, key, SMALL)
        assert list(zip(table["first"].to_pylist(), table["second"].to_pylist(), strict=True)) == expected


def test_keys_are_gone_through_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 1 << 64, 300, dtype=np.uint64)[rng.integers(0, 300, 1000)]
    digests = [value.tobytes() * 2 for value in drawn]
    path = write(tmp_path, {"exact": digests, "band_00": drawn, "document": np.arange(1000, dtype=np.uint64)})
    whole = [pairs([path], key, SMALL) for key in ("exact", "band_00")]
    module = __import__("sys").modules[pairs_function.__module__]
    for part in (1000, 999, 100, 7):
        monkeypatch.setattr(module, "PART", part)
        assert [pairs([path], key, SMALL) for key in ("exact", "band_00")] == whole
    assert len(whole[0]) == 1000 - len(np.unique(drawn))


def test_halves_of_a_hash_are_not_the_hash(tmp_path: Path) -> None:
    one, other = b"12345678", b"abcdefgh"
    path = write(tmp_path, {"exact": [one + one, one + other, other + one, one + other], "document": [0, 1, 2, 3]})
    assert pairs([path], "exact", SMALL).to_pylist() == [{"first": 1, "second": 3}]


TEXTS = [
    "the quick brown fox jumps over the lazy dog and runs away into the deep dark forest",
    "the quick brown fox jumps over the lazy dog and runs away into the deep dark wood",
    "a wholly different sentence about ships that sail across the northern sea in winter",
    "short",
    "",
]
corpora = st.lists(st.none() | st.sampled_from(TEXTS) | st.text("ab \n", max_size=30), max_size=12)


@settings(max_examples=30)
@given(corpora, st.integers(0, 12))
def test_where_shards_are_cut_changes_nothing_but_numbers(found: Way, texts: list[str | None], cut: int) -> None:
    def by_place(table: pa.Table, starts: dict[int, int]) -> list[tuple[Any, ...]]:
        def place(number: int) -> int:
            return starts[number >> 32] + (number & 0xFFFFFFFF)

        return [(place(r["document"]), place(r["keeper"]), r["kind"], r["copies"]) for r in table.to_pylist()]

    whole = batch(texts)
    one = by_place(found([whole], SMALL), {0: 0})
    first, second = whole.slice(0, cut), whole.slice(cut)
    assert one == by_place(found([first, second], SMALL), {0: 0, 1: min(cut, len(texts))})
    assert one == by_place(found([second, first], SMALL, [9, 4]), {4: 0, 9: min(cut, len(texts))})


@settings(max_examples=30)
@given(corpora)
def test_what_stays_has_no_copies(found: Way, texts: list[str | None]) -> None:
    leaving = set(found([batch(texts)], SMALL)["document"].to_pylist())
    kept = [text for at, text in enumerate(texts) if at not in leaving]
    assert not len(found([batch(kept)], SMALL))


@settings(max_examples=30)
@given(corpora)
def test_an_unrelated_document_changes_nothing(found: Way, texts: list[str | None]) -> None:
    alone = found([batch(texts)], SMALL)
    stranger = " ".join(f"unheard{at}" for at in range(20))
    assert found([batch([*texts, stranger])], SMALL) == alone


def test_kinds_keepers_and_copies(found: Way) -> None:
    fox, wood, ships, *_ = TEXTS
    settings = Dedup(bands=28, rows=4)
    rows = found([batch([ships, fox, None]), batch([wood, fox + "\n", wood, ships.upper()])], settings).to_pylist()
    second = 1 << 32
    assert [(row["document"], row["keeper"], row["kind"], row["copies"]) for row in rows] == [
        (second, 1, "near", 4),
        (second + 1, 1, "exact", 4),
        (second + 2, 1, "exact", 4),
        (second + 3, 0, "near", 2),
    ]


def test_exact_alone_and_minhash_alone(found: Way) -> None:
    fox, wood, *_ = TEXTS
    texts = batch([fox, wood, fox])
    assert found([texts], Dedup(minhash=False))["document"].to_pylist() == [2]
    near = found([texts], Dedup(exact=False, bands=28, rows=4)).to_pylist()
    assert [(row["document"], row["kind"]) for row in near] == [(1, "near"), (2, "near")]


def test_verified_pairs_are_as_similar_as_asked(tmp_path: Path, planted: Callable[[int, int, int], Any]) -> None:
    loose, strict = Dedup(bands=28, rows=4), Dedup(bands=28, rows=4, verify=0.8)
    drawn = planted(89, 200, 5)
    both = pa.concat_tables([drawn.left, drawn.right])
    signed = sign(both, strict).append_column("document", pa.array(np.arange(400, dtype=np.uint64)))
    pq.write_table(signed, tmp_path / "s.parquet")
    minima = np.array([np.frombuffer(value, "<u4") for value in signed["signature"].to_pylist()])
    for key in keys(strict)[1:4]:
        every, some = (pairs([tmp_path / "s.parquet"], key, said) for said in (loose, strict))
        alike = (minima[every["first"].to_numpy()] == minima[every["second"].to_numpy()]).mean(axis=1)
        assert 0 < len(some) < len(every)
        assert every.filter(pa.array(alike >= 0.8)) == some


def test_who_is_not_like_the_first_may_be_like_another(tmp_path: Path) -> None:
    settings = Dedup(bands=2, rows=2, verify=0.75)
    sketches = [[1, 1, 1, 1], [2, 2, 2, 2], [1, 1, 1, 9], [2, 2, 2, 9], [3, 3, 3, 3], [2, 2, 9, 9]]
    table = pa.table(
        {
            "band_00": pa.array([5] * 6, pa.uint64()),
            "signature": pa.array([np.array(s, "<u4").tobytes() for s in sketches], pa.binary(16)),
            "document": pa.array([10, 11, 12, 13, 14, 15], pa.uint64()),
        }
    )
    for at, order in enumerate(([0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 4, 2])):
        pq.write_table(table.take(order), tmp_path / f"{at}.parquet")
        said = pairs([tmp_path / f"{at}.parquet"], "band_00", settings).to_pylist()
        assert said == [{"first": 10, "second": 12}, {"first": 11, "second": 13}]


def test_wrong_questions_and_broken_files(tmp_path: Path) -> None:
    path = write(tmp_path, {"document": [1, 2]})
    with pytest.raises(ConfigError, match="no key 'band_99'; try: one of exact, band_00"):
        pairs([path], "band_99", Dedup())
    with pytest.raises(DataError, match=r"signed\.parquet: .*exact.*; try: signing the shard again"):
        pairs([path], "exact", Dedup())
    with pytest.raises(DataError, match="signing the shard again"):
        pairs([tmp_path / "none.parquet"], "exact", Dedup())
    with pytest.raises(ConfigError, match="no pairs of band_00, band_01"):
        resolve({"exact": path}, SMALL)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match=r"torn\.parquet"):
        resolve(dict.fromkeys(keys(SMALL), tmp_path / "torn.parquet"), SMALL)


def test_nothing_has_no_pairs(tmp_path: Path) -> None:
    assert not len(pairs([], "exact", SMALL))
    empty = write(tmp_path, {"exact": [], "band_00": [None][:0], "document": []})
    assert not len(pairs([empty], "band_00", SMALL))
