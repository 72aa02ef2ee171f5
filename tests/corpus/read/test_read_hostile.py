"""Files that were made to hurt: each ends in named rows, within bounded memory, and never in an exception."""

import gzip
import json
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homespun.corpus.read import Limits, Source, read, slices

LIMITS = Limits(document_bytes=1 << 16, batch_bytes=1 << 18)


def rows(source: Source, limits: Limits = LIMITS) -> list[dict[str, Any]]:
    return [row for cut in slices(source, limits) for batch in read(cut, limits) for row in batch.to_pylist()]


def reasons(path: Path, limits: Limits = LIMITS, **more: Any) -> list[str | None]:
    return [row["reason"] for row in rows(Source(name="s", paths=(path,), **more), limits)]


def test_a_line_without_end_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = b'{"text": "fine"}\n'
    path.write_bytes(line + b'{"text": "' + b"x" * (10 << 20) + b'"}\n' + line)
    assert reasons(path) == [None, "too_long", None]
    assert reasons(path, Limits(document_bytes=1 << 16, slice_bytes=1 << 20)) == [None, "too_long", None]
    assert reasons(path, Limits(document_bytes=11 << 20)) == [None, None, None]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[" * 50_000, "bad_json"),
        (b'{"text": ' + b'{"a":' * 10_000, "bad_json"),
        (b'{"text": "\\ud800"}', "bad_json"),
        (b'{"text": "' + b"\xed\xa0\x80" + b'"}', "not_utf8"),
        (b'{"text": "a\x00b"}', "bad_json"),
        (b'{"text": NaN}', "no_text"),
        (b'{"text": ["a"]}', "no_text"),
        (b'{"text": null}', "no_text"),
        (b'{"other": "a"}', "no_text"),
        (b'"text"', "bad_json"),
        (b"{" + b'"k":1,' * 9000 + b'"text":"x"}', None),
        (b'{"text": "x", "n": ' + b"9" * 20_000 + b"}", "bad_json"),
        (b'{"text": "x", "id": ' + b"9" * 4000 + b"}", None),
        (b'{"text": "x", "id": {"a": 1}, "url": ["b"], "big": "' + b"y" * 30_000 + b'"}', None),
        (b'{"text": "x", "id": "\\ud83d\\ude00", "n": 1e999}', None),
    ],
)
def test_strange_json_is_named(tmp_path: Path, line: bytes, reason: str | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line + b'\n{"text": "next"}\n')
    found = rows(Source(name="s", paths=(path,)))
    assert [row["reason"] for row in found] == [reason, None]
    assert all(row["meta"] is None or isinstance(json.loads(row["meta"]), dict) for row in found)
    assert all(len((row["meta"] or "").encode()) < 2 * LIMITS.meta_bytes for row in found)
    assert all(len(row["id"].encode()) < 2 * LIMITS.field_bytes for row in found)


def test_what_does_not_fit_into_meta_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "t", "a": "x" * 100, "b": "y" * 20_000, "c": 3, "d": None}) + "\n")
    assert json.loads(rows(Source(name="s", paths=(path,)))[0]["meta"]) == {"a": "x" * 100, "c": 3, "left_out": 1}


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_packed_file_that_breaks_gives_what_came_before(tmp_path: Path, suffix: str) -> None:
    rng = random.Random(1)
    lines = b"".join(json.dumps({"text": rng.randbytes(200).hex()}).encode() + b"\n" for _ in range(2000))
    packed = gzip.compress(lines) if suffix == ".gz" else pa.compress(lines, codec="zstd", asbytes=True)
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    found = reasons(path)
    assert found[-1] == "truncated"
    assert found[:-1] == [None] * (len(found) - 1)
    assert len(found) > (900 if suffix == ".gz" else 1)
    path.write_bytes(packed[:8] + bytes(64) + packed[72:])
    assert reasons(path)[-1] in ("bad_compression", "truncated")


def test_every_byte_before_the_broken_one_is_read(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "%d"}\n' % n for n in range(500))
    packed = zlib.compressobj(0, zlib.DEFLATED, 31)  # stored, so that places in both are the same
    data = packed.compress(lines) + packed.flush()
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(data[:-8] + b"\0" * 8)
    assert reasons(path) == [None] * 500 + ["bad_compression"]


def one_member(head: bytes, times: int) -> bytes:
    """A gzip member of a beginning and so many times 16 MB of zeros, packed once."""
    zeros = bytes(16 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(head)
    for _ in range(times):
        check = zlib.crc32(zeros, check)
    size = len(head) + times * len(zeros)
    tail = packer.flush() + struct.pack("<II", check, size & 0xFFFFFFFF)
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + first + part * times + tail


@pytest.mark.slow
def test_gigabytes_of_zeros_are_read_within_300_megabytes(tmp_path: Path) -> None:
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 1073741824\r\n\r\n"
    (tmp_path / "a.jsonl.gz").write_bytes(one_member(b"", 64))
    (tmp_path / "b.txt.gz").write_bytes((tmp_path / "a.jsonl.gz").read_bytes())
    (tmp_path / "c.warc.gz").write_bytes(one_member(head, 64))
    (tmp_path / "d.jsonl.zst").write_bytes(pa.compress(bytes(16 << 20), codec="zstd", asbytes=True) * 64)
    assert all(path.stat().st_size < 8 << 20 for path in tmp_path.iterdir())
    program = f"""
import resource, pathlib
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from homespun.corpus.read import Limits, Source, read, slices
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
source = Source(name="s", paths=(pathlib.Path({str(tmp_path)!r}),))
found = [r for cut in slices(source, Limits()) for b in read(cut, Limits()) for r in b["reason"].to_pylist()]
print(*found, peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    *found, kilobytes = done.stdout.split()
    assert found == ["too_long", "bomb", "too_long", "bomb", "too_long", "bomb"]
    assert int(kilobytes) < 300 << 10


def table(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_tables_without_a_text_are_named(tmp_path: Path) -> None:
    assert reasons(table(tmp_path / "a.parquet", other=["x"])) == ["no_column"]
    assert reasons(table(tmp_path / "b.parquet", text=[1, 2])) == ["no_column"]
    assert reasons(table(tmp_path / "c.parquet", text=[["a"]])) == ["no_column"]
    many = {f"c{n}": ["x"] for n in range(1200)}
    assert reasons(table(tmp_path / "d.parquet", text=["a"], **many)) == ["bad_parquet"]
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(twice, tmp_path / "e.parquet")
    assert reasons(tmp_path / "e.parquet") == ["bad_parquet"]
    (tmp_path / "f.parquet").write_bytes(b"")
    assert reasons(tmp_path / "f.parquet") == ["bad_parquet"]


def test_texts_of_a_table_are_checked_one_by_one(tmp_path: Path) -> None:
    raw = pa.array([b"good", b"bad \xff", None, b"x" * 70_000, b" "])
    for kind, name in ((pa.string(), "s"), (pa.large_string(), "l"), (pa.binary(), "b")):
        buffers = raw.cast(pa.large_binary() if kind == pa.large_string() else pa.binary())
        text = pa.Array.from_buffers(kind, 5, buffers.buffers())
        path = table(tmp_path / f"{name}.parquet", text=text)
        assert reasons(path) == [None, "not_utf8", "no_text", "too_long", "no_text"]


def test_odd_values_of_other_columns_cost_no_row(tmp_path: Path) -> None:
    late = pa.array([2**62, 0], pa.timestamp("us"))
    path = table(
        tmp_path / "a.parquet",
        text=["a", "b"],
        when=late,
        price=pa.array(["1.50", None]).cast(pa.decimal128(10, 2)),
        word=pa.array(["x", "y"]).dictionary_encode(),
        score=[float("nan"), 1.0],
        raw=[b"\xff", b"a"],
        names=[["p", "q"], None],
    )
    columns = (("text", "text"), ("upstream", "names"), ("fetched", "when"))
    first, second = rows(Source(name="s", paths=(path,), columns=columns))
    assert (first["text"], second["text"]) == ("a", "b")
    assert (first["upstream"], second["fetched"]) == (["p", "q"], "1970-01-01T00:00:00")
    assert json.loads(first["meta"]) == {"price": "1.50", "word": "x", "score": None}


def test_one_long_entry_for_a_million_rows_is_a_bomb(tmp_path: Path) -> None:
    long = "x" * 50_000
    indices = pa.array([0] * 1_000_000, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array([long]))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": column}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 100_000
    limits = Limits(document_bytes=1 << 16, batch_bytes=1 << 18, inflate_free=4 << 20)
    found = reasons(path, limits)
    assert found[-1] == "bomb"
    assert len(found) < 2000


def test_a_page_that_would_become_too_large_is_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    data = pa.table({"text": ["x" * 1000 + str(n) for n in range(5000)]})
    pq.write_table(data, path, compression="zstd", data_page_size=1 << 28, use_dictionary=False)
    assert reasons(path, Limits(page_bytes=1 << 20)) == ["bomb"]
    assert reasons(path) == [None] * 5000
    pq.write_table(data, path, use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"})
    assert reasons(path) == [None] * 5000


def test_rows_of_nothing_are_a_bomb(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", text=pa.nulls(3_000_000, pa.string()))
    assert reasons(path, Limits(inflate_free=1 << 20)) == ["bomb"]


@pytest.mark.parametrize("seed", range(8))
def test_broken_tables_end_in_named_rows(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "a.parquet"
    texts = [rng.randbytes(30).hex() for _ in range(300)]
    pq.write_table(
        pa.table({"id": texts, "text": texts, "n": range(300)}),
        path,
        row_group_size=100,
        compression=("none", "zstd", "snappy", "gzip")[seed % 4],
        data_page_version=("1.0", "2.0")[seed % 2],
    )
    whole = path.read_bytes()
    for _ in range(12):
        data = bytearray(whole)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.choice((1, 3, 30))):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        found = rows(Source(name="s", paths=(path,)), Limits(slice_bytes=5000))
        assert {row["reason"] for row in found} <= {
            None,
            "bad_parquet",
            "bomb",
            "not_utf8",
            "no_text",
            "no_column",
            "too_long",
        }
        assert found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.txt"])
def test_noise_ends_in_named_rows(tmp_path: Path, name: str, seed: int) -> None:
    rng = random.Random(seed)
    word = [
        b"WARC/1.0\r\n",
        b"WARC-Type: response\r\n",
        b"Content-Length: 9\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"\n",
    ]
    word += [b'{"text":', b'"a"}', b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\0", rng.randbytes(9)]
    data = b"".join(rng.choices(word, k=400))
    if seed % 2:
        data = {"gz": gzip.compress(data), "st": pa.compress(data, codec="zstd", asbytes=True)}.get(name[-2:], data)
    if seed % 3 == 0 and name.endswith(("gz", "zst")):
        data = (gzip.compress(data) if name.endswith("gz") else pa.compress(data, codec="zstd", asbytes=True))[
            : 200 + seed
        ]
    path = tmp_path / name
    path.write_bytes(data)
    found = rows(Source(name="s", paths=(path,), split="line"))
    assert found
    assert len({row["id"] for row in found}) == len(found)
    named = {"bad_warc", "truncated", "bad_compression", "bad_json", "not_utf8", "no_text", "too_long", "bomb"}
    assert {row["reason"] for row in found} <= named | {None, "status", "not_text"}


def test_a_file_that_vanished_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n')
    (cut,) = slices(Source(name="s", paths=(path,)), LIMITS)
    path.unlink()
    (batch,) = read(cut, LIMITS)
    assert batch.to_pylist()[0]["reason"] == "unreadable"
    assert batch.to_pylist()[0]["id"] == "s/a.jsonl"
