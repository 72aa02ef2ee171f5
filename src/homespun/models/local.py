"""A small model on this machine: SmolLM2-135M-Instruct through llama.cpp (xllamacpp), in worker threads.

The chat template, tokens and stops are those in the weights' own file. Sampling is the plain one: temperature and
top-p, with llama.cpp's further filters (top-k, min-p) off, so that log-probs and samples mean what they say.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from anyio import CapacityLimiter, to_thread

from homespun.errors import ConfigError, ModelError
from homespun.models import wire
from homespun.models.base import estimated_tokens, failure, input_text, reply
from homespun.models.smollm2 import weights
from homespun.records import Cost, Prompt, Sample

LOCAL_MODELS = ("smollm2",)


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """How to run the model."""

    wide: bool = True
    """16-bit weights, which answer as transformers does; False: the packaged Q4_1, faster and noisy."""
    context: int = 4096
    """Tokens of prompt and answer together (the model knows at most 8,192)."""
    threads: int | None = None
    """Threads of the arithmetic; as many as this process may use unless given."""
    reuse_prompt: bool = False
    """Keep the prompt's state between samples: faster, but an answer may depend on what was asked before it."""
    top_logprobs: int = 1
    """Most likely tokens at each position, where the sampling asks for log-probs."""


class Local:
    """A model in this process; loaded at the first call, which therefore takes seconds.

    Args:
        model: ``smollm2``.
        config: How to run it.
        path: Other GGUF weights with a chat template.

    Raises:
        ConfigError: no such local model.
    """

    def __init__(self, model: str = "smollm2", config: LocalConfig | None = None, *, path: Path | None = None) -> None:
        if path is None and model not in LOCAL_MODELS:
            raise ConfigError(f"no local model {model[:80]!r}", "local:", ", ".join(LOCAL_MODELS))
        self.name = f"local:{model}"
        self.config = config or LocalConfig()
        self._path, self._lock = path, threading.Lock()
        self._waiting = CapacityLimiter(1)  # calls wait here, not in a worker thread that others could use
        self._server: Any = None

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Draws ``n`` completions one after the other, in a thread, so that the event loop lives.

        Raises:
            ModelError: xllamacpp or the weights cannot be had.
        """
        return [await to_thread.run_sync(self._draw, prompt, index, limiter=self._waiting) for index in range(n)]

    async def stream(self, prompt: Prompt, index: int = 0) -> AsyncGenerator[dict[str, Any]]:
        """Draws sample ``index`` token by token; closing the generator stops the model at its next token.

        Yields:
            The events of llama.cpp (``chat.completion.chunk``), the last with the usage; one with ``error`` tells
            why it refused the prompt.

        Raises:
            ModelError: xllamacpp or the weights cannot be had.
        """
        loop, stopped = asyncio.get_running_loop(), threading.Event()
        events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        def tell(event: dict[str, Any]) -> bool:
            loop.call_soon_threadsafe(events.put_nowait, event)
            return stopped.is_set()

        async def work() -> None:
            try:
                await to_thread.run_sync(self._tell_all, prompt, index, tell, stopped, limiter=self._waiting)
            finally:
                events.put_nowait(None)

        task = asyncio.create_task(work())
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            stopped.set()
            task.add_done_callback(_forget)

    def _tell_all(
        self, prompt: Prompt, index: int, tell: Callable[[dict[str, Any]], bool], stopped: threading.Event
    ) -> None:
        with self._lock:
            if stopped.is_set():
                return
            body = self._body(prompt, index) | {"stream": True, "stream_options": {"include_usage": True}}
            try:
                self._loaded().handle_chat_completions(body, tell)
            except (RuntimeError, ValueError) as error:
                tell({"error": {"message": f"llama.cpp: {error}"}})

    def worst_case(self, prompt: Prompt, n: int = 1) -> float:
        """Zero: time is counted, dollars are not."""
        return 0.0

    async def close(self) -> None:
        """Frees the model once it is idle; the next call loads it again."""
        await to_thread.run_sync(self._free, limiter=self._waiting)

    def _free(self) -> None:
        with self._lock:
            self._server = None

    def _draw(self, prompt: Prompt, index: int) -> Sample:
        with self._lock:  # one sequence at a time: what runs beside it must not change an answer
            server = self._loaded()
            started = time.monotonic()
            try:
                answer = cast("dict[str, Any]", server.handle_chat_completions(self._body(prompt, index)))
            except (RuntimeError, ValueError) as error:
                return failure(prompt, self.name, index, f"llama.cpp: {error}")
            seconds = time.monotonic() - started
        outcome = wire.read_completion(json.dumps(answer).encode())
        if isinstance(outcome, wire.Broken):
            return failure(prompt, self.name, index, outcome.reason, cost=Cost(seconds=seconds))
        [choice] = outcome.choices
        usage = outcome.usage or wire.Usage(
            input=estimated_tokens(input_text(prompt)), output=estimated_tokens(choice.text)
        )
        return reply(
            prompt,
            self.name,
            index,
            choice.text,
            finish=choice.finish or "stop",
            logprobs=tuple(choice.logprobs) or None,
            top_logprobs=tuple(choice.top_logprobs) or None,
            usage_estimated=outcome.usage is None,
            cost=Cost(input_tokens=usage.input, output_tokens=usage.output, seconds=seconds),
        )

    def _body(self, prompt: Prompt, index: int) -> dict[str, Any]:
        sampling = prompt.sampling
        body: dict[str, Any] = {
            "messages": [message.model_dump() for message in prompt.messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": 0 if sampling.temperature else 1,
            "min_p": 0.0,
            "max_tokens": sampling.max_tokens,
            "stop": list(sampling.stop),
            "cache_prompt": self.config.reuse_prompt,
        }
        if sampling.seed is not None:
            body["seed"] = (sampling.seed + index) % 2**32
        if sampling.logprobs:
            body |= {"logprobs": True, "top_logprobs": self.config.top_logprobs}
        return body

    def _loaded(self) -> Any:
        if self._server is not None:
            return self._server
        try:
            import xllamacpp
        except ImportError:
            raise ModelError("xllamacpp is not installed", self.name, "pip install 'homespun[local]'") from None
        library: Any = xllamacpp  # it carries no types
        parameters = library.CommonParams()
        parameters.model.path = str(self._path or weights(wide=self.config.wide))
        parameters.n_ctx, parameters.n_parallel, parameters.n_gpu_layers = self.config.context, 1, 0
        threads = self.config.threads or len(os.sched_getaffinity(0))
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity, parameters.warmup, parameters.fit_params = 0, False, False
        try:
            self._server = library.Server(parameters)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"cannot be loaded: {error}", parameters.model.path, "remove it from the cache") from None
        return self._server


def _forget(task: asyncio.Task[None]) -> None:
    """An error after the reader has left interests nobody."""
    if not task.cancelled():
        task.exception()
