"""Reports: one HTML file that stands alone (no network, no script), its plots inline as SVG and beside it as PNG."""

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.runs.tables import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = Path(__file__).with_name("report.css")


@dataclass(kw_only=True)
class Column:
    """A column of a report's table: row key, heading, format spec ('' for text, '$' for dollars per 1,000)."""

    key: str
    title: str
    spec: str = ""


@dataclass
class Page:
    """A report under construction; every text is escaped, nothing is trusted."""

    title: str
    lead: str = ""
    _body: list[str] = field(default_factory=list)
    _names: list[tuple[str, str]] = field(default_factory=list)
    _open: bool = False

    def section(self, title: str, text: str = "") -> None:
        """Starts a section; what follows goes into it."""
        self._close()
        anchor = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        self._names.append((anchor, title))
        self._body.append(f'<section id="{anchor}"><h2>{html.escape(title)}</h2>')
        self._open = True
        if text:
            self.text(text)

    def text(self, text: str) -> None:
        """A paragraph."""
        self._body.append(f"<p>{html.escape(text)}</p>")

    def cards(self, cards: Mapping[str, str]) -> None:
        """Big numbers: caption → figure."""
        inner = "".join(
            f'<div class="card"><b>{html.escape(value)}</b><span>{html.escape(caption)}</span></div>'
            for caption, value in cards.items()
        )
        self._body.append(f'<div class="cards">{inner}</div>')

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], mark: Sequence[int] = ()) -> None:
        """A table; ``mark`` lists the rows to bring out."""
        head = "".join(f"<th{_left(c)}>{html.escape(c.title)}</th>" for c in columns)
        body: list[str] = []
        for index, row in enumerate(rows):
            cells = "".join(f"<td{_left(c)}>{html.escape(cell(row.get(c.key), c.spec))}</td>" for c in columns)
            body.append(f"<tr{' class=mark' if index in mark else ''}>{cells}</tr>")
        inner = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
        self._body.append(f'<div class="scroll"><table>{inner}</table></div>')

    def figure(self, figure: "Figure", caption: str, png: Path | None = None) -> None:
        """A plot, inline as SVG; also written as PNG when a path is given."""
        if png is not None:
            with atomic(png) as temporary:
                figure.savefig(temporary, dpi=150, format="png", metadata={"Software": None})
        picture = svg(figure, salt=caption)
        label = html.escape(caption)
        self._body.append(f'<figure role="img" aria-label="{label}">{picture}<figcaption>{label}</figcaption></figure>')

    def pictures(self, pictures: Sequence[tuple[bytes, str]]) -> None:
        """PNG pictures side by side, each with its caption; they lie inside the page."""
        inner = "".join(
            f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for png, caption in pictures
        )
        self._body.append(f'<div class="pictures">{inner}</div>')

    def verbatim(self, text: str, summary: str | None = None) -> None:
        """Preformatted text, folded behind ``summary`` when that is given."""
        block = f"<pre>{html.escape(text)}</pre>"
        if summary is not None:
            block = f"<details><summary>{html.escape(summary)}</summary>{block}</details>"
        self._body.append(block)

    def write(self, path: Path) -> Path:
        """Writes the page, whole or not at all."""
        self._close()
        links = "".join(f'<a href="#{anchor}">{html.escape(title)}</a>' for anchor, title in self._names)
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{STYLE.read_text()}</style></head><body><main>"
            f'<h1>{html.escape(self.title)}</h1><p class="lead">{html.escape(self.lead)}</p><nav>{links}</nav>'
            f"{''.join(self._body)}</main></body></html>\n"
        )
        with atomic(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
        return path

    def _close(self) -> None:
        if self._open:
            self._body.append("</section>")
            self._open = False


def cell(value: Any, spec: str) -> str:
    """One value as text: '' as it is, '$' as dollars per 1,000 questions, else a format spec; unknown is a dash."""
    if value is None:
        return "–"
    if spec == "$":
        return f"{1000 * float(value):,.2f}"
    return format(value, spec) if spec and not isinstance(value, str) else str(value)


def svg(figure: "Figure", salt: str = "") -> str:
    """The figure as an inline SVG element; same figure and salt (which keeps ids apart on a page), same bytes."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": f"homespun {salt}", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _left(column: Column) -> str:
    return "" if column.spec else " class=t"
