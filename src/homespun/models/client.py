"""One request to a chat-completions endpoint, over one aiohttp session: a completion comes back, or why not.

A server is not trusted: bodies are capped, redirects are not followed (the key would travel with them), and a stream
that is cut is a failure. The key lives in one header; it is in no text that this module produces.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from homespun.errors import ConfigError
from homespun.models import wire

RETRYABLE = (408, 409, 429)


@dataclass(frozen=True, kw_only=True)
class OpenAIConfig:
    """How to call an endpoint."""

    connect: float = 10.0
    """Seconds until the connection stands."""
    first_token: float = 60.0
    """Seconds until the first event of a stream."""
    total: float = 300.0
    """Seconds for one whole call."""
    stream: bool = False
    """Whether to ask for a stream, which alone makes ``first_token`` count."""
    top_logprobs: int = 0
    """Most likely tokens to ask for at each position, where the sampling asks for log-probs."""
    max_bytes: int = 16 * 2**20
    """Bytes of a response that are read at most."""


class Failed(NamedTuple):
    """Why a call gave no completion, and what is known to have been used by it."""

    reason: str
    status: int | None = None
    retryable: bool = False
    retry_after: float | None = None
    output: str | None = None
    """Text that arrived before the call failed; ``None`` if it was surely not billed."""


class ChatClient:
    """Posts bodies to ``<url>/chat/completions``.

    Raises:
        ConfigError: a URL or key that cannot be used.
    """

    def __init__(self, url: str, key: str, config: OpenAIConfig) -> None:
        self.config = config
        self._url, self._key = _checked_url(url), _checked_key(key)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"ChatClient({self._url!r})"

    async def close(self) -> None:
        """Closes the session; the next request opens another."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(RuntimeError):  # its event loop may be gone already, and its connections with it
                await session.close()

    async def complete(self, body: dict[str, Any]) -> wire.Completion | Failed:
        """One request; whatever goes wrong is a `Failed`."""
        outcome = await self._attempt(body)
        if isinstance(outcome, Failed) and self._key:
            return outcome._replace(reason=outcome.reason.replace(self._key, "[key]"))
        return outcome

    async def _attempt(self, body: dict[str, Any]) -> wire.Completion | Failed:
        reader = wire.StreamReader()
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limit = _Deadline(self.config, bool(body.get("stream")))
        try:
            session = await self._open()
            async with (
                asyncio.timeout(limit.seconds) as timer,
                session.post(
                    f"{self._url}/chat/completions", json=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    return await self._refusal(response)
                if response.content_type == "text/event-stream":
                    return await self._stream(response, reader, limit, timer)
                content = await self._read(response)
                outcome = wire.read_completion(content) if isinstance(content, bytes) else content
                return Failed(outcome.reason, 200, output="") if isinstance(outcome, wire.Broken) else outcome
        except aiohttp.ConnectionTimeoutError:
            return Failed(f"no connection within {self.config.connect:g} s", retryable=True)
        except TimeoutError:
            return Failed(limit.reason, retryable=True, output=reader.text)
        except aiohttp.ClientConnectorError as error:
            return Failed(f"cannot connect: {error.strerror or error}", retryable=True)
        except (aiohttp.ClientError, OSError) as error:
            return Failed(f"the connection broke: {type(error).__name__} {error}", retryable=True, output=reader.text)

    async def _stream(
        self,
        response: aiohttp.ClientResponse,
        reader: wire.StreamReader,
        limit: "_Deadline",
        timer: asyncio.Timeout,
    ) -> wire.Completion | Failed:
        size = 0
        async for line in read_lines(response.content.iter_any(), self.config.max_bytes):
            size += len(line)
            if size > self.config.max_bytes:
                return Failed(f"the stream is larger than {self.config.max_bytes} bytes", 200, output=reader.text)
            reader.feed(line)
            if reader.started:
                limit.extend(timer)
            if reader.done:
                break
        outcome = reader.result()
        if isinstance(outcome, wire.Broken):
            return Failed(outcome.reason, 200, retryable=outcome.cut, output=reader.text)
        return outcome

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | Failed:
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > self.config.max_bytes:
                return Failed(f"the response is larger than {self.config.max_bytes} bytes", response.status, output="")
        return bytes(content)

    async def _refusal(self, response: aiohttp.ClientResponse) -> Failed:
        content = await self._read(response)
        text = wire.error_text(content) if isinstance(content, bytes) else content.reason
        again = response.status in RETRYABLE or response.status >= 500
        wait = wire.read_retry_after(response.headers.get("Retry-After"))
        return Failed(f"status {response.status}: {text}", response.status, again, wait)

    async def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is not None and self._loop is not loop:
            await self.close()
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.config.connect)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
            self._loop = loop
        return self._session


class _Deadline:
    """The limit of one request: until the first token of a stream, then until its end."""

    def __init__(self, config: OpenAIConfig, stream: bool) -> None:
        self._end = asyncio.get_running_loop().time() + config.total
        self._total = config.total
        self._waiting = stream and config.first_token < config.total
        self.seconds = config.first_token if self._waiting else config.total

    @property
    def reason(self) -> str:
        """Which limit it is that passes now."""
        return f"no first token within {self.seconds:g} s" if self._waiting else f"no end within {self._total:g} s"

    def extend(self, timer: asyncio.Timeout) -> None:
        """The first token is here: what counts from now on is the end."""
        if self._waiting:
            self._waiting = False
            timer.reschedule(self._end)


async def read_lines(chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Lines of a stream, the last one included though nothing ends it; one longer than ``most`` comes in pieces."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > most:
            yield rest
            rest = b""
    if rest:
        yield rest


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{url[:80]!r} is no address of an endpoint", "base URL", "something like http://host:8000/v1"
        )
    if parts.username or parts.password:
        raise ConfigError("the address holds a password", "base URL", "OPENAI_API_KEY in the environment for the key")
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    if not re.fullmatch(r"[!-~]*", key):  # what may stand in a header; never show the key itself
        raise ConfigError("it holds spaces, line ends or characters beyond ASCII", "OPENAI_API_KEY", "the bare key")
    return key
