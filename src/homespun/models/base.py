"""The seam of models: anything with ``name`` and ``sample``; a wrapper has the shape of what it wraps."""

from typing import Protocol, runtime_checkable

from homespun.records import Prompt, Sample


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
