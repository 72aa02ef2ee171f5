"""IP addresses that are somebody's: unicast addresses of the public internet, versions 4 and 6.

The released pattern replaces every dotted quad, also private networks and version numbers. Here what the IANA's
registries of special-purpose addresses name stays, and so do four numbers that a text calls a version, a section or
an object identifier.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from itertools import chain

from homespun.personal.spans import Span

# The tables are ours, not `ipaddress.is_global`, whose answer depends on the version of Python.
_RESERVED_4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    "224.0.0.0/3",
)
_SPECIAL_4 = [(int(net.network_address), int(net.broadcast_address)) for net in map(ip_network, _RESERVED_4)]
_UNICAST_6 = IPv6Network("2000::/3")
_SPECIAL_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
_EMBEDDED_6 = ((IPv6Network("::ffff:0:0/96"), 0), (IPv6Network("64:ff9b::/96"), 0), (IPv6Network("2002::/16"), 80))
"""Networks whose addresses hold one of version 4, and by how many bits it is shifted."""

_QUAD = re.compile(r"(?<![A-Za-z0-9_.])(?<![0-9]-)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![A-Za-z0-9_]|\.\w|-[0-9])")
_GROUPS = re.compile(
    r"(?<![A-Za-z0-9_:.])(?:[0-9A-Fa-f]{1,4}:|::)[0-9A-Fa-f:]{1,38}(?:(?<=:)(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![A-Za-z0-9_:]|\.\w)"
)
_VERSION = re.compile(
    r"(?:(?:\b(?:v|ver|vers|rev|rel|versions?|versión|versione|versie|versão|wersja|"
    r"verzia|verze|версия|versio|"  # spellchecker:disable-line
    r"release|revision|build|firmware|update|patch|kernel|driver|section|sections|sec|chapter|clause|article|art|"
    r"figure|fig|table|paragraph|para|appendix|annex|oid|abschnitt|kapitel|ziffer|chapitre)|バージョン|版本)"
    r"[\s.:=#(\"'-]{0,3}|§\s{0,2}|[A-Za-z]/|[=<>]=\s{0,2}|[~^])\Z",
    re.IGNORECASE,
)
_HEADING = re.compile(r"(?:^|\n)[\s#*>(-]{0,8}\Z")
_TITLE = re.compile(r"[.:]?[ \t]{1,4}[^\W\d_]")
HINT = (
    r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:|"
    r":[fF]{4}:[0-9A-Fa-f]|[fF]{2}9[bB]::[0-9A-Fa-f]"
)
"""A text without this holds no address; for a fast first look."""


def public(address: str) -> bool:
    """Whether an address is one of the public internet's, and so perhaps a person's.

    Args:
        address: Of version 4 or 6, as it is written; what is none is not public.
    """
    try:
        return _public_6(IPv6Address(address)) if ":" in address else _public_4(int(IPv4Address(address)))
    except ValueError:
        return False


def _public_4(number: int) -> bool:
    return not any(first <= number <= last for first, last in _SPECIAL_4)


def _public_6(address: IPv6Address) -> bool:
    for network, shift in _EMBEDDED_6:
        if address in network:
            return _public_4(int(address) >> shift & 0xFFFFFFFF)
    return address in _UNICAST_6 and not any(address in network for network in _SPECIAL_6)


def addresses(text: str) -> Iterator[Span]:
    """Public addresses, from left to right."""
    six = list(_version_6(text))
    taken = {at for span in six for at in range(span.start, span.stop)}
    four = (span for span in _version_4(text) if span.start not in taken)
    yield from sorted(chain(six, four))


def _version_4(text: str) -> Iterator[Span]:
    for found in _QUAD.finditer(text):
        if public(found[0]) and not _numbered(text, found):
            yield Span(found.start(), found.end(), found[0])


def _version_6(text: str) -> Iterator[Span]:
    for found in _GROUPS.finditer(text):
        written = found[0].rstrip(":") if found[0].endswith(":") and not found[0].endswith("::") else found[0]
        try:
            address = IPv6Address(written)
        except ValueError:
            continue
        few = address in _UNICAST_6 and sum(map(bool, written.split(":"))) < 3  # "2000::2" is rather a slice
        if not few and _public_6(address):
            yield Span(found.start(), found.start() + len(written), address.compressed)


def _numbered(text: str, found: re.Match[str]) -> bool:
    """Whether four numbers are a version, a section or the like by what stands before or after them."""
    start = found.start()
    if _VERSION.search(text[max(0, start - 24) : start]):
        return True
    small = all(int(part) < 40 for part in found[0].split("."))
    titled = _TITLE.match(text, found.end()) is not None
    return small and titled and _HEADING.search(text[max(0, start - 12) : start]) is not None
