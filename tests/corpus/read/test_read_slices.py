"""Slices of a file are a partition: however it is cut, the same documents come out, each once."""

import dataclasses
import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.documents import SCHEMA, VERDICT
from homespun.corpus.read import Limits, Source, read, slices
from homespun.errors import ConfigError, DataError

LIMITS = Limits()
ONE_FOLDER = [HealthCheck.function_scoped_fixture]  # its file is written anew each time


def rows(source: Source, limits: Limits = LIMITS) -> list[dict[str, Any]]:
    """All documents of a source."""
    batches = [batch for cut in slices(source, limits) for batch in read(cut, limits)]
    for batch in batches:
        assert batch.column_names == [*SCHEMA.names, *VERDICT.names]
        assert batch.select(SCHEMA.names).schema == SCHEMA
        batch.validate(full=True)
    return [row for batch in batches for row in batch.to_pylist()]


def gist(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["id"], row["text"], row["reason"], row["evidence"]) for row in found]


LINES = st.lists(
    st.one_of(
        st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")),
        st.sampled_from(
            [b"", b"\r", b" ", b"\xff\xfe", b"{}", b'{"text":"a"}', b'{"text":"\xc3\xa9","x":[1]}', b"[1]"]
        ),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=ONE_FOLDER)
@given(lines=LINES, end=st.booleans(), size=st.integers(1, 9), limit=st.integers(4, 40))
@pytest.mark.parametrize(("kind", "split"), [("jsonl", "file"), ("text", "line"), ("text", "paragraph")])
def test_any_cut_gives_what_the_whole_gives(
    kind: Any, split: Any, lines: list[bytes], end: bool, size: int, limit: int, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\n".join(lines) + b"\n" * end)
    source = Source(name="s", paths=(path,), kind=kind, split=split)
    whole = rows(source, Limits(document_bytes=limit))
    cut = rows(source, Limits(document_bytes=limit, slice_bytes=size))
    if path.read_bytes()[:2] not in (b"\x1f\x8b",):
        assert gist(cut) == gist(whole)
    assert len({row["id"] for row in whole}) == len(whole)


@settings(max_examples=50, deadline=None, suppress_health_check=ONE_FOLDER)
@given(lines=LINES, size=st.integers(1, 9))
def test_every_line_with_something_in_it_is_a_record(lines: list[bytes], size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    if path.read_bytes()[:2] == b"\x1f\x8b":
        return
    found = rows(Source(name="s", paths=(path,), kind="jsonl"), Limits(slice_bytes=size))
    joined = b"\n".join(lines).removeprefix(b"\xef\xbb\xbf")
    expected = [line for line in joined.split(b"\n") if line and not line.isspace()]
    assert len(found) == len(expected)
    for row, line in zip(found, expected, strict=True):
        try:
            value = json.loads(line.decode())
        except ValueError:
            value = None
        good = isinstance(value, dict) and isinstance(value.get("text"), str) and value["text"].strip() != ""
        assert (row["reason"] is None) == good


@settings(max_examples=40, deadline=None, suppress_health_check=ONE_FOLDER)
@given(parts=st.lists(st.lists(st.sampled_from(["word", "two words", " x", "é"]), min_size=1, max_size=3), max_size=6))
def test_paragraphs_are_what_stands_between_empty_lines(parts: list[list[str]], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    text = "\n\n".join("\n".join(lines) for lines in parts) + "\n"
    path.write_text(text, "utf-8")
    found = rows(Source(name="s", paths=(path,), split="paragraph"), Limits(slice_bytes=3))
    assert [row["text"] for row in found] == ["\n".join(lines) for lines in parts]


@pytest.mark.parametrize("groups", [1, 3, 7, 50])
def test_tables_are_cut_between_row_groups(tmp_path: Path, groups: int) -> None:
    table = pa.table({"id": [f"n{i}" for i in range(50)], "text": [f"text {i}" for i in range(50)], "n": range(50)})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=groups)
    source = Source(name="s", paths=(path,))
    whole, cut = rows(source), rows(source, Limits(slice_bytes=1, batch_documents=4))
    assert gist(cut) == gist(whole)
    assert [row["id"] for row in whole] == [f"s/n{i}" for i in range(50)]
    assert json.loads(whole[7]["meta"]) == {"n": 7}
    assert len(slices(source, Limits(slice_bytes=1))) == -(-50 // groups)


def test_packed_and_plain_files_say_the_same(tmp_path: Path) -> None:
    lines = b"".join(json.dumps({"text": f"line {n}", "id": n % 3}).encode() + b"\n" for n in range(9))
    texts: list[Any] = []
    for name, data in (
        ("a.jsonl", lines),
        ("a.jsonl.gz", gzip.compress(lines[:50]) + gzip.compress(lines[50:]) + bytes(512)),
        ("a.jsonl.zst", pa.compress(lines, codec="zstd", asbytes=True)),
        ("named.jsonl", gzip.compress(lines)),
    ):
        (tmp_path / name).write_bytes(data)
        found = rows(
            Source(name="s", paths=(tmp_path / name,)), Limits(slice_bytes=20 if name == "a.jsonl" else 1 << 20)
        )
        texts.append([row["text"] for row in found])
        assert all(row["reason"] is None for row in found)
    assert texts == [[f"line {n}" for n in range(9)]] * 4


def test_own_identifiers_are_kept_and_repeats_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": "t", "id": name}) + "\n" for name in ["x", "y", "x", "x", "", None, 7]))
    found = [row["id"] for row in rows(Source(name="s", paths=(path,)))]
    assert found[:2] == ["s/x", "s/y"]
    assert found[2] == f"s/x#a.jsonl#{2 * len(json.dumps({'text': 't', 'id': 'x'})) + 2}"
    assert found[6] == "s/7"
    assert len(set(found)) == 7
    few = [row["id"] for row in rows(Source(name="s", paths=(path,)), Limits(identifiers=1))]
    assert len(set(few)) == 7


def test_folders_are_searched_by_suffix_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/a.txt", "no.bin", "x.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"text": "t"}')
    source = Source(name="s", paths=(tmp_path,))
    assert [cut.name for cut in slices(source, LIMITS)] == ["a.txt", "b.txt", "deep/a.txt", "x.jsonl"]
    assert [cut.name for cut in slices(dataclasses.replace(source, kind="jsonl"), LIMITS)] == ["x.jsonl"]
    cut = slices(source, LIMITS)[0]
    assert pickle.loads(pickle.dumps(cut)) == cut
    assert hash(cut.source) == hash(source)


def test_what_a_source_says_goes_into_documents_that_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = {"body": "t", "rights": "MIT", "made_from": ["b=MIT"], "when": "2024", "l": "de", "extra": {"deep": [1]}}
    path.write_text(json.dumps(line) + "\n" + json.dumps({"body": "u"}) + "\n")
    columns = (("text", "body"), ("licence", "rights"), ("upstream", "made_from"), ("fetched", "when"), ("lang", "l"))
    said = Source(
        name="s", paths=(path,), columns=columns, licence="CC0-1.0", upstream=("a=CC0-1.0",), lang="fr", fetched="2020"
    )
    first, second = rows(said)
    assert (first["licence"], first["licence_source"], first["lang"], first["fetched"]) == (
        "MIT",
        "document",
        "de",
        "2024",
    )
    assert first["upstream"] == ["b=MIT", "a=CC0-1.0"]
    assert json.loads(first["meta"]) == {"extra": {"deep": [1]}}
    assert (second["licence"], second["licence_source"], second["lang"], second["fetched"]) == (
        "CC0-1.0",
        "source",
        "fr",
        "2020",
    )
    assert second["upstream"] == ["a=CC0-1.0"]
    assert second["meta"] is None


def test_what_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"")
    for path, words in (
        (tmp_path / "gone", "not there"),
        (tmp_path / "x.bin", "does not say"),
        (tmp_path, "nothing to read"),
    ):
        with pytest.raises(DataError, match=words):
            slices(Source(name="s", paths=(path,)), LIMITS)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text("t")
    with pytest.raises(DataError, match=r"two files are called 'same\.txt'"):
        slices(Source(name="s", paths=(tmp_path / "a", tmp_path / "b")), LIMITS)
    assert len(slices(Source(name="s", paths=(tmp_path / "a", tmp_path / "a/same.txt")), LIMITS)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a/b"},
        {"name": ""},
        {"columns": (("id", "id"),)},
        {"columns": (("text", "a"), ("text", "b"))},
        {"columns": (("text", "a"), ("pii_ip", "b"))},
        {"kind": "zip"},
        {"split": "word"},
    ],
)
def test_a_wrong_source_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Source(**{"name": "s", "paths": (), **wrong})


def test_limits_are_positive() -> None:
    with pytest.raises(ConfigError, match="document_bytes=0"):
        Limits(document_bytes=0)


def test_batches_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x" * 99 + "\n" * 1 + ("y" * 99 + "\n") * 99)
    limits = Limits(batch_documents=7, batch_bytes=300)
    (cut,) = slices(Source(name="s", paths=(path,), split="line"), limits)
    sizes = [len(batch) for batch in read(cut, limits)]
    assert sum(sizes) == 100
    assert max(sizes) == 4  # the fourth document goes beyond 300 bytes
