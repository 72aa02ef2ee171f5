"""Hosts, normalised: what robots files are looked up by.

The released code looks a URL's netloc up as it stands, and so misses ``WWW.``, ports and dots at the end. Here a host
is in lower case, in IDNA's ASCII form, without user, default port or last dot; where it has no file of its own, the
one of the same name with or without ``www.`` counts.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

Found = TypeVar("Found")
_AUTHORITY = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?//([^/?#]*)")
_DEFAULT = {"http": "80", "https": "443"}


@lru_cache(1 << 16)
def _ascii(name: str) -> str:
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def host_of(url: str) -> str:
    """The normalised host of a URL, with its port unless that is the scheme's own; empty where there is none."""
    found = _AUTHORITY.match(url)
    if found is None:
        return ""
    return normalised(found[2], found[1] or "http")


def normalised(authority: str, scheme: str = "http") -> str:
    """The same for the authority alone: ``user@Host:port``."""
    name = authority.rpartition("@")[2].lower()
    host, colon, port = name.rpartition(":")
    if not colon or not port.isdigit() or name.endswith("]"):
        host, port = (name.removesuffix(":") if not name.endswith("]") else name), ""
    host = _ascii(host.rstrip("."))
    return host if not port or port == _DEFAULT.get(scheme.lower()) else f"{host}:{port}"


def look_up(table: Mapping[str, Found], host: str) -> Found | None:
    """A host's entry, or that of its twin with or without ``www.``."""
    if host in table:
        return table[host]
    return table.get(host[4:] if host.startswith("www.") else f"www.{host}")
