"""Any model behind an OpenAI-compatible endpoint: rows from chat completions, with tokens, log-probs and failures.

Input tokens and seconds of a call stand on its first row, output tokens on each, so that rows add up to what was used.
Usage comes from the provider; where it sends none, tokens are characters / 4 and the row is flagged.
"""

import asyncio
import os
import time
from types import TracebackType
from typing import Any, Self

from homespun.models import wire
from homespun.models.base import Reply, estimated_tokens, failure, input_text, reply
from homespun.models.client import ChatClient, Failed, OpenAIConfig
from homespun.records import Cost, Prompt, Sample

OFFICIAL_URL = "https://api.openai.com/v1"


class OpenAI:
    """A model behind an OpenAI-compatible endpoint; one call at a time or many at once.

    Args:
        model: The model's name at the endpoint.
        base_url: Up to and including ``/v1``; ``$OPENAI_BASE_URL``, else OpenAI's own.
        api_key: ``$OPENAI_API_KEY`` unless given; may be empty for endpoints that ask for none.
        config: Timeouts and the like.

    Raises:
        ConfigError: a base URL or key that cannot be used.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        config: OpenAIConfig | None = None,
    ) -> None:
        url = (base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL_URL).rstrip("/")
        self.name = f"openai:{model}" if url == OFFICIAL_URL else f"{url}#{model}"
        self.config = config or OpenAIConfig()
        self._model, self._limit_field = model, "max_tokens"
        key = os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key
        self._client = ChatClient(url, key, self.config)

    def __repr__(self) -> str:
        return f"OpenAI({self.name!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the session; the next call opens another."""
        await self._client.close()

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Draws ``n`` completions: one call with ``n``, and one more for each that the endpoint left out."""
        rows: list[Sample] = list(await self._call(prompt, 0, n))
        if len(rows) < n:
            missing = range(len(rows), n)
            for more in await asyncio.gather(*(self._call(prompt, index, 1) for index in missing)):
                rows.extend(more)
        return rows

    async def _call(self, prompt: Prompt, first: int, n: int) -> list[Reply]:
        """One call for samples ``first`` to ``first + n - 1``; may give fewer, but at least one row."""
        started = time.monotonic()
        outcome = await self._client.complete(self._body(prompt, first, n))
        if isinstance(outcome, Failed) and outcome.status == 400 and "max_completion_tokens" in outcome.reason:
            self._limit_field = "max_completion_tokens"  # what OpenAI's newer models call it
            outcome = await self._client.complete(self._body(prompt, first, n))
        seconds = time.monotonic() - started
        if isinstance(outcome, Failed):
            return self._failures(prompt, first, n, outcome, seconds)
        return self._replies(prompt, first, outcome.choices[:n], outcome.usage, seconds)

    def _body(self, prompt: Prompt, first: int, n: int) -> dict[str, Any]:
        sampling = prompt.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [message.model_dump() for message in prompt.messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._limit_field: sampling.max_tokens,
        }
        if n > 1:
            body["n"] = n
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            body["seed"] = sampling.seed + first
        if sampling.logprobs:
            body["logprobs"] = True
            if self.config.top_logprobs:
                body["top_logprobs"] = self.config.top_logprobs
        if self.config.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def _replies(
        self, prompt: Prompt, first: int, choices: list[wire.Choice], usage: wire.Usage | None, seconds: float
    ) -> list[Reply]:
        """Rows of one call. Input tokens and seconds stand on its first row, output tokens on each."""
        if usage is None:
            given, cached = estimated_tokens(input_text(prompt)), 0
            outputs = [estimated_tokens(choice.text) for choice in choices]
        else:
            given, cached = usage.input, usage.cached
            outputs = wire.split_evenly(usage.output, (len(choice.text) for choice in choices))
        rows: list[Reply] = []
        for index, (choice, output) in enumerate(zip(choices, outputs, strict=True)):
            cost = Cost(output_tokens=output)
            if index == 0:
                cost += Cost(input_tokens=given, cached_tokens=cached, seconds=seconds)
            fields = {
                "finish": choice.finish,
                "cost": cost,
                "usage_estimated": usage is None,
                "logprobs": tuple(choice.logprobs) or None,
                "top_logprobs": tuple(choice.top_logprobs) if any(choice.top_logprobs) else None,
            }
            rows.append(reply(prompt, self.name, first + index, choice.text, **fields))
        return rows

    def _failures(self, prompt: Prompt, first: int, n: int, why: Failed, seconds: float) -> list[Reply]:
        cost = Cost(seconds=seconds)
        if why.output is not None:  # the provider worked on it: count what it was given and what came back
            tokens = {
                "input_tokens": estimated_tokens(input_text(prompt)),
                "output_tokens": estimated_tokens(why.output),
            }
            cost += Cost(**tokens)
        fields = {"status": why.status, "retryable": why.retryable, "retry_after": why.retry_after}
        rows = [failure(prompt, self.name, first + index, why.reason, **fields) for index in range(n)]
        rows[0] = rows[0].model_copy(update={"cost": cost, "usage_estimated": why.output is not None})
        return rows
