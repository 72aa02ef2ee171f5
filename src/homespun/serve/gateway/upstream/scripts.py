"""A scripted model as an upstream: says what its script tells it to, failures included."""

from homespun.models import Reply as Row
from homespun.models.scripted import Scripted, scripted
from homespun.serve.gateway.config import Target
from homespun.serve.gateway.types import Usage
from homespun.serve.gateway.upstream import usage as counting
from homespun.serve.gateway.upstream.failure import RETRYABLE, Failed
from homespun.serve.gateway.upstream.price import Tariff
from homespun.serve.gateway.upstream.prompts import choices, completion, prompt
from homespun.serve.gateway.upstream.replay import WholeFeed, usage_of
from homespun.serve.gateway.upstream.source import Answer, Body, Request


class ScriptedSource:
    """One script.

    Raises:
        ConfigError: no such script.
    """

    def __init__(self, target: Target, price: Tariff) -> None:
        self._target, self._price = target, price
        self._model: Scripted = scripted(target.model)

    async def whole(self, request: Request) -> Answer:
        """What the script says.

        Raises:
            Failed: the script says so.
        """
        asked = prompt(self._target, request)
        samples = await self._model.sample(asked, choices(request.body))
        for sample in samples:
            if sample.finish == "error":
                raise self._failed(sample if isinstance(sample, Row) else None, sample.error or "failed")
        usage = usage_of(samples)
        most = counting.bound(self._target, request.body)
        usage = Usage(input=min(usage.input, most.input), output=usage.output)
        return Answer(completion(self._target, samples), None, usage)

    def _failed(self, row: Row | None, reason: str) -> Failed:
        status = 502 if row is None else row.status or 502
        again = status in RETRYABLE or status >= 500
        return Failed(
            "status",
            f"{self._target.name}: {reason}",
            status=status if status in (429, 503) or not again else 502,
            upstream_status=status,
            retry_after=None if row is None else row.retry_after,
            then="again" if again else "final",
            faulty=status >= 500,
        )

    async def open(self, request: Request) -> WholeFeed:
        """The same as a stream."""
        return WholeFeed(await self.whole(request), request.body)

    def bound(self, body: Body) -> tuple[counting.Bound, int]:
        """The most tokens and nanodollars of one call, if the script keeps to ``max_tokens``."""
        most = counting.bound(self._target, body)
        return most, self._price.most(most)

    async def close(self) -> None:
        """Nothing is held."""
