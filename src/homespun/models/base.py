"""The seam of models: anything with ``name`` and ``sample``; a wrapper has the shape of what it wraps."""

from math import ceil
from typing import Any, Protocol, runtime_checkable

from pydantic import Field

from homespun.records import Cost, Prompt, Sample


@runtime_checkable
class Model(Protocol):
    """A source of completions."""

    name: str

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Draws ``n`` completions; always returns ``n`` rows, failures among them with ``finish='error'``.

        Where a seed is set, sample ``i`` is drawn with seed + i.

        Raises:
            BudgetError: a budget forbids the call; nothing was spent.
        """
        ...


@runtime_checkable
class Bounded(Model, Protocol):
    """A model that knows beforehand how much a call can cost at most."""

    def worst_case(self, prompt: Prompt, n: int = 1) -> float:
        """Dollars that ``sample(prompt, n)`` can cost at most."""
        ...


class Reply(Sample):
    """A Sample with what the wire said beside it; the extra fields stay out of tables."""

    status: int | None = Field(default=None, exclude=True)
    """HTTP status of a failed call; ``None`` where none was received."""
    retryable: bool = Field(default=False, exclude=True)
    """Whether the same call may succeed later."""
    retry_after: float | None = Field(default=None, exclude=True)
    """Seconds the provider asked to wait."""
    usage_estimated: bool = Field(default=False, exclude=True)
    """The provider sent no usage: tokens are characters / 4."""
    top_logprobs: tuple[dict[str, float], ...] | None = Field(default=None, exclude=True)
    """Most likely tokens with their log-probs, at each position."""


def sample_id(prompt: Prompt, model: str, index: int) -> str:
    """Identity of one sample: prompt, model and the number of the draw."""
    return f"{prompt.id}@{model}#{index}"


def reply(prompt: Prompt, model: str, index: int, text: str, **fields: Any) -> Reply:
    """A row for one completion."""
    identity = {"id": sample_id(prompt, model, index), "prompt_id": prompt.id, "index": index, "model": model}
    return Reply(**identity, text=text, **fields)


def failure(prompt: Prompt, model: str, index: int, reason: str, **fields: Any) -> Reply:
    """The row of a call that failed: no text, and the reason on one line."""
    line = " ".join(reason.split())[:500] or "failed without a reason"
    return reply(prompt, model, index, "", finish="error", error=line, **fields)


def estimated_tokens(text: str) -> int:
    """Tokens of a text by the rule of thumb of four characters each."""
    return ceil(len(text) / 4)


def input_text(prompt: Prompt) -> str:
    """All message contents of a prompt, one after the other."""
    return "\n".join(message.content for message in prompt.messages)


def most_input_tokens(prompt: Prompt) -> int:
    """An upper bound of the prompt's tokens: a byte-level vocabulary needs at most one token per byte.

    Every message adds at most 16 for its role and delimiters, and the prompt itself at most 64 (a default system
    message that some chat templates insert).
    """
    return len(input_text(prompt).encode()) + 16 * len(prompt.messages) + 64


def zero_cost(sample: Sample) -> Sample:
    """The same sample as a replay: nothing new was spent."""
    return sample.model_copy(update={"cost": Cost(), "from_cache": True})
