"""An upstream for the contract tests: answers by what it is asked, and tells back under ``echo`` what it got.

Run as a program it listens on a free port of the loopback and prints it. The last message decides:
``fail 429`` gives that status, ``cut`` breaks a stream in the middle; tools are called where they are offered, a
JSON schema is answered with JSON, and everything else with the words of the message.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from aiohttp import web

JSON = dict[str, Any]
ANSWER = {"city": "Bern", "degrees": 3}
"""What a request for JSON gets."""
ARGUMENTS = '{"place": "Bern", "days": 2}'
"""Arguments of every tool call."""
EMBEDDING = [0.25, -0.5, 1.0]
USAGE: JSON = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "total_tokens": 19,
    "prompt_tokens_details": {"cached_tokens": 4},
}


def _text(body: JSON) -> str:
    content = body["messages"][-1].get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part.get("type") == "text")


def _calls(body: JSON) -> list[JSON]:
    """One call for every tool, unless tools have already answered or are not wanted."""
    if body.get("tool_choice") == "none" or body["messages"][-1]["role"] == "tool":
        return []
    names = [tool["function"]["name"] for tool in body.get("tools") or ()]
    return [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": ARGUMENTS}}
        for i, name in enumerate(names)
    ]


def _message(body: JSON) -> tuple[JSON, str]:
    if calls := _calls(body):
        return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    if (body.get("response_format") or {}).get("type", "text") != "text":
        return {"role": "assistant", "content": json.dumps(ANSWER)}, "stop"
    return {"role": "assistant", "content": f"You said: {_text(body)}"}, "stop"


def _deltas(message: JSON) -> Iterator[JSON]:
    yield {"role": "assistant", "content": ""}
    for word in (message["content"] or "").split(" ") if message["content"] else ():
        yield {"content": word if message["content"].startswith(word) else f" {word}"}
    for index, call in enumerate(message.get("tool_calls") or ()):
        head = {"name": call["function"]["name"], "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": head}]}
        for start in range(0, len(ARGUMENTS), 5):
            yield {"tool_calls": [{"index": index, "function": {"arguments": ARGUMENTS[start : start + 5]}}]}


def _logprobs(message: JSON) -> list[JSON]:
    words = (message["content"] or "").split()
    return [{"token": word, "logprob": -0.1, "bytes": list(word.encode()), "top_logprobs": []} for word in words]


async def chat(request: web.Request) -> web.StreamResponse:
    """``POST /v1/chat/completions``."""
    body: JSON = await request.json()
    text = _text(body)
    if text.startswith("fail "):
        status = int(text.split()[1])
        error = {"message": f"scripted {status}", "type": "scripted", "param": None, "code": None}
        return web.json_response({"error": error}, status=status, headers={"retry-after": "1"} if status == 429 else {})
    message, finish = _message(body)
    shared = {"id": "chatcmpl-stub", "created": 1_700_000_000, "model": body["model"]}
    if not body.get("stream"):
        logprobs = {"content": _logprobs(message)} if body.get("logprobs") else None
        shape = {"message": message, "finish_reason": finish, "logprobs": logprobs}
        choices = [{"index": i, **shape} for i in range(body.get("n") or 1)]
        completion = {**shared, "object": "chat.completion", "choices": choices, "usage": USAGE, "echo": body}
        return web.json_response(completion)
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    shared["object"] = "chat.completion.chunk"
    for position, delta in enumerate(_deltas(message)):
        if position == 2 and text.startswith("cut"):
            assert request.transport is not None
            request.transport.abort()
            return response
        await _send(response, {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    last = {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "echo": body}
    await _send(response, last)
    if (body.get("stream_options") or {}).get("include_usage"):
        await _send(response, {**shared, "choices": [], "usage": USAGE})
    await response.write(b"data: [DONE]\n\n")
    return response


async def _send(response: web.StreamResponse, event: JSON) -> None:
    await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


async def embeddings(request: web.Request) -> web.Response:
    """``POST /v1/embeddings``; floats, whatever encoding was asked for, as many servers do."""
    body: JSON = await request.json()
    given = body["input"]
    many = len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1
    data = [{"object": "embedding", "index": i, "embedding": EMBEDDING} for i in range(many)]
    usage = {"prompt_tokens": 3 * many, "total_tokens": 3 * many}
    return web.json_response({"object": "list", "model": body["model"], "data": data, "usage": usage})


async def responses(request: web.Request) -> web.StreamResponse:
    """``POST /v1/responses``, whole or as a stream."""
    body: JSON = await request.json()
    text = body["input"] if isinstance(body["input"], str) else "several items"
    part = {"type": "output_text", "text": f"You said: {text}", "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 19,
    }
    shared = {"id": "resp_1", "object": "response", "created_at": 1_700_000_000, "model": body["model"]}
    done = {**shared, "status": "completed", "output": [item], "usage": usage, "tools": [], "echo": body}
    if not body.get("stream"):
        return web.json_response(done)
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {**item, "content": [], "status": "in_progress"}
    events: list[JSON] = [
        {"type": "response.created", "response": {**shared, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": letter, "logprobs": []} for letter in part["text"]),
        {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]
    for number, event in enumerate(events):
        if number == 5 and text.startswith("cut"):
            assert request.transport is not None
            request.transport.abort()
            return response
        data = json.dumps({**event, "sequence_number": number})
        await response.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
    return response


def app() -> web.Application:
    """The upstream."""
    made = web.Application(client_max_size=2**26)
    made.router.add_post("/v1/chat/completions", chat)
    made.router.add_post("/v1/embeddings", embeddings)
    made.router.add_post("/v1/responses", responses)
    return made


async def main() -> None:
    """Serves until the process is ended."""
    runner = web.AppRunner(app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
