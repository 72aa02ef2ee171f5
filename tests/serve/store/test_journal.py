"""The journal: whole entries come back, torn ones do not, and a folder belongs to one living worker."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.serve.store import journal
from homespun.serve.store.encode import encode
from homespun.serve.store.journal import NOTE, SETTLE, Journal


def test_what_is_appended_comes_back_in_order(tmp_path: Path) -> None:
    book = Journal(tmp_path, segment_bytes=200)
    for number in range(20):
        book.append(SETTLE, b'{"n":%d}' % number)
    assert len(book.segments) > 1
    found: list[bytes] = []
    while (stretch := book.unbooked()) is not None:
        segment, start, end = stretch
        data = journal.read(segment.fd, start, end, 40)
        found += [entry[1] for entry in journal.entries(data) if entry is not None]
        segment.booked += len(data)
    assert found == [b'{"n":%d}' % number for number in range(20)]
    book.drop_booked()
    assert [path.name for path in tmp_path.iterdir()] == [book.segments[0].path.name]
    assert book.behind == 0
    book.close()


def test_a_file_stays_while_a_request_that_began_in_it_runs(tmp_path: Path) -> None:
    book = Journal(tmp_path, segment_bytes=10)
    first = book.append(journal.BEGIN, b"{}")
    first.open += 1
    book.append(NOTE, b"{}")
    for segment in book.segments:
        segment.booked = segment.size
    book.drop_booked()
    assert first in book.segments
    first.open -= 1
    book.drop_booked()
    assert first not in book.segments
    book.close()


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=30).map(lambda b: encode(b.hex())), min_size=1, max_size=8), st.data())
def test_a_line_that_is_torn_or_damaged_is_passed_over(payloads: list[bytes], data: st.DataObject) -> None:
    lines = [b"s%08x %b\n" % (journal.crc32(payload), payload) for payload in payloads]
    whole = b"".join(lines)
    assert [entry and entry[1] for entry in journal.entries(whole)] == payloads
    cut = data.draw(st.integers(0, len(whole) - 1))
    told = [entry[1] for entry in journal.entries(whole[:cut]) if entry is not None]
    ends = [sum(map(len, lines[: n + 1])) - 1 for n in range(len(lines))]  # a line counts even without its newline
    assert told == payloads[: sum(cut >= end for end in ends)]
    at = data.draw(st.integers(0, len(whole) - 1).filter(lambda at: whole[at : at + 1] != b"\n"))
    bent = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    hit = sum(at > end for end in ends)
    kept = [entry for entry in journal.entries(bent) if entry is not None and entry[:1] == (b"s",)]
    assert [payload for _, payload in kept] == payloads[:hit] + payloads[hit + 1 :]


def test_a_full_disk_tears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Journal(tmp_path, segment_bytes=20)
    book.append(SETTLE, b'"before"')

    def full(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    real = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        book.append(SETTLE, b'"refused"')
    book.append(SETTLE, b'"kept"', keep=True)
    book.retry()
    assert len(book.stranded) == 1
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(os, "posix_fallocate", real)
    book.retry()
    assert book.stranded == []
    content = [segment.path.read_bytes()[: segment.size] for segment in book.segments]
    assert [entry and entry[1] for entry in journal.entries(b"".join(content))] == [b'"before"', b'"kept"']
    book.close()


@pytest.mark.parametrize("size", [0, 1, 1000, journal.BATCH_BYTES - 1, journal.BATCH_BYTES, journal.BATCH_BYTES + 1])
def test_the_end_of_what_was_written_is_found(tmp_path: Path, size: int) -> None:
    book = Journal(tmp_path, segment_bytes=3 * journal.BATCH_BYTES)
    if size:
        book.append(NOTE, b"x" * max(0, size - 11))
    (segment,) = book.segments
    assert journal.written(segment.fd) == segment.size
    assert segment.size >= size
    book.close()


def test_a_line_longer_than_a_file_gets_one_of_its_own(tmp_path: Path) -> None:
    book = Journal(tmp_path, segment_bytes=100)
    book.append(NOTE, b"x" * 500)
    assert [segment.size for segment in book.segments] == [0, 511]
    book.close()


def test_a_folder_belongs_to_one_living_worker(tmp_path: Path) -> None:
    folder, lock = journal.claim(tmp_path, "one")
    assert list(journal.abandoned(tmp_path)) == []
    with pytest.raises(OSError, match=r"."):
        journal.claim(tmp_path, "one")
    with pytest.raises(OSError, match="no name"):
        journal.claim(tmp_path, "../two")
    os.close(lock)
    (found,) = journal.abandoned(tmp_path)
    assert found[0] == folder
    assert list(journal.abandoned(tmp_path)) == []
    journal.discard(*found)
    assert list(tmp_path.iterdir()) == []


def test_anything_can_be_written_down() -> None:
    odd = {"n": 2**70, 1: "\ud800", "f": float("nan"), "s": {"b", "a"}, "o": object, "deep": [{"x": -(2**70)}]}
    assert encode(odd).count(b"\n") == 0
    assert encode({"a": frozenset({"y", "x"})}) == b'{"a":["x","y"]}'
