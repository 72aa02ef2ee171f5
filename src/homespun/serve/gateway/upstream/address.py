"""Where an upstream may lie: addresses that are refused, looked at when a name is resolved for a connection.

Only URLs of the settings are ever called. A name may still lead into the machine's own network, today or after its
owner changes it, so that every address of every connection is checked, not the URL alone.
"""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from homespun.errors import ConfigError
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.upstream.failure import Failed

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
"""Metadata services of clouds (AWS, GCP and most others; AWS over IPv6; Alibaba; Azure; Oracle)."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")
FORBIDDEN_FIELDS = frozenset({"api_base", "base_url", "api_key", "extra_headers"})
"""Fields by which clients of other gateways choose where a request goes and who pays."""


def plain(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 address stands for (mapped, compatible, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and (address in NAT64 or (int(address) >> 32 == 0 and int(address) > 1)):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address if inner is None else inner


def objection(text: str, *, private: bool) -> str | None:
    """Why an address must not be connected to; ``None`` if it may."""
    try:
        address = plain(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return "is no address"
    if address in METADATA or address.is_link_local:
        return "is an address of link-local or metadata services"
    if address.is_multicast or address.is_unspecified or (address.version == 4 and address.is_reserved):
        return "is no address of one machine"
    if not address.is_global and not private:
        return "is private; private = true allows it"
    return None


def literal(host: str) -> str | None:
    """The address that a host spells without a name, odd spellings (decimal, octal, hexadecimal) included."""
    bare = host.strip("[]")
    try:
        return str(ipaddress.ip_address(bare.partition("%")[0]))
    except ValueError:
        pass
    try:  # the spellings that the C library reads as an IPv4 address: 2130706433, 0177.1, 0x7f000001
        return socket.inet_ntoa(socket.inet_aton(bare))
    except OSError:
        return None


def check_url(target: Target, host: str) -> None:
    """Refuses a URL that spells a refused address.

    Raises:
        ConfigError: with the target's name.
    """
    found = literal(host)
    why = objection(found, private=target.private) if found else None
    if why is None and host.rstrip(".").lower() == "localhost" and not target.private:
        why = "is private; private = true allows it"
    if why is not None:
        raise ConfigError(f"{host} {why}", f"target {target.name!r}, url", "the address of a model's endpoint")


class GuardedResolver(AbstractResolver):
    """Resolves names and refuses those of which any address is refused."""

    def __init__(self, name: str, *, private: bool) -> None:
        self._name, self._private = name, private
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of a host, all of them allowed.

        Raises:
            Failed: one is refused.
        """
        found = await self._resolver.resolve(host, port, family)
        for entry in found:
            if (why := objection(entry["host"], private=self._private)) is not None:
                what = f"{self._name}: {host} leads to an address that {why}"
                raise Failed("refused", what, then="elsewhere", faulty=False)
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._resolver.close()


def refuse_fields(body: Mapping[str, Any]) -> None:
    """Refuses a request that says where to send it or with which key.

    Dropping the field would send the text somewhere else than its author asked for; passing it on would let an
    upstream that is a gateway itself honour it. So the request is refused.

    Raises:
        Failed: 400, names the field.
    """
    if not FORBIDDEN_FIELDS.isdisjoint(body):
        field = min(FORBIDDEN_FIELDS.intersection(body))
        what = f"The field {field!r} is not accepted: the gateway's settings say where requests go. Leave it out."
        error = Failed("refused", what, status=400, code="field_not_accepted", then="final", faulty=False)
        error.kind, error.param = "invalid_request_error", field
        raise error
