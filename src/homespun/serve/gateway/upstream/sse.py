"""Server-sent events out of chunks that are cut anywhere (WHATWG HTML, section 9.2: event stream interpretation)."""

from homespun.serve.gateway.upstream.failure import Failed

MOST_EVENT_BYTES = 16 * 2**20
"""A longer event is refused."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventParser:
    """Gives the ``data`` field of each event as soon as its closing blank line is there.

    Line ends may be LF, CRLF or CR; comments and other fields are skipped; several ``data`` lines are joined by LF.
    An event that nothing closes is no event: the stream was cut within it.
    """

    __slots__ = ("_data", "_pending", "_start", "most")

    def __init__(self, most: int = MOST_EVENT_BYTES) -> None:
        self.most = most
        self._pending = b""
        self._data: list[bytes] = []
        self._start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that these bytes complete.

        Raises:
            Failed: garbage; an event is larger than ``most``.
        """
        text = self._pending + chunk if self._pending else chunk
        if self._start:
            text = self._without_mark(text)
        kept = b""
        if b"\r" in text:
            if text[-1:] == b"\r":  # half of a CRLF, or a CR: the next byte tells
                kept, text = b"\r", text[:-1]
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._pending = rest + kept
        found: list[bytes] = []
        for line in lines:
            self._take(line, found)
        if len(self._pending) + sum(map(len, self._data)) > self.most:
            raise Failed("garbage", f"an event of the stream is larger than {self.most} bytes", then="elsewhere")
        return found

    def _without_mark(self, text: bytes) -> bytes:
        """The text without a byte order mark, which may stand at the start of a stream."""
        if not BYTE_ORDER_MARK.startswith(text):
            self._start = False
        return text.removeprefix(BYTE_ORDER_MARK) if len(text) >= 3 else text

    def _take(self, line: bytes, found: list[bytes]) -> None:
        if not line:
            if self._data:
                found.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data = []
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._data.append(b"")

    def last(self) -> bytes | None:
        """At the end of the stream: an event that is whole but for its closing blank line, if there is one.

        The standard drops it; some servers end with ``data: [DONE]`` and no blank line, and that one counts.
        """
        line = self._pending.rstrip(b"\r")
        self._pending = b""
        found: list[bytes] = []
        if line:
            self._take(line, found)
        return self._data[0] if len(self._data) == 1 and self._data[0] == b"[DONE]" else None
