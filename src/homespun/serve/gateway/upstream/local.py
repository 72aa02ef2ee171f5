"""The small model on this machine as an upstream, token by token; whoever leaves stops it at its next token."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from homespun.models.local import Local, LocalConfig
from homespun.serve.gateway.chunks import Assembler, event
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import Event, Usage, new_id
from homespun.serve.gateway.upstream import usage as counting
from homespun.serve.gateway.upstream.failure import Failed
from homespun.serve.gateway.upstream.price import Tariff
from homespun.serve.gateway.upstream.prompts import choices, prompt, refused
from homespun.serve.gateway.upstream.reading import text_bytes
from homespun.serve.gateway.upstream.source import Answer, Body, Request

_OVERFLOW = "exceed_context_size_error"


class LocalSource:
    """A local model; loaded at the first call, which therefore takes seconds.

    Raises:
        ConfigError: no such local model.
    """

    def __init__(self, target: Target, price: Tariff) -> None:
        self._target, self._price = target, price
        # One core stays free for the event loop: threads of llama.cpp that share a core spin, and all of them wait.
        threads = max(len(os.sched_getaffinity(0)) - 1, 1)
        self._model = Local(target.model, LocalConfig(context=target.context, threads=threads))

    async def whole(self, request: Request) -> Answer:
        """A whole answer.

        Raises:
            Failed: 400, the request asks for what the model cannot do; or the model failed.
        """
        feed = await self.open(request)
        assembler = Assembler()
        try:
            while events := await feed.read():
                for one in events:
                    assembler.feed(one.json)
        finally:
            await feed.stop()
        usage = feed.usage()
        body = assembler.body
        total = usage.input + usage.output
        body["usage"] = {"prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": total}
        return Answer(body, None, usage)

    async def open(self, request: Request) -> "LocalFeed":
        """A stream, once its first token is here.

        Raises:
            Failed: as `whole`.
        """
        asked = prompt(self._target, request)
        number = choices(request.body)
        options: Any = request.body.get("stream_options")
        wanted = isinstance(options, dict) and bool(cast("Body", options).get("include_usage"))
        draws = (self._model.stream(asked, index) for index in range(number))
        feed = LocalFeed(self._target, request.body, list(draws), keep_usage=wanted)
        try:
            await feed.begin()
        except BaseException:
            await feed.stop()
            raise
        return feed

    def bound(self, body: Body) -> tuple[counting.Bound, int]:
        """The most tokens and nanodollars of one call."""
        most = counting.bound(self._target, body)
        return most, self._price.most(most)

    async def close(self) -> None:
        """Frees the model once it is idle."""
        await self._model.close()


class LocalFeed:
    """The choices of one call, drawn one after the other."""

    nanodollars: int | None = None

    def __init__(self, target: Target, body: Body, draws: list[AsyncGenerator[Body]], *, keep_usage: bool) -> None:
        self.headers: Mapping[str, str] = {}
        self._target, self._body, self._draws, self._keep_usage = target, body, draws, keep_usage
        self._head = {"id": new_id("chatcmpl"), "object": "chat.completion.chunk", "created": int(time.time())}
        self._index = 0
        self._first: list[Event] = []
        self._counted = Usage()
        self._made = 0
        """Bytes of the choice that is being drawn."""
        self._told = False
        self._closing: Any = None

    async def begin(self) -> None:
        """Waits for the first event.

        Raises:
            Failed: the model refuses the prompt.
        """
        self._first = await self.read()

    async def read(self) -> list[Event]:
        """The next event; none: all choices have ended.

        Raises:
            Failed: the model failed.
        """
        if self._first:
            events, self._first = self._first, []
            return events
        while self._index < len(self._draws):
            async for content in self._draws[self._index]:
                if (one := self._take(content)) is not None:
                    return [one]
            self._index, self._made = self._index + 1, 0
        if self._keep_usage and not self._told:
            self._told = True
            given, made = self._counted.input, self._counted.output
            usage = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
            return [event({**self._head, "model": self._target.name, "choices": [], "usage": usage})]
        return []

    def _take(self, content: Body) -> Event | None:
        if fault := content.get("error"):
            raise self._failed(cast("Body", fault) if isinstance(fault, dict) else {"message": str(fault)})
        if usage := content.get("usage"):
            self._counted.input += usage["prompt_tokens"]
            self._counted.output += usage["completion_tokens"]
            self._made = 0
        found: list[Body] = content.get("choices") or []
        if not found:
            return None
        for choice in found:
            choice["index"] = self._index
            self._made += text_bytes(choice.get("delta"))
        return event({**self._head, "model": self._target.name, "choices": found})

    def _failed(self, fault: Body) -> Failed:
        message = f"{self._target.name}: {fault.get('message')}"
        if fault.get("type") != _OVERFLOW:
            return Failed("refused", message, status=503, then="elsewhere")
        error = refused(message, code="context_length_exceeded", param="messages")
        error.then = "larger"
        return error

    def usage(self) -> Usage:
        """Counted by the model for the choices that have ended, estimated for one that has not."""
        if not self._made:
            return self._counted
        most = counting.bound(self._target, self._body)
        rest = counting.estimate(most, self._body, self._made)
        given, made = self._counted.input + rest.input, self._counted.output + rest.output
        return Usage(input=given, output=made, estimated=True)

    async def stop(self) -> None:
        """Stops the model at its next token."""
        for draw in self._draws:
            await draw.aclose()

    def close(self) -> None:
        """As `stop`, without waiting."""
        self._closing = asyncio.get_running_loop().create_task(self.stop())
