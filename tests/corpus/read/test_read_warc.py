"""WARC files: what warcio writes is read as warcio reads it, and what is broken is named."""

import gzip
import io
import json
import random
import zlib
from pathlib import Path
from typing import Any

import pytest
from warcio.archiveiterator import ArchiveIterator

from homespun.corpus.read import Limits, Source, read, slices
from homespun.corpus.read.charsets import LABELS, decoded
from homespun.corpus.read.members import GAPS
from homespun.corpus.read.streams import BrokenError

SMALL = Limits(document_bytes=2000, header_bytes=500)
TEXT = "text/plain; charset=utf-8"


def record(body: bytes, *headers: tuple[str, str], status: str = "200 OK", url: str = "https://a.example/") -> bytes:
    """A response."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return written("response", url, f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body, "application/http")


def written(kind: str, url: str, body: bytes, content_type: str = TEXT) -> bytes:
    """A record, by hand."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-02T03:04:05Z\r\n"
        f"WARC-Record-ID: <urn:uuid:1>\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def page(text: str) -> bytes:
    return record(text.encode(), ("Content-Type", TEXT))


def rows(path: Path, data: bytes, limits: Limits = SMALL, kind: Any = "warc") -> list[dict[str, Any]]:
    path.write_bytes(data)
    return [
        row
        for cut in slices(Source(name="s", paths=(path,), kind=kind), limits)
        for batch in read(cut, limits)
        for row in batch.to_pylist()
    ]


def reasons(found: list[dict[str, Any]]) -> list[str | None]:
    return [row["text"] if row["reason"] is None else f"!{row['reason']}" for row in found]


@pytest.mark.parametrize("packing", ["plain", "members", "whole"])
def test_records_are_those_that_warcio_reads(tmp_path: Path, packing: str) -> None:
    rng = random.Random(3)
    parts = [page("".join(rng.choices("ab\nWARC/é", k=rng.randrange(1, 400)))) for _ in range(30)]
    parts[3] = written("warcinfo", "x", b"software: test", content_type="application/warc-fields")
    parts[9] = written(
        "request", "https://a.example/", b"GET / HTTP/1.1\r\n\r\n", content_type="application/http;msgtype=request"
    )
    parts[11] = written("metadata", "https://a.example/", b"a: b", content_type="application/warc-fields")
    plain = b"".join(parts)
    members = b"".join(map(gzip.compress, parts))
    expected = [
        found.content_stream().read().decode()
        for found in ArchiveIterator(io.BytesIO(members))
        if found.rec_type == "response"
    ]
    data = {"plain": plain, "members": members, "whole": gzip.compress(plain)}[packing]
    found = rows(tmp_path / "f", data)
    assert [row["text"] for row in found] == expected
    assert [row["id"] for row in found] == [f"s/f#{n}" for n in range(30) if n not in (3, 9, 11)]
    assert found[0]["url"] == "https://a.example/"
    assert found[0]["fetched"] == "2024-01-02T03:04:05Z"
    assert json.loads(found[0]["meta"]) == {"record": "<urn:uuid:1>", "content_type": "text/plain"}


def test_wet_files_hold_texts(tmp_path: Path) -> None:
    data = page("not this") + written("conversion", "http://a.example/é", "naïve".encode())
    found = rows(tmp_path / "f", data, kind="wet")
    assert [(row["text"], row["id"]) for row in found] == [("naïve", "s/f#1")]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (record(b"x", ("Content-Type", TEXT), status="404 Not Found"), "!status"),
        (record(b"\x89PNG", ("Content-Type", "image/png")), "!not_text"),
        (record(b"what", ("Content-Length", "4")), "!not_text"),
        (record(b"  <!DOCTYPE html><p>x"), "  <!DOCTYPE html><p>x"),
        (record(b"na\xefve", ("Content-Type", "text/plain; charset=ISO-8859-1")), "naïve"),
        (record(b"\x80 \x93", ("Content-Type", "text/plain; charset=latin1")), "€ “"),
        (
            record("<meta charset=windows-1251>да".encode("cp1251"), ("Content-Type", "text/html")),
            "<meta charset=windows-1251>да",
        ),
        (record(b"na\xefve", ("Content-Type", TEXT)), "!not_utf8"),
        (record(b"x", ("Content-Type", "text/plain; charset=zip")), "!bad_charset"),
        (record(b"\x81", ("Content-Type", "text/plain; charset=shift_jis")), "!bad_charset"),
        (record(b"\xff\xfea\0", ("Content-Type", "text/plain; charset=latin1")), "a"),
        (record(b"", ("Content-Type", TEXT)), "!no_text"),
        (record(gzip.compress(b"packed"), ("Content-Type", TEXT), ("Content-Encoding", "gzip")), "packed"),
        (record(b"not packed", ("Content-Type", TEXT), ("Content-Encoding", "gzip")), "not packed"),
        (record(zlib.compress(b"zlib"), ("Content-Type", TEXT), ("Content-Encoding", "deflate")), "zlib"),
        (record(zlib.compress(b"raw")[2:-4], ("Content-Type", TEXT), ("Content-Encoding", "deflate")), "raw"),
        (record(gzip.compress(b"x" * 99)[:-12], ("Content-Type", TEXT), ("Content-Encoding", "gzip")), "!truncated"),
        (record(gzip.compress(bytes(10**6)), ("Content-Type", TEXT), ("Content-Encoding", "gzip")), "!too_long"),
        (record(b"x", ("Content-Type", TEXT), ("Content-Encoding", "br")), "!bad_compression"),
        (
            record(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", ("Content-Type", TEXT), ("Transfer-Encoding", "chunked")),
            "abcde",
        ),
        (record(b"ffffffff\r\nabc", ("Content-Type", TEXT), ("Transfer-Encoding", "chunked")), "ffffffff\r\nabc"),
        (record(b"x" * 1950, ("Content-Type", TEXT)), "!too_long"),
        (record(b"x", ("Content-Type", TEXT), ("X", "y" * 500)), "!bad_warc"),
        (written("response", "https://a.example/", b"no http at all", content_type="application/http"), "!bad_warc"),
        (written("resource", "file:///a", b"a file"), "a file"),
        (page("x").replace(b"Content-Length: ", b"Content-Length: -", 1), "!bad_warc"),
        (page("x").replace(b"Content-Length", b"Content-Size", 1), "!bad_warc"),
        (page("x").replace(b"WARC/1.", b"WARC/7."), "!bad_warc"),
        (b"WARC/1.0\r\nX: " + b"y" * 600 + b"\r\n\r\n", "!bad_warc"),
        (b"garbage\r\n\r\n", "!bad_warc"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_between_two_good_records_costs_neither(tmp_path: Path, answer: bytes, said: str, packed: bool) -> None:
    parts = [page("before"), answer, page("after")]
    data = b"".join(map(gzip.compress, parts)) if packed else b"".join(parts)
    assert reasons(rows(tmp_path / "f", data)) == ["before", said, "after"]


def test_a_flipped_bit_never_changes_a_text_of_a_packed_file(tmp_path: Path) -> None:
    texts = [f"text {n}: " + random.Random(n).randbytes(40).hex() for n in range(6)]
    data = b"".join(gzip.compress(page(text), mtime=0) for text in texts)
    for place in range(0, len(data), 11):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        found = reasons(rows(tmp_path / "f.gz", bytes(broken)))
        good = [text for text in found if text in texts]
        assert set(found) - set(texts) <= {"!bad_compression", "!truncated", "!bad_warc"}
        assert len(good) >= 5
        assert good == [text for text in texts if text in good]
        assert len(found) > len(good) or good == texts


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_ends_anywhere_gives_all_whole_records_and_says_so(tmp_path: Path, packed: bool) -> None:
    parts = [page("one"), page("two"), page("three")]
    parts = [gzip.compress(part, mtime=0) for part in parts] if packed else parts
    data = b"".join(parts)
    ends = [sum(map(len, parts[: n + 1])) for n in range(3)]
    for stop in range(1, len(data), 7):
        found = rows(tmp_path / "f", data[:stop])
        whole = sum(end <= stop for end in ends)
        assert reasons(found)[:whole] == ["one", "two", "three"][:whole]
        if not whole or ends[whole - 1] != stop:
            assert found[-1]["reason"] in ("truncated", "bad_warc", None)
            assert len(found) in (whole + 1, whole + 2)


def test_a_record_that_lies_about_its_length_takes_none_with_it(tmp_path: Path) -> None:
    long = page("long").replace(b"Content-Length: ", b"Content-Length: 9")
    short = page("a short one").replace(b"Content-Length: ", b"Content-Length: 1", 1)
    data = b"".join(map(gzip.compress, [page("a"), long, page("b"), short, page("c")]))
    found = reasons(rows(tmp_path / "f", data))
    assert [text for text in found if text and text[0] != "!"] == ["a", "b", "c"]
    assert len(found) >= 5


def test_garbage_between_members_is_said(tmp_path: Path) -> None:
    data = gzip.compress(page("a")) + b"garbage" + gzip.compress(page("b")) + bytes(100)
    assert reasons(rows(tmp_path / "f", data)) == ["a", "!bad_compression", "b"]


def test_a_file_of_broken_places_is_given_up(tmp_path: Path) -> None:
    member = gzip.compress(page("x"))
    data = (member[:-30] + bytes(4)) * (GAPS + 50) + member
    found = rows(tmp_path / "f", data)
    assert len(found) <= 3 * GAPS + 2
    assert "broken places" in found[-1]["evidence"]


def test_a_bomb_ends_the_file_and_is_named(tmp_path: Path) -> None:
    limits = Limits(inflate_free=1 << 20)
    page_of_it = record(gzip.compress(bytes(20 << 20)), ("Content-Type", TEXT), ("Content-Encoding", "gzip"))
    assert reasons(rows(tmp_path / "f", page_of_it, Limits())) == ["!bomb"]
    endless = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 999999999\r\n\r\n" + bytes(30 << 20)
    found = rows(tmp_path / "f", gzip.compress(page("a")) + gzip.compress(endless), limits)
    assert reasons(found) == ["a", "!bomb"]


@pytest.mark.parametrize("label", sorted(LABELS))
def test_every_charset_decodes_letters(label: str) -> None:
    assert decoded(b"Hello", f" charset={label}", False) == "Hello"


@pytest.mark.parametrize(
    ("codec", "text"), [("shift_jis", "日本語"), ("gb18030", "汉语"), ("euc-kr", "한국어"), ("koi8-r", "речь")]
)
def test_declared_charsets_are_those_of_python(codec: str, text: str) -> None:
    page_ = f'<html><meta http-equiv="Content-Type" content="text/html; charset={codec}">{text}'
    assert decoded(page_.encode(codec), "", True) == page_
    with pytest.raises(BrokenError):
        decoded(text.encode(codec), "", True)
