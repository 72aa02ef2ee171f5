"""HTTP answers as WARC records hold them: status, headers, and a body out of its transfer and content codings."""

import re
import zlib
from io import BytesIO
from typing import NamedTuple

from homespun.corpus.read.settings import Limits
from homespun.corpus.read.streams import BrokenError

VERSIONS = ("HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3")
_END = re.compile(rb"\r?\n\r?\n")
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Answer(NamedTuple):
    """A page as it was sent."""

    content: bytes
    content_type: str
    robots: str | None
    """``X-Robots-Tag``."""


def answered(block: bytes, limits: Limits) -> Answer:
    """Takes an HTTP answer apart.

    Args:
        block: A record's body, no longer than a document.
        limits: Bounds of headers and of what the body becomes.

    Raises:
        BrokenError: it is none, its status is not 200, its body is broken, or becomes too long.
    """
    from homespun.corpus.read.warc import parsed

    end = _END.search(block, 0, limits.header_bytes)
    if end is None:
        raise BrokenError("bad_warc", f"no HTTP headers within {min(limits.header_bytes, len(block))} bytes")
    head = parsed(block[: end.start()] + b"\r\n", VERSIONS)
    status = head.statusline.strip().partition(" ")[0]
    if status != "200":
        raise BrokenError("status", status)
    body = block[end.end() :]
    if "chunked" in (head.get_header("Transfer-Encoding") or "").lower():
        body = _joined(body)
    for coding in reversed((head.get_header("Content-Encoding") or "").lower().split(",")[:4]):
        body = _unpacked(body, coding.strip(), limits)
    return Answer(body, head.get_header("Content-Type") or "", head.get_header("X-Robots-Tag"))


def _joined(body: bytes) -> bytes:
    """The body of a chunked answer; one that only says so is itself, as crawlers write it."""
    from warcio.bufferedreaders import ChunkedDataReader

    return ChunkedDataReader(BytesIO(body), decomp_type=None).read()


def _unpacked(body: bytes, coding: str, limits: Limits) -> bytes:
    """A body inflated; one that only says that it is packed is itself."""
    if coding in ("", "identity"):
        return body
    if coding not in _WINDOWS:
        raise BrokenError("bad_compression", f"Content-Encoding {coding}")
    if coding != "deflate" and not body.startswith(b"\x1f\x8b"):
        return body
    for window in (_WINDOWS[coding], -zlib.MAX_WBITS):  # "deflate" is sent with and without zlib's frame
        inflater = zlib.decompressobj(window)
        try:
            content = inflater.decompress(body, limits.document_bytes + 1)
        except zlib.error as error:
            if coding == "deflate" and window > 0:
                continue
            raise BrokenError("bad_compression", str(error)) from error
        if len(content) > limits.document_bytes:
            bomb = len(content) > limits.inflate_ratio * len(body)
            raise BrokenError("bomb" if bomb else "too_long", f"{len(body)} bytes become more than {len(content) - 1}")
        if not inflater.eof:
            raise BrokenError("truncated", f"{len(content)} bytes of the packed body")
        return content
    return body
