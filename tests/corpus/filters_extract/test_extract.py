"""Pages into texts: known text in varied frames, structure, and pages that would choke a parser."""

import json
import pickle
import re
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.documents import documents, parted
from homespun.corpus.filters.extract import Extract, extracted
from homespun.corpus.filters.extract_bounds import broken_up, too_deep
from homespun.errors import ConfigError

HELP = Path(__file__).parents[3] / "src" / "homespun" / "data" / "corpus" / "help.parquet"
NAV = (
    '<li><a href="/">Home</a><li><a href="/news">News</a><li><a href="/sport">Sport</a><li><a href="/login">Sign in</a>'
)
SIDE = "<h3>Most read</h3><ul>" + "".join(f'<li><a href="/{n}">Ten fences, {n}</a>' for n in range(8)) + "</ul>"
FOOT = '<p>Copyright 2024 Example.</p><ul><li><a href="/i">Imprint</a><li><a href="/p">Privacy</a></ul>'
FRAMES = {
    "plain": "<body>{}",
    "semantic": f"<body><header><h2>Site</h2><nav><ul>{NAV}</ul></nav></header><main><article>{{}}</article></main>"
    f"<aside>{SIDE}</aside><footer>{FOOT}</footer>",
    "names": f'<body><div class="cookie-banner"><p>We use cookies.</p></div><div id="header"><ul>{NAV}'
    f'</ul></div><div id="content">{{}}</div><div id="sidebar">{SIDE}</div><div class="site-footer">{FOOT}</div>',
    "tables": f"<body><table><tr><td colspan=2><b>Site</b><tr><td><ul>{NAV}</ul>{SIDE}<td>{{}}</table>",
    "blog": f'<body class="single post"><div class="top-bar"><ul>{NAV}</ul></div><div class="post">{{}}'
    f'<div class="share"><ul><li><a href="#">Share</a></ul></div>'
    f'<div class="related-posts">{SIDE}</div></div><div id="footer">{FOOT}</div>',
    "form": f"<body><form id=main><div role=navigation><ul>{NAV}</ul></div><section>{{}}</section></form>"
    f"<footer>{FOOT}</footer>",
}


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def f1(found: str, known: str) -> float:
    common = (words(found) & words(known)).total()
    return 2 * common / max(words(found).total() + words(known).total(), 1)


def marked_up(text: str, kind: int) -> str:
    """A known text as a page's body."""
    title, *parts = text.replace("&", "&amp;").replace("<", "&lt;").split("\n\n")
    inner = [f"<p>{part}</p>" for part in parts]
    if kind == 1:
        inner = [f"<div class=par><span>{part}</span><br></div>" for part in parts]
    elif kind == 2 and len(parts) > 3:
        inner = ["<ul>", *(f"<li>{part}" for part in parts[:3]), "</ul>", *(f"<p>{part}" for part in parts[3:])]
    return f"<h1>{title}</h1>\n" + "\n".join(inner)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Real texts of several languages and scripts."""
    table = pl.read_parquet(HELP).filter(pl.col("text").str.len_chars().is_between(800, 4000))
    return [group["text"][0] for _, group in table.group_by("declared", maintain_order=True)][:18]


@pytest.mark.parametrize("frame", FRAMES)
def test_known_text_comes_out_of_any_frame(texts: list[str], frame: str) -> None:
    scores: list[float] = []
    for at, text in enumerate(texts):
        page = (
            f"<!doctype html><title>A</title><style>p{{}}</style>{FRAMES[frame].replace('{}', marked_up(text, at % 3))}"
        )
        said = extracted(page).text
        assert said is not None
        scores.append(f1(said, text))
    mean = sum(scores) / len(scores)
    assert mean > (0.9 if frame in ("tables", "form") else 0.985), scores


def test_structure_is_kept() -> None:
    page = """<html><head><title> A  title </title></head><body><h1>Head</h1><p>One <b>two</b><br>three
    &amp; <a href=x>four</a> words.</p><ul><li>a b<li><p>c</p><ol><li>d</ol></ul><pre>x = 1
    y  = 2
</pre><table><tr><th>n<th>m<tr><td>1<td>2</table><p hidden>no</p>
<div style="display: none">no</div><!-- no --><p>End.</html>"""
    found = extracted(page)
    assert found.title == "A title"
    assert found.text == (
        "Head\n\nOne two\nthree & four words.\n\n- a b\n- c\n- d\n\nx = 1\n    y  = 2\n\nn | m\n1 | 2\n\nEnd."
    )


def test_names_that_lie_do_not_empty_a_page() -> None:
    text = "This page calls all of its content a sidebar, as some do. " * 5
    assert text.strip() in (extracted(f"<body><div class=sidebar><p>{text}</p></div>").text or "")


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<div>" * 100_000, "too_deep"),
        ("<div></x>" * 100_000, "too_deep"),
        ("<ul><li>" * 50_000, "too_deep"),
        ("".join(f"<b id={n}>" for n in range(3000)) + "<div>x</div>" * 20_000, "too_deep"),
        ("<p>" * 100_000 + "text", None),
        ("<br>" * 100_000 + "text", None),
        ("<div>text</div>" * 30_000, None),
        ("<div " + " ".join(f"a{n}" for n in range(60_000)) + ">text", None),
        ("<script>" + "x <= y; " * 50_000 + "</script><p>text", None),
        ("<a href='" + "x" * 200_000 + "'>text</a> and more of it", None),
        ("<svg><math><table><a><svg>text", None),
        ("<![CDATA[text]]><?xml ?><!doctype><p>text", None),
        ("\0<p>te\0xt\0", None),
    ],
)
def test_pages_that_choke_parsers_come_to_an_end(page: str, reason: str | None) -> None:
    assert extracted(page).reason == reason


def test_breaking_up_changes_no_text() -> None:
    text = "word " * 20_000
    assert broken_up(text).replace("<wbr>", "") == text
    assert " ".join((extracted(f"<p>{text}</p>").text or "").split()) == text.strip()
    long = "x" * 100_000
    assert extracted(f"<pre>{long}</pre>").text == long
    assert max(map(len, broken_up(text).split("<"))) < 17_000


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "<p>",
                    "</p>",
                    "<div>",
                    "</div>",
                    "<ul>",
                    "<li>",
                    "</ul>",
                    "<table>",
                    "<tr>",
                    "<td>",
                    "</table>",
                    "<pre>",
                    "</pre>",
                    "<a>",
                    "</a>",
                    "<b>",
                    "<br>",
                    "<script>",
                    "</script>",
                    "<!--",
                    "-->",
                    "&amp;",
                    "&#0;",
                    "&#xd800;",
                    "</x>",
                    "<nav>",
                    "<main>",
                    "<body>",
                    "<form>",
                ]
            ),
            st.text(max_size=8),
        ),
        max_size=40,
    )
)
def test_any_page_gives_a_text_that_can_be_stored_and_extracted_again(parts: list[str]) -> None:
    page = " ".join(parts)
    found = extracted(page)
    assert found == extracted(page)
    assert found.reason is None
    assert found.text is not None
    assert found.text == found.text.strip("\n")
    found.text.encode()
    assert "\n\n\n" not in re.sub(r"[ \t]", "", found.text) or "<pre>" in parts


@given(st.lists(st.text("abc ", min_size=1, max_size=20).filter(str.strip), min_size=1, max_size=8))
@settings(deadline=None)
def test_plain_paragraphs_come_back_as_they_were(paragraphs: list[str]) -> None:
    page = "<body>" + "".join(f"<p>{text}</p>" for text in paragraphs)
    assert extracted(page).text == "\n\n".join(" ".join(text.split()) for text in paragraphs)


def batch(texts: list[str | None], metas: list[Any]) -> Any:
    rows = range(len(texts))
    return documents({"id": [str(n) for n in rows], "text": texts, "source": ["s"] * len(texts), "meta": metas})


def test_only_pages_are_touched() -> None:
    html = {"content_type": "text/html", "record": "r"}
    given_ = batch(
        ["<title>T</title><p>a", "<p>a", "<p>a", None, "<script>x</script>", "<div>" * 9999],
        [html, {"content_type": "text/plain"}, None, html, html, html],
    )
    stage = pickle.loads(pickle.dumps(Extract()))
    done = stage.open()(given_)
    assert done["text"].to_pylist()[:4] == ["a", "<p>a", "<p>a", None]
    assert done["reason"].to_pylist() == [None, None, None, None, "no_text", "too_deep"]
    assert json.loads(done["meta"][0].as_py()) == {"content_type": "text/plain", "record": "r", "title": "T"}
    parts = parted(done, stage.name, len(given_))
    assert len(parts.kept) + len(parts.excluded) == len(given_)
    again = stage.open()(parts.kept)
    assert again["text"].to_pylist() == parts.kept["text"].to_pylist()


def test_settings_decide_what_is_a_page_and_a_text() -> None:
    done = Extract(html_sources=frozenset(("s",)), min_characters=3).open()(batch(["<p>ab", "<p>abc"], [None, None]))
    assert done["text"].to_pylist() == ["ab", "abc"]
    assert done["reason"].to_pylist() == ["no_text", None]
    with pytest.raises(ConfigError, match="min_characters"):
        Extract(min_characters=0)


def test_bounds_are_told_without_parsing() -> None:
    assert too_deep("<div>" * 1999) is None
    assert too_deep("<div>" * 4001) is not None
    assert too_deep("<p>x</p>" * 5000) is None
    assert too_deep("<font size=1>" * 2500) is not None
