"""Try again what may succeed later, with jittered exponential pauses, under one deadline over all attempts.

Tried again are the failures that a client marks as retryable: status 408, 409, 429 and 5xx, and a network that
broke. A pause is drawn evenly from 0 to ``base`` times 2 to the number of the attempt ("full jitter"), and is never
shorter than what the provider asked for in ``Retry-After``.
"""

import random
from dataclasses import dataclass

import anyio

from homespun.errors import BudgetError, ConfigError
from homespun.models.base import Model, Reply, failure
from homespun.models.wrap import Wrapper
from homespun.records import Prompt, Sample


@dataclass(frozen=True, kw_only=True)
class RetryConfig:
    """How often and how patiently to try again."""

    attempts: int = 5
    """Calls at most, the first included."""
    base: float = 0.5
    """Seconds; the longest pause after the first attempt."""
    cap: float = 30.0
    """Seconds; the longest pause of all, unless the provider asks for more."""
    deadline: float = 300.0
    """Seconds from the first call to the last answer."""
    seed: int | None = None
    """Seed of the jitter."""


class Retried(Wrapper):
    """Asks again for the rows that failed; each row's cost sums over its attempts."""

    def __init__(self, inner: Model, config: RetryConfig | None = None) -> None:
        super().__init__(inner)
        self.config = config or RetryConfig()
        if self.config.attempts < 1 or min(self.config.base, self.config.cap, self.config.deadline) < 0:
            raise ConfigError(f"{self.config}", "Retried", "at least one attempt and no negative seconds")
        self._random = random.Random(self.config.seed)

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Draws; rows that still fail when attempts or time run out keep their last reason."""
        rows: list[Sample] = []
        with anyio.move_on_after(self.config.deadline) as scope:
            rows.extend(await self.inner.sample(prompt, n))
            for attempt in range(1, self.config.attempts):
                again = [index for index, row in enumerate(rows) if _may_retry(row)]
                if not again or not await self._pause(attempt, rows):
                    break
                try:
                    await self._repeat(prompt, rows, again)
                except BudgetError:
                    break  # the rows there are were paid for; the next call will hear of the budget
        if scope.cancelled_caught:
            return self._late(prompt, rows, n)
        return rows

    def worst_case(self, prompt: Prompt, n: int = 1) -> float:
        """Dollars if every attempt is billed."""
        return self.config.attempts * super().worst_case(prompt, n)

    async def _pause(self, attempt: int, rows: list[Sample]) -> bool:
        """Waits before the next attempt; False if the wait would pass the deadline."""
        asked = max((row.retry_after or 0.0 for row in rows if isinstance(row, Reply)), default=0.0)
        longest = min(self.config.cap, self.config.base * 2.0 ** (attempt - 1))
        pause = max(self._random.uniform(0, longest), asked)
        if anyio.current_time() + pause >= anyio.current_effective_deadline():
            return False
        await anyio.sleep(pause)
        return True

    async def _repeat(self, prompt: Prompt, rows: list[Sample], again: list[int]) -> None:
        """Puts new rows where the failed ones stand. A call that failed whole is repeated whole."""
        if len(again) == len(rows):
            new = await self.inner.sample(prompt, len(rows))
            rows[:] = [_after(old, row) for old, row in zip(rows, new, strict=True)]
            return
        for index in again:
            [row] = await self.inner.sample(_seeded(prompt, index), 1)
            identity = {"id": rows[index].id, "index": index}
            rows[index] = _after(rows[index], row.model_copy(update=identity))

    def _late(self, prompt: Prompt, rows: list[Sample], n: int) -> list[Sample]:
        reason = f"no answer within the deadline of {self.config.deadline:g} s"
        if not rows:
            return [failure(prompt, self.name, index, reason) for index in range(n)]
        return [row if not row.error else row.model_copy(update={"error": f"{reason}; {row.error}"}) for row in rows]


def _may_retry(row: Sample) -> bool:
    return isinstance(row, Reply) and row.finish == "error" and row.retryable


def _after(old: Sample, new: Sample) -> Sample:
    return new.model_copy(update={"cost": old.cost + new.cost})


def _seeded(prompt: Prompt, index: int) -> Prompt:
    """The prompt under which a model draws sample ``index`` as its first: seed + index."""
    seed = prompt.sampling.seed
    if seed is None:
        return prompt
    return prompt.model_copy(update={"sampling": prompt.sampling.model_copy(update={"seed": seed + index})})
