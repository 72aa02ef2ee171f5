"""Where our script goes in a page: behind its doctype, before anything of its own.

There the parser opens ``<head>`` by itself (HTML standard, 13.2.6.4.2-4), so the script is the first thing in it
whatever the page is made of, and the doctype still counts. Only what may stand before or make up the doctype has to
be read: white space, comments, and the processing instructions and oddities that count as comments. Positions are
bytes: the encodings of the web agree on ASCII, UTF-16 apart, which is left as it is.
"""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
MOST_BYTES = 1 << 16
"""What comes before the doctype may be as long as this; a page that hides behind more goes without the script."""
_SPACE = b" \t\n\r\f\x00"


def place(page: bytes, *, final: bool) -> int | None:
    """The offset at which the script goes; None if more of the page must be seen first, -1 if nowhere."""
    if page.startswith(UTF_16):
        return -1
    at = len(BYTE_ORDER_MARK) if page.startswith(BYTE_ORDER_MARK) else 0
    while True:
        while at < len(page) and page[at] in _SPACE:
            at += 1
        rest = page[at : at + 10].lower()
        if not final and len(rest) < 10 and _undecided(rest):
            return None if len(page) < MOST_BYTES else -1
        doctype = rest.startswith(b"<!doctype")
        if not doctype and not _comment(rest):
            return at
        end = page.find(b">", at) + 1 if doctype or not rest.startswith(b"<!--") else _comment_end(page, at)
        if not end:
            return -1 if final or len(page) >= MOST_BYTES else None
        if doctype:
            return end
        at = end


def _undecided(rest: bytes) -> bool:
    return b"<!doctype".startswith(rest) or b"<!--".startswith(rest) or rest.startswith(b"<!--") or rest == b"</"


def _comment(rest: bytes) -> bool:
    """Whether a comment starts here, or what the standard calls a bogus one."""
    return rest.startswith((b"<!", b"<?")) or (rest.startswith(b"</") and not rest[2:3].isalpha())


def _comment_end(page: bytes, at: int) -> int:
    """Behind the comment that starts at ``at``; 0 if it is not closed."""
    for empty in (b"<!-->", b"<!--->"):
        if page.startswith(empty, at):
            return at + len(empty)
    ends = [end + len(mark) for mark in (b"-->", b"--!>") if (end := page.find(mark, at + 4)) >= 0]
    return min(ends, default=0)


class Insertion:
    """Puts ``tag`` into a page that comes in pieces."""

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._held: bytearray | None = bytearray()

    def feed(self, piece: bytes) -> bytes:
        """What can be passed on, now that ``piece`` is there."""
        return self._go(piece, final=False)

    def finish(self) -> bytes:
        """What is left when the page has ended."""
        return self._go(b"", final=True)

    def _go(self, piece: bytes, *, final: bool) -> bytes:
        if self._held is None:
            return piece
        self._held += piece
        at = place(bytes(self._held), final=final)
        if at is None:
            return b""
        page, self._held = bytes(self._held), None
        return page if at < 0 else page[:at] + self._tag + page[at:]


def inserted(page: bytes, tag: bytes) -> bytes:
    """The whole page with ``tag`` in it."""
    insertion = Insertion(tag)
    return insertion.feed(page) + insertion.finish()
