"""WebSockets between a visitor and an app: message by message, either side gone takes the other with it."""

import asyncio
import re

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from multidict import CIMultiDict
from yarl import URL

from homespun.sandbox.apps.limits import Limits

_PROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_SENDABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, *range(3000, 5000)))
"""Codes that may stand in a close frame (RFC 6455, 7.4)."""
_Either = ClientWebSocketResponse | web.WebSocketResponse


async def join(
    session: aiohttp.ClientSession,
    url: URL,
    request: web.BaseRequest,
    sent: CIMultiDict[str],
    headers: dict[str, str],
    limits: Limits,
) -> web.StreamResponse:
    """Opens the app's side first, so that a refusal is still an HTTP answer, then the visitor's; ends with either.

    Raises:
        aiohttp.ClientError: the app refused.
        TimeoutError: it did not answer.
    """
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    async with asyncio.timeout(limits.answer_seconds):
        inner = await session.ws_connect(
            url,
            headers=sent,
            protocols=[name for name in offered if _PROTOCOL.fullmatch(name)],
            max_msg_size=limits.message_bytes,
            compress=0,
        )
    outer = web.WebSocketResponse(
        protocols=(inner.protocol,) if inner.protocol else (),
        max_msg_size=limits.message_bytes,
        heartbeat=30.0,
        compress=False,
    )
    outer.headers.update(headers)
    try:
        await outer.prepare(request)
        pumps = [asyncio.create_task(_pump(outer, inner)), asyncio.create_task(_pump(inner, outer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
    finally:
        await inner.close()
        await outer.close()
    return outer


async def _pump(source: _Either, sink: _Either) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        else:
            break
    code = source.close_code or 1000
    await sink.close(code=code if code in _SENDABLE else 1001)
