"""A parsed page as text: blocks in their order, without what surrounds the article on every page of a site.

What is left out: elements that are never text, regions that the page itself calls navigation, banner or footer, those
whose class or identifier says so, lists that are nothing but links. Nothing is trained, and each rule is one line here.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from homespun.corpus.filters.extract_rules import ASKED, BLOCKS, CELLS, HEADINGS, LISTS, NEVER, left_out

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

LINKED = 0.7
"""Share of a list's text that is links, above which it is navigation."""
REST = 0.25
"""Share of a page's text that must be left once regions are taken out by their names; else the names lied."""
NESTING = 4000
"""Open elements that are walked through."""


class TooDeepError(Exception):
    """More open elements than a page has."""


@dataclass(slots=True)
class _Block:
    text: str
    tag: str
    linked: int
    """Characters of it that are inside links."""
    outer: int
    """Number of the outermost list that it is in; 0: none."""


@dataclass(slots=True)
class _Page:
    """What the walk has collected."""

    blocks: list[_Block] = field(default_factory=list[_Block])
    inline: list[str] = field(default_factory=list[str])
    linked: int = 0
    links: int = 0
    pre: int = 0
    lists: list[int] = field(default_factory=list[int])
    numbered: int = 0
    items: list[str] = field(default_factory=list[str])
    tags: list[str] = field(default_factory=lambda: ["body"])

    def flush(self) -> None:
        """Ends a block."""
        raw = "".join(self.inline)
        self.inline.clear()
        linked, self.linked = self.linked, 0
        if self.pre:
            text = raw.strip("\n").rstrip()
        else:
            cells = ("\n".join(" ".join(line.split()) for line in cell.split("\n")).strip() for cell in raw.split("\t"))
            text = " | ".join(cell for cell in cells if cell)
        if text.strip():
            if self.items and self.items[-1]:
                text, self.items[-1] = self.items[-1] + text, ""
            self.blocks.append(_Block(text, self.tags[-1], linked, self.lists[0] if self.lists else 0))

    def enter(self, tag: str) -> None:
        """An element begins."""
        if tag in BLOCKS:
            self.flush()
            self.tags.append(tag)
        if tag == "br":
            self.inline.append("\n")
        elif tag == "pre":
            self.pre += 1
        elif tag == "a":
            self.links += 1
        elif tag == "li":
            self.items.append("- ")
        elif tag in LISTS:
            self.numbered += 1
            self.lists.append(self.numbered)

    def leave(self, tag: str) -> None:
        """An element ends."""
        if tag in BLOCKS:
            self.flush()
            self.tags.pop()
        if tag in CELLS:
            self.inline.append("\t")
        elif tag == "pre":
            self.pre -= 1
        elif tag == "a":
            self.links -= 1
        elif tag == "li":
            self.items.pop()
        elif tag in LISTS:
            self.lists.pop()

    def write(self, text: str) -> None:
        """Characters of the page."""
        self.inline.append(text if self.pre else text.replace("\n", " ").replace("\t", " "))
        if self.links:
            self.linked += _size(text)


def blocks_text(page: "LexborHTMLParser") -> str:
    """The article's text: a line for an item, an empty line between other blocks.

    Args:
        page: Parsed; elements are taken out of it.

    Raises:
        TooDeepError: the page is nested too deeply to be walked.
    """
    page.strip_tags(NEVER)
    root = page.body or page.root
    if root is None:
        return ""
    area = _main(page, root)
    kept = _unlinked(_collected(area, by_name=True))
    size = sum(_size(block.text) for block in kept)
    if size < REST * _size(area.text()):
        whole = _unlinked(_collected(area, by_name=False))
        kept = whole if size < REST * sum(_size(block.text) for block in whole) else kept
    return _joined(kept)


def _size(text: str) -> int:
    """Characters that are no white space."""
    return len("".join(text.split()))


def _main(page: "LexborHTMLParser", root: "LexborNode") -> "LexborNode":
    """The element that the page itself calls its content, if that holds a good part of the text; else all of it."""
    for selector in ("main", "[role=main]", "article"):
        found = page.css(selector)
        if len(found) == 1 and _size(found[0].text()) >= REST * _size(root.text()):
            return found[0]
    return root


def _collected(root: "LexborNode", *, by_name: bool) -> list[_Block]:
    """Blocks under a node, by a walk that needs no recursion."""
    page = _Page()
    open_: list[tuple[LexborNode, str]] = []
    node: LexborNode | None = root.child
    while True:
        while node is None:
            if not open_:
                page.flush()
                return page.blocks
            parent, tag = open_.pop()
            page.leave(tag)
            node = parent.next
        tag = node.tag or ""
        if tag == "-text":
            page.write(node.text_content or "")
            node = node.next
        elif tag in ("_comment", "-comment", "!--") or (tag in ASKED and left_out(node, tag, by_name)):
            if tag in BLOCKS:
                page.flush()
            node = node.next
        else:
            page.enter(tag)
            open_.append((node, tag))
            if len(open_) > NESTING:
                raise TooDeepError
            node = node.child


def _unlinked(blocks: list[_Block]) -> list[_Block]:
    """The blocks without lists of links, and without short ones that are nothing else."""
    sizes: dict[int, list[int]] = {}
    for block in blocks:
        size = sizes.setdefault(block.outer, [0, 0, 0])
        size[0] += 1
        size[1] += _size(block.text)
        size[2] += block.linked
    menus = {at for at, (count, size, linked) in sizes.items() if at and count > 1 and linked > LINKED * size}
    return [
        block
        for block in blocks
        if block.outer not in menus
        and (block.tag in HEADINGS or len(block.text) > 100 or block.linked < 0.9 * _size(block.text))
    ]


def _joined(blocks: list[_Block]) -> str:
    parts: list[str] = []
    for before, block in zip([None, *blocks], blocks, strict=False):
        if before is not None:
            together = (before.outer and before.outer == block.outer) or before.tag == block.tag == "tr"
            parts.append("\n" if together else "\n\n")
        parts.append(block.text)
    return "".join(parts)
