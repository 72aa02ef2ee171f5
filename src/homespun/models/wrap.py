"""Wrappers: each has the shape of the model it wraps, and reads as what it does: ``Retried(Budgeted(Priced(m)))``.

Order matters, innermost first: `Priced` next to the client, `Budgeted` around it, `Limited` around that (so that
waiting reserves nothing), then `Retried` (so that every attempt is counted), `Cached` outermost.
"""

from datetime import date
from types import TracebackType
from typing import Self

import anyio

from homespun.errors import ConfigError
from homespun.models.base import Bounded, Model, most_input_tokens
from homespun.records import Cost, Prompt, Sample
from homespun.runs import cost as table
from homespun.runs.cost import Budget, Ledger, Price, Rates


class Wrapper:
    """A model around a model: passes everything on, closing included."""

    def __init__(self, inner: Model) -> None:
        self.inner = inner
        self.name = inner.name

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Draws ``n`` completions from the wrapped model."""
        return await self.inner.sample(prompt, n)

    def worst_case(self, prompt: Prompt, n: int = 1) -> float:
        """Dollars of the call at most, by the wrapped model.

        Raises:
            ConfigError: the wrapped model has no price.
        """
        if isinstance(self.inner, Bounded):
            return self.inner.worst_case(prompt, n)
        raise ConfigError("its calls have no price", self.name, "wrap it in Priced first")

    async def close(self) -> None:
        """Closes what the wrapped model holds open."""
        close = getattr(self.inner, "close", None)
        if close is not None:
            await close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()


class Priced(Wrapper):
    """Turns the tokens of each row into dollars.

    Args:
        inner: The model; its rows carry tokens.
        price: The price to use; by the table, for the model's own name, unless given.
        on: The day whose price holds; today unless given.

    Raises:
        ConfigError: the table has no price for the model.
    """

    def __init__(self, inner: Model, price: Price | None = None, *, on: date | None = None) -> None:
        super().__init__(inner)
        self.price = price or table.price(inner.name.rpartition("#")[2], on)

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Draws, and prices the rows; one that came from a cache costs nothing."""
        rows = await self.inner.sample(prompt, n)
        # Only the first row of a call carries its input tokens, which decide the rates of all its rows.
        rates = self.price.rates(max((row.cost.input_tokens for row in rows), default=0))
        return [row if row.from_cache else _priced(row, rates) for row in rows]

    def worst_case(self, prompt: Prompt, n: int = 1) -> float:
        """Dollars if every byte of the prompt is a token, every sample a call of its own and as long as allowed."""
        tokens = most_input_tokens(prompt)
        return n * self.price.rates(tokens).dollars(tokens, prompt.sampling.max_tokens)


class Limited(Wrapper):
    """Lets only so many calls through: at once, and per second."""

    def __init__(self, inner: Model, *, concurrency: int = 8, per_second: float | None = None) -> None:
        super().__init__(inner)
        if concurrency < 1 or (per_second is not None and per_second <= 0):
            raise ConfigError(f"concurrency {concurrency}, {per_second} per second", "Limited", "numbers above 0")
        self._limiter = anyio.Semaphore(concurrency)
        self._interval = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Waits for its turn, then draws."""
        async with self._limiter:
            await self._turn()
            return await self.inner.sample(prompt, n)

    async def _turn(self) -> None:
        if not self._interval:
            return
        now = anyio.current_time()
        start = max(now, self._next)
        self._next = start + self._interval
        await anyio.sleep(start - now)


class Budgeted(Wrapper):
    """Reserves the most that a call can cost before it is made, and settles when it ends.

    Args:
        inner: A model whose worst case is known (`Priced`, or one that prices itself).
        budget: The dollars; several models may share one budget.
        ledger: Where to enter what was spent.
        stage: Under which stage to enter it.

    Raises:
        ConfigError: the model has no price.
    """

    def __init__(self, inner: Model, budget: Budget, *, ledger: Ledger | None = None, stage: str = "") -> None:
        super().__init__(inner)
        self.worst_case(Prompt(id="", problem_id="", strategy="", messages=()))  # says at once if there is no price
        self.budget = budget
        self._ledger, self._stage = ledger, stage

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Draws within the budget.

        Raises:
            BudgetError: the worst case does not fit in what is left; no call was made.
        """
        most = self.worst_case(prompt, n)
        reservation = self.budget.reserve(most)
        try:
            rows = await self.inner.sample(prompt, n)
        except BaseException:
            # Cancelled or broken half-way: the provider may well have worked, so the whole worst case counts.
            reservation.settle(most)
            raise
        spent = Cost.total([row.cost for row in rows])
        reservation.settle(spent.dollars)
        if self._ledger is not None:
            self._ledger.add(spent, model=self.name, stage=self._stage)
        return rows


def _priced(row: Sample, rates: Rates) -> Sample:
    tokens = row.cost
    dollars = rates.dollars(tokens.input_tokens, tokens.output_tokens, tokens.cached_tokens)
    return row.model_copy(update={"cost": tokens.model_copy(update={"dollars": dollars})})
