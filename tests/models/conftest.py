"""A hostile, scripted endpoint on loopback, and prompts to send to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from homespun.models.openai import OpenAI, OpenAIConfig
from homespun.records import Message, Prompt, Sampling

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
KEY = "sk-very-secret-0123456789"


class Endpoint:
    """A server whose next answer is what ``handler`` does; keeps the bodies that it was sent."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        assert self.handler is not None
        return await self.handler(request, body)

    def client(self, **config: Any) -> OpenAI:
        url = f"http://127.0.0.1:{self.port}/v1"
        return OpenAI("tiny", base_url=url, api_key=KEY, config=OpenAIConfig(**config))

    def respond(self, payload: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answers with JSON (or raw bytes) every time."""

        async def handler(_: web.Request, __: dict[str, Any]) -> web.Response:
            content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            return web.Response(body=content, status=status, headers=headers, content_type="application/json")

        self.handler = handler

    def stream(self, *events: Any, first: float = 0.0, cut: bool = False) -> None:
        """Streams events; ``first`` seconds before the first; ``cut`` drops the connection after the last."""

        async def handler(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            response.enable_chunked_encoding()
            await response.prepare(request)
            await asyncio.sleep(first)
            for event in events:
                data = event if isinstance(event, str) else json.dumps(event)
                await response.write(f"data: {data}\n\n".encode())
            if cut:
                assert request.transport is not None
                request.transport.close()
            return response

        self.handler = handler


def completion(*texts: str, usage: Any = None, **choice: Any) -> dict[str, Any]:
    """A well-formed response with one choice a text."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} | choice
        for i, text in enumerate(texts)
    ]
    return {"choices": choices} | ({} if usage is None else {"usage": usage})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    served = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.port = runner.addresses[0][1]
    yield served
    await runner.cleanup()


@pytest.fixture
def reply_with() -> Callable[..., dict[str, Any]]:
    return completion


@pytest.fixture
def secret() -> str:
    return KEY


@pytest.fixture
def ask() -> Callable[..., Prompt]:
    """Makes prompts: ``ask("text", temperature=1.0)``."""

    def make(text: str = "What is 2 + 2?", id: str = "p", **sampling: Any) -> Prompt:
        messages = (Message(role="user", content=text),)
        return Prompt(id=id, problem_id="1", strategy="cot", messages=messages, sampling=Sampling(**sampling))

    return make
