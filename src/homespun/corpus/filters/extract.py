"""HTML into text. Documents that are none pass as they are; what is known of their type is in ``meta``."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
from pydantic_core import from_json, to_json

from homespun.corpus.documents import Batch, Judge, judged, replaced
from homespun.corpus.filters.extract_blocks import TooDeepError, blocks_text
from homespun.corpus.filters.extract_bounds import broken_up, too_deep
from homespun.errors import ConfigError

HTML = ("text/html", "application/xhtml+xml")
TITLE = 300
"""Characters of a title that are kept."""


class Extracted(NamedTuple):
    """A page's text, or why there is none."""

    text: str | None
    title: str | None = None
    reason: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Extract:
    """How pages become texts."""

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 1

    min_characters: int = 1
    """Shorter texts leave with ``no_text``."""
    html_sources: frozenset[str] = frozenset()
    """Sources all of whose documents are HTML, though their ``meta`` does not say so."""

    def __post_init__(self) -> None:
        if self.min_characters < 1:
            raise ConfigError(f"min_characters={self.min_characters}", "Extract", "a number above 0")

    @property
    def files(self) -> Mapping[str, Path]:
        """None."""
        return {}

    def open(self) -> Judge:
        """The function: texts in the place of pages, titles in ``meta``.

        Raises:
            ConfigError: selectolax is missing.
        """
        if find_spec("selectolax") is None:
            raise ConfigError("selectolax is not installed", "Extract", "pip install 'homespun[corpus]'")
        return self._judge

    def _judge(self, batch: Batch) -> Batch:
        texts: list[str | None] = batch["text"].to_pylist()
        metas: list[str | None] = batch["meta"].to_pylist()
        reasons: list[str | None] = [None] * len(batch)
        evidence: list[str | None] = [None] * len(batch)
        for row, (text, meta, source) in enumerate(zip(texts, metas, batch["source"].to_pylist(), strict=True)):
            about = _about(meta)
            if text is None or (about.get("content_type") not in HTML and source not in self.html_sources):
                continue
            found = extracted(text)
            texts[row], reasons[row], evidence[row] = found.text or "", found.reason, found.evidence
            if found.reason is None and len(found.text or "") < self.min_characters:
                reasons[row], evidence[row] = "no_text", f"{len(found.text or '')} characters of {len(text)} of HTML"
            about |= {"content_type": "text/plain"} | ({"title": found.title} if found.title else {})
            metas[row] = to_json(about).decode()
        batch = replaced(batch, "text", pa.array(texts, pa.large_string()))
        return judged(replaced(batch, "meta", pa.array(metas, pa.string())), reasons, evidence)


def extracted(html: str) -> Extracted:
    """A page's text.

    Args:
        html: The page, decoded.
    """
    from selectolax.lexbor import LexborHTMLParser

    if why := too_deep(html):
        return Extracted(None, reason="too_deep", evidence=why)
    try:
        page = LexborHTMLParser(broken_up(html))
        title = page.css_first("title")
        said = " ".join((title.text() if title is not None else "").split())[:TITLE]
        return Extracted(_storable(blocks_text(page)), _storable(said) or None)
    except TooDeepError:
        return Extracted(None, reason="too_deep", evidence="nested too deeply")
    except (ValueError, RuntimeError, UnicodeError, AttributeError) as error:
        return Extracted(None, reason="extract_failed", evidence=f"{type(error).__name__}: {error}"[:300])


def _storable(text: str) -> str:
    """Text that UTF-8 can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _about(meta: str | None) -> dict[str, Any]:
    try:
        found = from_json(meta) if meta else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
