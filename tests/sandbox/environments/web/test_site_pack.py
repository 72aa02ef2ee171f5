"""What a build hands out is checked: its program may have written it."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.sandbox.environments.web.build import MOST_BYTES, PackError, unpack

NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,3}\.js", fullmatch=True)


def packed(files, notes=None, data=None, tail=b"") -> bytes:
    head = json.dumps({"files": files, "notes": notes or {}, "data": data or {}}).encode()
    return struct.pack(">I", len(head)) + head + tail


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=6))
def test_files_come_out_as_they_went_in(files):
    pack = packed(
        [[name, len(content)] for name, content in files.items()], {"a": "b"}, {"c": 1}, b"".join(files.values())
    )
    assert unpack(pack) == (files, {"a": "b"}, {"c": 1})


@given(st.binary(max_size=200))
def test_any_bytes_are_a_site_or_refused(noise):
    try:
        unpack(noise)
    except PackError:
        return
    raise AssertionError("noise was taken for a site")


@pytest.mark.parametrize(
    "pack",
    [
        b"",
        packed([["../x", 1]], tail=b"a"),
        packed([["/x", 1]], tail=b"a"),
        packed([["a/../../x", 1]], tail=b"a"),
        packed([["a\nb", 1]], tail=b"a"),
        packed([["a.js", 1], ["a.js", 1]], tail=b"ab"),
        packed([["a.js", 2]], tail=b"a"),
        packed([["a.js", -1], ["b.js", 2]], tail=b"a"),
        packed([["a.js", 1]] * 501, tail=b"a" * 501),
        packed([["a.js", MOST_BYTES + 1]], tail=b"a" * (MOST_BYTES + 1)),
        packed("files"),
        struct.pack(">I", 1 << 31) + b"{}",
        struct.pack(">I", 5000) + b"[" * 5000,
    ],
    ids=range(13),
)  # fmt: skip
def test_a_hostile_pack_is_refused(pack):
    with pytest.raises(PackError):
        unpack(pack)


def test_notes_are_cut_to_size():
    _, notes, _ = unpack(packed([], {str(number): "x" * 900 for number in range(1000)}))
    assert sum(len(key) + len(value) for key, value in notes.items()) <= 8_000
