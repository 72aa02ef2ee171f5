import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from homespun.sandbox.apps import markup

TAG = b'<script src="/ours.js"></script>'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<!doctype html>", b"<p>hi"),
        (b"<!DOCTYPE HTML PUBLIC '-//W3C//DTD'>", b"\n<html lang=de><head><title>x</title></head>"),
        (b"", b"<p>no doctype"),
        (b"", b"<html><head></head><body>"),
        (b"", b""),
        (b"\xef\xbb\xbf<!doctype html>", b"<p>mark"),
        (b" \n<!-- a > b <html> --> <!doctype html>", b"<p>comment"),
        (b"<!--><!doctype html>", b"<p>an empty comment"),
        (b"<!---><!doctype html>", b"<p>another"),
        (b"<!-- a --!><!doctype html>", b"<p>closed oddly"),
        (b"<?xml version='1.0'?><!doctype html>", b"<p>xml"),
        (b"</ odd><!doctype html>", b"<p>bogus"),
        (b"", b"</p><!doctype html>"),
        (b"<!doctype html>", b"<!-- behind it --><p>x"),
        (b"\x00<!doctype html>", b"<script>document.write('<!--')</script>"),
    ],
)
def test_the_script_goes_behind_the_doctype(before: bytes, after: bytes) -> None:
    assert markup.inserted(before + after, TAG) == before + TAG + after


@pytest.mark.parametrize("page", [b"<!-- never closed <p>hi", b"\xff\xfe<\x00p\x00", b"<!doctype html"])
def test_a_page_without_a_place_stays_as_it_is(page: bytes) -> None:
    assert markup.inserted(page, TAG) == page


def test_a_page_cannot_hide_for_ever() -> None:
    insertion = markup.Insertion(TAG)
    passed = b"".join(insertion.feed(piece) for piece in [b"<!--" + b"x" * 1000] * 100)
    assert len(passed) == 100 * 1004


PIECES = st.sampled_from(
    [b"<!doctype html>", b"<!--", b"-->", b"<p>", b"<html>", b" ", b"<", b"!", b"?>", b"</x>", b"a"]
)


@given(st.lists(PIECES, max_size=12), st.integers(1, 5))
def test_pieces_make_no_difference(parts: list[bytes], size: int) -> None:
    page = b"".join(parts)
    insertion = markup.Insertion(TAG)
    passed = [insertion.feed(page[at : at + size]) for at in range(0, len(page), size)]
    assert b"".join([*passed, insertion.finish()]) == markup.inserted(page, TAG)


@given(st.lists(PIECES, max_size=12))
def test_a_parser_finds_it_first_in_the_head_and_the_doctype_as_before(parts: list[bytes]) -> None:
    page = b"".join(parts)
    done = markup.inserted(page, TAG)
    if done == page:
        return
    tree = LexborHTMLParser(done.decode())
    script = tree.css_first("script")
    assert script is not None
    assert script.parent is not None
    assert script.parent.tag == "head"
    assert tree.head is not None
    first = tree.head.child
    assert first is not None
    assert first.attributes.get("src") == "/ours.js"
    assert has_doctype(done) == has_doctype(page)


def has_doctype(page: bytes) -> bool:
    tree = LexborHTMLParser(page.decode()).html or ""
    return re.sub("<!--.*?-->", "", tree, flags=re.DOTALL).strip().lower().startswith("<!doctype")
