"""A scripted upstream on loopback: says what its mode tells it to, counts every call and what it would bill.

The mode is the header ``x-mode``, else the model's name. ``500*2`` fails twice under that name and is ``ok`` after;
``random`` draws a mode from `Faulty.faults` with a probability of `Faulty.rate`.
"""

import asyncio
import datetime
import ipaddress
import json
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ANSWER = "Plain cloth lasts."
INPUT, OUTPUT = 12, 5
"""Tokens of every ordinary answer."""
USAGE = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
WRONG_USAGE: dict[str, Any] = {
    "usage-negative": {"prompt_tokens": -1, "completion_tokens": 5},
    "usage-text": {"prompt_tokens": "many", "completion_tokens": 5},
    "usage-absurd": {"prompt_tokens": 10**9, "completion_tokens": 10**9},
    "usage-zero": {"prompt_tokens": 0, "completion_tokens": 0},
    "usage-none": None,
}
RETRYABLE = ("429", "500", "503", "garbage", "not-json", "no-choices", "error-200", "reset", "408")


@dataclass
class Seen:
    """One call that arrived."""

    mode: str
    body: dict[str, Any]
    headers: dict[str, str]
    billed: int = 0
    """Tokens that the stub would charge for."""
    closed_early: bool = False
    port: int = 0
    """Of the caller: the same for calls over one connection."""


@dataclass
class Faulty:
    """The stub: what it saw, and how it misbehaves."""

    url: str = ""
    calls: list[Seen] = field(default_factory=list)
    rate: float = 0.2
    faults: tuple[str, ...] = RETRYABLE
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the end of a test: lets handlers that hang go."""
    left: Counter[str] = field(default_factory=Counter)

    @property
    def modes(self) -> list[str]:
        """Modes of the calls, in order."""
        return [call.mode for call in self.calls]

    def mode(self, request: web.Request, body: dict[str, Any]) -> str:
        """What to do with a request."""
        name = request.headers.get("x-mode") or str(body.get("model"))
        if name == "random":
            return self.rng.choice(self.faults) if self.rng.random() < self.rate else "ok"
        mode, star, times = name.partition("*")
        if star:
            self.left.setdefault(name, int(times))
            self.left[name] -= 1
            return mode if self.left[name] >= 0 else "ok"
        return mode

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any call."""
        body = json.loads(await request.read())
        seen = Seen(self.mode(request, body), body, dict(request.headers))
        seen.port = request.transport.get_extra_info("peername")[1]
        self.calls.append(seen)
        handler = PLAIN.get(seen.mode)
        if handler is not None:
            return await handler(self, request, seen)
        if request.path.endswith("/embeddings"):
            seen.billed = INPUT
            row = {"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}
            usage = {"prompt_tokens": INPUT, "total_tokens": INPUT}
            return web.json_response({"object": "list", "model": "m", "data": [row], "usage": usage})
        if body.get("stream"):
            return await stream(self, request, seen)
        return await whole(self, request, seen)


def completion(message: dict[str, Any], usage: Any, finish: str = "stop") -> dict[str, Any]:
    """A whole answer."""
    body: dict[str, Any] = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "upstream-model",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
    }  # fmt: skip
    return body if usage is None else body | {"usage": usage}


def usage_of(mode: str) -> Any:
    """What the mode says was used."""
    if mode == "cached":
        return {
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
    return WRONG_USAGE.get(mode, USAGE)


async def whole(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
    """An ordinary answer, or one with odd usage, tools, or an echo."""
    if seen.mode == "slow-body":
        await asyncio.wait([asyncio.ensure_future(stub.released.wait())], timeout=0.6)
    seen.billed = INPUT + OUTPUT
    message: dict[str, Any] = {"content": ANSWER}
    if seen.mode == "tools":
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
        message = {"content": None, "tool_calls": [call]}
    if seen.mode == "echo":
        message = {"content": json.dumps(seen.body)}
    return web.json_response(completion(message, usage_of(seen.mode)))


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """One event of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model"}
    return b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n"


def deltas(mode: str) -> list[dict[str, Any]]:
    """What a stream says."""
    if mode == "tools":
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
        rest = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"a"', ":1}")]
        return [{"role": "assistant", "content": None}, *({"tool_calls": [part]} for part in (first, *rest))]
    words = ANSWER.split(" ")
    return [
        {"role": "assistant", "content": ""},
        *({"content": word + " "} for word in words[:-1]),
        {"content": words[-1]},
    ]


async def stream(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
    """The same as events, perhaps cut, silent or with an error among them."""
    mode = seen.mode
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    if mode == "slow":
        await asyncio.wait([asyncio.ensure_future(stub.released.wait())], timeout=5)
    await response.prepare(request)
    if mode == "empty":
        return response
    seen.billed = INPUT
    pieces = deltas(mode)
    try:
        for number, delta in enumerate(pieces):
            await response.write(chunk(delta))
            seen.billed += 1
            if number == 2 and mode in ("cut", "cut-hard", "stall", "error-event", "trickle"):
                if mode == "cut-hard":
                    request.transport.abort()
                await asyncio.sleep(0.02)
                if mode == "error-event":
                    await response.write(b'data: {"error": {"message": "overloaded sk-1234567890", "code": 529}}\n\n')
                if mode == "stall":
                    await stub.released.wait()
                if mode != "trickle":
                    return response
            if mode == "trickle":
                await asyncio.sleep(0.05)
        if mode == "no-finish":
            return response
        finish = "tool_calls" if mode == "tools" else "stop"
        seen.billed = INPUT + OUTPUT
        await response.write(chunk({}, finish))
        if mode == "abort-after-finish":
            request.transport.abort()
            return response
        if (usage := usage_of(mode)) is not None and seen.body.get("stream_options", {}).get("include_usage"):
            await response.write(chunk(None, usage=usage))
        if mode != "no-done":
            await response.write(b"data: [DONE]\n\n")
        if mode == "late-end":
            await asyncio.sleep(0.03)
    except (ConnectionError, asyncio.CancelledError):
        seen.closed_early = True
        raise
    return response


Handler = Callable[[Faulty, web.Request, Seen], Awaitable[web.StreamResponse]]


def status(number: int, message: str = "scripted", headers: dict[str, str] | None = None, **fields: Any) -> Handler:
    """An error of OpenAI's form."""

    async def answer(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
        said = message.replace("{key}", request.headers.get("Authorization", ""))
        return web.json_response({"error": {"message": said, **fields}}, status=number, headers=headers)

    return answer


def bytes_of(content: bytes, kind: str = "application/json", *, billed: int = 0) -> Handler:
    """Status 200 with these bytes."""

    async def answer(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
        seen.billed = billed
        return web.Response(body=content, headers={"Content-Type": kind})

    return answer


async def hang(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
    """Never answers."""
    try:
        await stub.released.wait()
    except asyncio.CancelledError:
        seen.closed_early = True
        raise
    return web.Response()


async def reset(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
    """Drops the connection before a byte."""
    request.transport.abort()
    return web.Response()


async def huge(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
    """More bytes than anyone should read."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    block = b" " * 2**20
    for _ in range(40):
        await response.write(block)
    return response


async def redirect(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
    """Sends callers elsewhere."""
    return web.Response(status=307, headers={"Location": f"{stub.url}/elsewhere"})


async def one_key(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
    """Only the key ``good-key`` is accepted, ``tired-key`` gets 429."""
    key = request.headers.get("Authorization", "")
    if key == "Bearer good-key":
        seen.billed = INPUT + OUTPUT
        return web.json_response(completion({"content": ANSWER}, USAGE))
    if key == "Bearer tired-key":
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "30"})
    return web.json_response({"error": {"message": f"Incorrect API key provided: {key}"}}, status=401)


async def tell_key(stub: Faulty, request: web.Request, seen: Seen) -> web.StreamResponse:
    """Repeats the key in an error with status 200."""
    return web.json_response({"error": {"message": f"bad {request.headers.get('Authorization')}"}})


PLAIN: dict[str, Handler] = {
    "429": status(429, "slow down"),
    "429-after": status(429, "slow down", {"Retry-After": "0.05"}),
    "429-long": status(429, "slow down", {"Retry-After": "3600"}),
    "408": status(408), "409": status(409), "500": status(500), "503": status(503),
    "401": status(401, "Incorrect API key: {key}"), "403": status(403),
    "400": status(400, "bad temperature; {key}", type="invalid_request_error", code="bad_value", param="temperature"),
    "404": status(404, "no such model", code="model_not_found"), "422": status(422),
    "context": status(400, "maximum context length is 10 tokens", code="context_length_exceeded"),
    "policy": status(400, "flagged", code="content_policy_violation"),
    "garbage": bytes_of(b'{"choices": [{"mess'),
    "not-json": bytes_of(b"<html>welcome</html>", "text/html"),
    "no-choices": bytes_of(b'{"id": "x", "choices": []}'),
    "error-200": bytes_of(b'{"error": {"message": "overloaded"}}'),
    "error-at-once": bytes_of(chunk({"content": "Pla"}) + b'data: {"error": "overloaded"}\n\n', "text/event-stream"),
    "hang": hang, "reset": reset, "huge": huge, "redirect": redirect, "one-key": one_key, "tell-key": tell_key,
}  # fmt: skip


async def serve(stub: Faulty, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    """Starts the stub on a free port; its URL is then known."""
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/{rest:.*}", stub.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    stub.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1"
    return runner


def certificate(folder: Path, *, days: int = 30, address: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own making, and the file that makes it trusted.

    Args:
        folder: Where to write.
        days: Until it expires, from now; negative: since when it has.
        address: For which it is good.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "faulty")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60)).not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    (folder / "server.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context, folder / "ca.pem"
