"""An upstream that misbehaves as its caller's message says, and counts what it would bill; run as a process.

The last message is ``MODE NUMBER``. ``GET /count`` tells, per message, how often it was asked and what that costs at a
dollar per million tokens in and two out.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from aiohttp import web

CALLS: Counter[str] = Counter()
BILLED: Counter[str] = Counter()
GIVEN, MADE = 20, 10


def whole(text: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "stub",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": GIVEN, "completion_tokens": MADE, "total_tokens": GIVEN + MADE},
    }


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return (
        b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
    )


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    message = body["messages"][-1]["content"]
    mode = message.partition(" ")[0]
    CALLS[message] += 1
    match mode:
        case "429":
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0"})
        case "500" | "once500" if mode == "500" or CALLS[message] == 1:
            return web.json_response({"error": {"message": "broken"}}, status=500)
        case "400":
            return web.json_response({"error": {"message": "bad field", "code": "bad"}}, status=400)
        case "hang":
            await asyncio.sleep(60)
        case "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        case "garbage":
            return web.Response(text="{not json", content_type="application/json")
        case "slow":
            await asyncio.sleep(0.3)
    if body.get("stream"):
        return await stream(request, body, mode, message)
    reply = whole(f"echo {message}")
    if mode == "usage":
        reply["usage"] = {"prompt_tokens": -5, "completion_tokens": "many"}
    else:
        BILLED[message] += GIVEN + 2 * MADE
    return web.json_response(reply)


async def stream(request: web.Request, body: dict[str, Any], mode: str, message: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(chunk({"role": "assistant", "content": ""}))
    for number in range(5):
        await response.write(chunk({"content": f"{number} "}))
        if mode in ("drip", "slow"):
            await asyncio.sleep(0.2)
        if mode == "cut" and number == 2:
            assert request.transport is not None
            request.transport.abort()
            return response
    await response.write(chunk({}, "stop"))
    BILLED[message] += GIVEN + 2 * MADE
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": GIVEN, "completion_tokens": MADE, "total_tokens": GIVEN + MADE}
        await response.write(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


async def count(_: web.Request) -> web.Response:
    return web.json_response({"calls": CALLS, "microdollars": BILLED})


async def main() -> None:
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/count", count)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
