"""One request from its first byte to its last: key, body, model, budget, answer, books.

What is spent is on the books before the client sees the last byte, whatever happens to the request: an upstream that
fails, a client that leaves, a stream that is cut. A stream that broke never ends as if it were whole.
"""

import asyncio
import logging
import time

from homespun.serve.gateway import http
from homespun.serve.gateway.endpoints import Endpoint
from homespun.serve.gateway.exchange import Exchange, admit
from homespun.serve.gateway.gateway import Gateway
from homespun.serve.gateway.http import Leaving, Receive, Scope, Send
from homespun.serve.gateway.types import Call, GatewayError, Routed

log = logging.getLogger("homespun.gateway")

QUIET_SECONDS = 5.0
"""A stream that has nothing to say yet says so this often."""


async def handle(gateway: Gateway, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
    """Serves one request of an endpoint that calls models."""
    x = Exchange(gateway, endpoint)
    gateway.at_work += 1
    try:
        if (done := await admit(x, scope, receive)) is not None:
            await _repeat(x, send, done)
            return
        with Leaving(receive) as leaving:
            try:
                await (_stream(x, send) if x.stream else _whole(x, send))
            except asyncio.CancelledError:
                x.settle(499, "cancelled", "the client left" if leaving.happened else "the server stopped")
                if not leaving.happened:
                    raise
    except GatewayError as error:
        x.settle(error.status, "error", error.message)
        await _refuse(x, send, error)
    except Exception:
        log.exception("request %s failed", x.id)
        error = GatewayError(500, f"The gateway failed; its log tells more under {x.id}.", kind="server_error")
        x.settle(500, "error", "unexpected")
        await _refuse(x, send, error)
    finally:
        gateway.at_work -= 1
        if x.claimed is not None:
            await x.release()


async def _refuse(x: Exchange, send: Send, error: GatewayError) -> None:
    if x.started_sending:  # too late for a status: the stream tells
        await http.finish(send, x.writer.fail(error))
        return
    await http.answer(send, error.status, x.endpoint.error(error), [*http.error_headers(error), *x.identity()])


async def _repeat(x: Exchange, send: Send, body: bytes) -> None:
    """The answer that an idempotency key got before; nothing is called and nothing spent."""
    repeated = [(b"x-homespun-replayed", b"true"), *x.identity()]
    if not x.stream:
        await http.answer(send, 200, body, repeated)
        return
    await http.start(send, 200, [*http.EVENTS, *repeated])
    await http.finish(send, body)


async def _whole(x: Exchange, send: Send) -> None:
    if not await x.recall():
        x.routed = await _ask(x)
    assert x.routed is not None
    body = x.endpoint.write(x.routed.reply, x.body)
    x.settle(200, "ok")
    if x.place is not None or x.claimed is not None:
        await x.keep(body)
    await http.answer(send, 200, body, x.headers())


async def _stream(x: Exchange, send: Send) -> None:
    if not await x.recall():
        x.routed = await (_patiently(x, send) if x.dial is not None else _ask(x))
    assert x.routed is not None
    assert x.routed.reply.events is not None
    events = x.routed.reply.events
    x.first_byte = time.perf_counter()
    try:
        if not x.started_sending:
            x.started_sending = True
            await http.start(send, 200, [*http.EVENTS, *x.headers()])
        async for event in events:
            x.hear(event)
            if data := x.writer.feed(event):
                await http.write(send, x.note(data))
    except GatewayError as error:
        x.settle(200, "cut", error.message)
        await http.finish(send, x.writer.fail(error))
        return
    finally:
        await events.aclose()
    x.settle(200, "ok")
    last = x.note(x.writer.end(x.nanodollars))
    if x.place is not None or x.claimed is not None:
        await x.keep(b"".join(x.sent or ()))
    await http.finish(send, last)


async def _patiently(x: Exchange, send: Send) -> Routed:
    """Asks, and keeps the line alive while a cascade makes up its mind."""
    work = asyncio.ensure_future(_ask(x))
    try:
        while not (await asyncio.wait({work}, timeout=QUIET_SECONDS))[0]:
            if not x.started_sending:
                x.started_sending = True
                await http.start(send, 200, [*http.EVENTS, *x.identity()])
            await http.write(send, http.KEEP_ALIVE)
        return work.result()
    finally:
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def _ask(x: Exchange) -> Routed:
    gateway = x.gateway
    if x.ask is not None:
        x.ask.previous, x.ask.budget = await x.previous(), x.budget
        routed = await gateway.switchboard.answer(x.ask, x.attempts)
        if x.conversation is not None:
            gateway.conversations.put(x.conversation, routed.reply.target)
        return routed
    call = Call(
        path=x.endpoint.path,
        body=x.upstream_body,
        stream=x.stream,
        deadline=time.monotonic() + gateway.config.timeouts.total,
        purpose=x.endpoint.purpose,
        problem=x.problem,
        budget=x.budget,
        covers=x.target,
    )
    reply = await gateway.fleet.call(x.target, call, x.attempts)
    return Routed(reply, "single", list(dict.fromkeys(attempt.target for attempt in x.attempts)))
