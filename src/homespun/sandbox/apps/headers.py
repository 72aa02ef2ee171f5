"""Which headers pass between a visitor and an app. Both lists name what may pass, never what may not.

To the app a request looks as if it came from a browser at ``http://localhost``: frameworks compare Host and Origin,
and take the address they build links from out of ``X-Forwarded-Host``. It learns nothing of who visits.

From the app pass the headers that describe its content. A redirect stays on its origin or is refused; a cookie
loses its domain and is kept apart per embedding page. Policies, links, refreshes, reports, alternative services:
none of it passes. A value that is not printable ASCII does not either.
"""

import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from multidict import CIMultiDict

INSIDE = "http://localhost"
"""What an app is told that its own origin is."""
MOST_COOKIES = 32
"""Cookies of one app."""
_TO_APP = frozenset(
    (
        *("accept", "accept-language", "cache-control", "content-type", "content-encoding", "pragma", "user-agent"),
        *("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"),
        *("sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user"),
    )
)
_FROM_APP = frozenset(
    (
        *("accept-ranges", "allow", "content-disposition", "content-language", "content-range", "content-type"),
        *("etag", "last-modified", "retry-after"),
    )
)
_OWN = re.compile(r"x-(?!forwarded|real-ip|client-ip|cluster|original|rewrite|http-method|proxy)[a-z0-9-]{1,60}")
_COOKIE = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128})=([\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{0,4096}|\"[^\"]*\")"
)
_COOKIE_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+@/%-]{0,256}")
_HERE = ("localhost", "127.0.0.1", "0.0.0.0", "[::1]", "::1")


def to_app(given: Mapping[str, str], origin: str, allowed_cookies: Iterable[str]) -> CIMultiDict[str]:
    """The headers of a visitor's request, as its app gets them."""
    sent: CIMultiDict[str] = CIMultiDict()
    for name, value in given.items():
        if (name.lower() in _TO_APP or _OWN.fullmatch(name.lower())) and value.isprintable():
            sent.add(name, value)
    parts = urlsplit(origin)
    sent["Host"] = urlsplit(INSIDE).netloc
    sent["Accept-Encoding"] = "identity"
    sent["X-Forwarded-Host"], sent["X-Forwarded-Proto"] = parts.netloc, parts.scheme
    if given.get("Origin") == origin:
        sent["Origin"] = INSIDE
    cookies = _chosen(given.get("Cookie", ""), frozenset(allowed_cookies))
    if cookies:
        sent["Cookie"] = cookies
    return sent


def _chosen(cookies: str, allowed: frozenset[str]) -> str:
    """Only cookies that the app has set: one that is there for a whole domain is somebody else's."""
    pairs = (pair.strip() for pair in cookies.split(";"))
    return "; ".join(pair for pair in pairs if pair.partition("=")[0] in allowed)


def from_app(given: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers of an app's answer that a visitor gets as they are."""
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in given.items():
        if name.lower() in _FROM_APP and value.isascii() and value.isprintable():
            passed[name] = value
    passed.setdefault("Content-Type", "application/octet-stream")
    passed["Cache-Control"] = "no-store"
    return passed


def cookie(text: str, *, trustworthy: bool) -> tuple[str, str] | None:
    """Name and text of a cookie that is the app's own and nobody else's; None if it makes no sense.

    In a frame a cookie is a third party's: it lives only as ``SameSite=None; Secure; Partitioned``, which also keeps
    it from requests that other sites make. It ends with the browser's session.
    """
    first, *attributes = (part.strip() for part in text.split(";"))
    match = _COOKIE.fullmatch(first)
    if match is None:
        return None
    parts = [first]
    path = "/"
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name == "path" and _COOKIE_PATH.fullmatch(value):
            path = value
        elif name == "httponly":
            parts.append("HttpOnly")
        elif (name == "max-age" and re.fullmatch("0|-[0-9]{1,9}", value)) or (name == "expires" and _past(value)):
            parts.append("Max-Age=0")
    parts += [f"Path={path}", *(("SameSite=None", "Secure", "Partitioned") if trustworthy else ("SameSite=Lax",))]
    return match[1], "; ".join(parts)


def _past(date: str) -> bool:
    try:
        return parsedate_to_datetime(date).year < 2000
    except (ValueError, TypeError):
        return False


def location(text: str, target: str, origin: str) -> str | None:
    """Where a redirect leads on the app's own origin; None if it leads elsewhere.

    Args:
        text: The Location header.
        target: Path and query of the request.
        origin: The app's origin.
    """
    if not text.isascii() or not text.isprintable():
        return None
    try:
        parts = urlsplit(urljoin(INSIDE + target, text.replace("\\", "/")))
        ours = f"{parts.scheme}://{parts.netloc}" == origin or (
            parts.scheme in ("http", "https") and parts.hostname in _HERE and "@" not in parts.netloc
        )
    except ValueError:
        return None
    if not ours:
        return None
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{origin}{parts.path or '/'}{query}{fragment}"
