"""The report stands alone, escapes what it is given, and is the same for the same input."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from homespun.runs.report import Column, Page, cell, svg


def plotted() -> Figure:
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


def test_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = Page(title="T", lead="L")
    page.section("One", "text")
    page.figure(plotted(), "a line", tmp_path / "line.png")
    page.table([{"a": 1.5}], [Column(key="a", title="A", spec=".1f")])
    text = page.write(tmp_path / "report.html").read_text()
    addresses = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text))
    assert {a for a in addresses if not a.startswith("#")} == set()
    assert "<script" not in text
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")
    assert text.count("<section") == text.count("</section>") == 1


@given(st.text(alphabet="<>&\"'abc/ =", max_size=40))
def test_hostile_text_never_becomes_markup(text: str) -> None:
    page = Page(title=text, lead=text)
    page.section(text, text)
    page.cards({text: text})
    page.table([{"a": text}], [Column(key="a", title=text)], mark=[0])
    page.verbatim(text, summary=text)
    tags = set(re.findall(r"<\s*/?\s*([a-z0-9]+)", "".join(page._body)))  # the body is ours alone; its tags are known
    ours = {"section", "h2", "p", "div", "b", "span", "table", "thead", "tbody", "tr", "th", "td", "pre"}
    assert tags <= ours | {"details", "summary"}


def test_same_plot_gives_same_bytes_and_salt_keeps_ids_apart() -> None:
    assert svg(plotted(), "a") == svg(plotted(), "a")
    ids = [set(re.findall(r'id="(p[0-9a-f]{8,})"', svg(plotted(), salt))) for salt in ("a", "b")]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])


def test_cells() -> None:
    assert cell(None, ".1%") == "–"
    assert cell(0.0431, "$") == "43.10"
    assert cell(0.811, ".1%") == "81.1%"
    assert cell("x", ".1%") == "x"
