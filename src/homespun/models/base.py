"""The seam of models: anything with ``name`` and ``sample``; a wrapper has the shape of what it wraps."""

from typing import Protocol, runtime_checkable

from homespun.records import Cost, Prompt, Sample


@runtime_checkable
class Model(Protocol):
    """A source of completions."""

    name: str

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Draws ``n`` completions; always returns ``n`` rows, failures among them with ``finish='error'``.

        Raises:
            BudgetError: a budget forbids the call; nothing was spent.
        """
        ...


def sample_id(prompt: Prompt, model: str, index: int) -> str:
    """Identity of one sample: prompt, model and the number of the draw."""
    return f"{prompt.id}@{model}#{index}"


def failure(prompt: Prompt, model: str, index: int, reason: str, cost: Cost | None = None) -> Sample:
    """The row of a call that failed: no text, and the reason on one line."""
    return Sample(
        id=sample_id(prompt, model, index),
        prompt_id=prompt.id,
        index=index,
        model=model,
        text="",
        finish="error",
        error=" ".join(reason.split())[:500] or "failed without a reason",
        cost=cost or Cost(),
    )
