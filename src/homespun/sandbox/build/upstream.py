"""Fetches from the registries, and from nowhere else: no redirect, no private address, no header of the job's."""

import asyncio
import hashlib
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from homespun.sandbox.build.index import Index, Malformed, Remote, read_npm, read_pypi
from homespun.sandbox.build.registries import Registries
from homespun.sandbox.build.routes import Asked, Refused

MOST_INDEX_BYTES = 64 << 20
BLOCK = 1 << 16
_PYPI_KINDS = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
_NPM_KINDS = "application/vnd.npm.install-v1+json, application/json;q=0.5"
_STATUS = {404: 404, 410: 404}


class GuardedResolver(AbstractResolver):
    """Resolves as the system does, but gives only public addresses for hosts that the user did not name."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of ``host``.

        Raises:
            OSError: it has none, or none that is allowed.
        """
        found = await self._system.resolve(host, port, family)
        if self._registries.trusted(f"https://{host}:{port}") or self._registries.trusted(f"http://{host}:{port}"):
            return found
        allowed = [row for row in found if ip_address(row["host"]).is_global]
        if not allowed:
            raise OSError("no public address")
        return allowed

    async def close(self) -> None:
        """Nothing is left open."""
        await self._system.close()


class Upstream:
    """The registries, as the proxy sees them.

    Args:
        registries: Where they are.
        base: Address of the npm half of our proxy, as the job sees it.
        index_seconds: Longest wait for a page.
        file_seconds: Longest wait for a file.
        file_bytes: Largest file.
    """

    def __init__(
        self,
        registries: Registries,
        base: str,
        *,
        index_seconds: float = 20.0,
        file_seconds: float = 120.0,
        file_bytes: int = 200 << 20,
    ) -> None:
        self._registries, self._base = registries, base
        self._index_seconds, self._file_seconds, self.file_bytes = index_seconds, file_seconds, file_bytes
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=GuardedResolver(registries), limit=16),
            headers={"User-Agent": "homespun"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
        )

    @classmethod
    async def open(cls, registries: Registries, base: str) -> "Upstream":
        """One for the running loop."""
        return cls(registries, base)

    async def close(self) -> None:
        """Ends every connection."""
        await self._session.close()

    async def index(self, asked: Asked) -> Index:
        """What the registry says of a package.

        Raises:
            Refused: 404 if it knows none, 502 if it answers wrongly, 504 if it does not answer in time.
        """
        if asked.kind == "python":
            url, kinds = f"{self._registries.pypi.rstrip('/')}/{asked.name}/", _PYPI_KINDS
        else:
            url, kinds = f"{self._registries.npm.rstrip('/')}/{quote(asked.name, safe='@')}", _NPM_KINDS
        content = bytearray()
        kind = await self._get(url, kinds, self._index_seconds, MOST_INDEX_BYTES, content.extend)
        try:
            if asked.kind == "python":
                return read_pypi(asked.name, bytes(content), kind, url)
            return read_npm(asked.name, bytes(content), self._base)
        except Malformed as error:
            raise Refused(502, str(error)) from error

    async def file(self, remote: Remote, place: Path) -> None:
        """Fetches a file to ``place``, and checks its hash.

        Raises:
            Refused: as for a page; 413 if it is too large, 502 if it is not the file that the page promised.
        """
        digest = hashlib.new(remote.algorithm)
        with place.open("wb") as file:

            def take(block: bytes) -> None:
                digest.update(block)
                file.write(block)

            await self._get(remote.url, "*/*", self._file_seconds, self.file_bytes, take)
        if digest.hexdigest() != remote.digest:
            raise Refused(502, "the file does not have the hash that its index names")

    async def _get(self, url: str, kinds: str, seconds: float, most: int, take: Callable[[bytes], Any]) -> str:
        """Gives the body to ``take``, block by block; returns its content type."""
        address, auth = self._checked(url)
        headers = {"Accept": kinds}
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.get(address, auth=auth, headers=headers, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise Refused(_STATUS.get(answer.status, 502), f"the registry answered {answer.status}")
                left = most
                if (answer.content_length or 0) > most:
                    raise Refused(413, f"larger than {most / (1 << 20):g} MiB")
                async for block in answer.content.iter_chunked(BLOCK):
                    left -= len(block)
                    if left < 0:
                        raise Refused(413, f"larger than {most / (1 << 20):g} MiB")
                    take(block)
                return answer.content_type
        except TimeoutError as error:
            raise Refused(504, "the registry did not answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Refused(502, "the registry could not be reached") from error

    def _checked(self, url: str) -> tuple[str, aiohttp.BasicAuth | None]:
        """The address without its password, and the password; only for where the user named it does one go out."""
        parts = urlsplit(url)
        trusted = self._registries.trusted(url)
        if not trusted and (parts.scheme != "https" or _is_address(parts.hostname or "") or parts.username):
            raise Refused(403, "the index names a file at a place that is not allowed")
        known = self._registries.password(url)
        auth = aiohttp.BasicAuth(*known) if known else None
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, "")), auth


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
