"""Paths of URLs and patterns of robots files, brought into one spelling before they are compared.

RFC 9309, section 2.2.2: octets outside ASCII are percent-encoded, and an encoded octet that is unreserved (RFC 3986,
section 2.3) is decoded. ``*`` and ``$`` are special in a pattern only, so that a URL's own are encoded, as the RFC's
section 2.2.3 has it. The paper's parser (protego) spells otherwise: `paper_path` and `paper_pattern` say how.
"""

import re
from urllib.parse import quote, unquote_to_bytes, urlsplit

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9\-._~/=&?+,:;@!'()]*\Z")
_PLAIN_PATTERN = re.compile(r"[A-Za-z0-9\-._~/=&?+,:;@!'()*]*\$?\Z")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})?")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_OUTSIDE = re.compile(r"[^\x21-\x7e]")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PAPER_QUOTED = re.compile(r"/(?!/)[A-Za-z0-9_.~/=-]*\Z")
_PAPER_PATTERN = re.compile(r"[A-Za-z0-9_.~/=*-]*\$?\Z")
_IGNORED = {kept: frozenset(f"{ord(char):02X}" for char in kept) for kept in ("/%", "/%*")}
_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//[^/?#]*")


def path_of(url: str) -> str:
    """Path and query of a URL, as it is written; ``/`` where there is none. The fragment does not count."""
    at = _URL.match(url)
    rest = url[at.end() :] if at else url
    rest = rest.partition("#")[0]
    return rest if rest.startswith("/") else f"/{rest}"


def rfc_path(path: str) -> str:
    """A path in the spelling that rules are compared in."""
    if _PLAIN_PATH.match(path):
        return path
    return _spelled(path).replace("*", "%2A").replace("$", "%24")


def rfc_pattern(pattern: str) -> str:
    """A rule's pattern in the same spelling: ``*`` stays a wildcard, a last ``$`` the end of the path."""
    if _PLAIN_PATTERN.match(pattern):
        return pattern
    body, anchor = (pattern[:-1], "$") if pattern.endswith("$") else (pattern, "")
    return _spelled(body).replace("$", "%24") + anchor


def paper_path(url: str) -> str:
    """Path and query as protego compares them: everything that may be decoded is, then encoded anew."""
    path = path_of(url)
    if _PAPER_QUOTED.match(path):
        return path
    parts = urlsplit(f"//host{path}")  # it drops tabs and line breaks, and whatever the host is, it is none of ours
    path = f"{parts.path}?{parts.query}" if "?" in path else parts.path
    path = _requoted(path, "/%", "/%=")
    return path if path.startswith("/") else f"/{path}"


def paper_pattern(pattern: str) -> str:
    """A pattern as protego compares it."""
    if _PAPER_PATTERN.match(pattern):
        return pattern
    if pattern.startswith(("https://", "http://")):
        pattern = f"/{pattern}"
    body, anchor = (pattern[:-1], "$") if pattern.endswith("$") else (pattern, "")
    return _requoted(body, "/%*", "/%*=") + anchor


def _spelled(text: str) -> str:
    text = _OUTSIDE.sub(lambda found: quote(found[0], safe="", errors="replace"), text)
    return _ESCAPE.sub(_one_escape, text)


def _one_escape(found: re.Match[str]) -> str:
    char = chr(int(found[1], 16))
    return char if char in _UNRESERVED else found[0].upper()


def _requoted(text: str, kept: str, safe: str) -> str:
    """Escapes are decoded except those of ``kept``; then everything is encoded except ``safe``."""
    ignored = _IGNORED[kept]

    def hidden(found: re.Match[str]) -> str:
        code = (found[1] or "").upper()
        return f"%25{code}" if not code or code in ignored else found[0]

    # What must stay an escape has its percent sign encoded, so that decoding gives the escape back.
    return quote(unquote_to_bytes(_PERCENT.sub(hidden, text)).decode("utf-8", "replace"), safe=safe)
