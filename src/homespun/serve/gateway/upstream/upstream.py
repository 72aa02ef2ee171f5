"""One target with all that belongs to it, and one attempt at it: timed, counted, and on the books."""

import asyncio
from time import monotonic, time

from homespun.errors import HomespunError
from homespun.serve.gateway.config import Retries, Target, Timeouts
from homespun.serve.gateway.types import Attempt, Call, Outcome, Reply
from homespun.serve.gateway.upstream import usage as counting
from homespun.serve.gateway.upstream.breaker import Breaker
from homespun.serve.gateway.upstream.events import Events
from homespun.serve.gateway.upstream.failure import Failed
from homespun.serve.gateway.upstream.http import Endpoint
from homespun.serve.gateway.upstream.keys import KeyRing, UpstreamKey
from homespun.serve.gateway.upstream.limit import Limit
from homespun.serve.gateway.upstream.local import LocalSource
from homespun.serve.gateway.upstream.price import tariff
from homespun.serve.gateway.upstream.replay import RecordedSource
from homespun.serve.gateway.upstream.scripts import ScriptedSource
from homespun.serve.gateway.upstream.source import Feed, Request, Source
from homespun.serve.gateway.upstream.stats import Stats


class Upstream:
    """A target that can be called.

    Args:
        target: Its settings.
        timeouts: Those of the file; the target's own come first.
        retries: For the breaker.

    Raises:
        ConfigError: no price, no key, an address that is refused.
    """

    def __init__(self, target: Target, timeouts: Timeouts, retries: Retries) -> None:
        self.target, self.price = target, tariff(target)
        self.keys = KeyRing(target)
        self.breaker = Breaker(retries.breaker_failures, retries.breaker_seconds)
        self.stats = Stats()
        self.timeouts = target.timeouts or timeouts
        self.source = self._source()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._retired = False
        self._closing: asyncio.Task[None] | None = None

    def _source(self) -> Source:
        target = self.target
        if target.kind == "openai":
            return Endpoint(target, self.keys, self.price, self.timeouts.connect)
        if target.kind == "local":
            return LocalSource(target, self.price)
        if target.kind == "recorded":
            return RecordedSource(target)
        return ScriptedSource(target, self.price)

    def _bind(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        return self._loop

    def unchanged(self, target: Target, timeouts: Timeouts) -> bool:
        """Whether new settings ask for the same upstream, whose connections and breaker can be kept."""
        return self.target == target and self.timeouts.connect == (target.timeouts or timeouts).connect

    def adopt(self, timeouts: Timeouts, retries: Retries) -> None:
        """Takes over what of new settings needs no new upstream."""
        self.timeouts = self.target.timeouts or timeouts
        self.breaker.failures, self.breaker.seconds = retries.breaker_failures, retries.breaker_seconds

    async def attempt(self, call: Call, key: UpstreamKey, deadline: float, attempts: list[Attempt]) -> Reply:
        """Calls once.

        Args:
            call: What to ask.
            key: With which key.
            deadline: Loop time at which the whole must have ended.
            attempts: Gets a row when the call starts; it is filled in when the call ends.

        Raises:
            Failed: no answer.
        """
        attempt = Attempt(self.target.name, call.purpose, time())
        attempts.append(attempt)
        started = monotonic()
        request = Request(call.path, call.body, key, call.problem)
        self.stats.calls += 1
        self.stats.running += 1
        try:
            if call.stream:
                return await self._open(call, request, key, deadline, attempt, started)
            return await self._whole(request, key, deadline, attempt, started)
        except Failed as error:
            self._book_failure(call, attempt, started, error)
            raise
        except BaseException:  # cancelled: the client left, or the server stops
            self.breaker.left()
            self._end(attempt, "cancelled", started)
            raise

    async def _whole(
        self, request: Request, key: UpstreamKey, deadline: float, attempt: Attempt, started: float
    ) -> Reply:
        limit = min(started + self.timeouts.total, deadline)
        try:
            with Limit(self._loop or self._bind(), limit):
                answer = await self.source.whole(request)
        except TimeoutError:
            what = f"{self.target.name} gave no answer within {limit - started:.3g} s"
            raise Failed("timeout", what, status=504) from None
        except HomespunError as error:
            raise _as_failed(error) from None
        attempt.usage = usage = answer.usage
        attempt.nanodollars = self.price.cost(usage) if answer.nanodollars is None else answer.nanodollars
        attempt.status = 200
        self._end(attempt, "ok", started)
        attempt.first_byte_seconds = attempt.seconds
        self._passed(key, attempt, started)
        return Reply(self.target.name, attempt, answer.body, answer.raw, None, answer.headers)

    async def _open(
        self, call: Call, request: Request, key: UpstreamKey, deadline: float, attempt: Attempt, started: float
    ) -> Reply:
        limit = min(started + self.timeouts.first_token, deadline)
        try:
            with Limit(self._loop or self._bind(), limit):
                feed = await self.source.open(request)
        except TimeoutError:
            what = f"{self.target.name} sent no first event within {limit - started:.3g} s"
            raise Failed("timeout", what, status=504) from None
        except HomespunError as error:
            raise _as_failed(error) from None
        attempt.status = 200
        self.breaker.began()
        attempt.first_byte_seconds = monotonic() - started

        def book(outcome: Outcome, error: Failed | None) -> None:
            self._book_stream(feed, key, attempt, started, outcome, error)

        end = min(started + self.timeouts.total, deadline)
        loop = self._loop or self._bind()
        events = Events(self.target.name, feed, loop, idle=self.timeouts.idle, deadline=end, book=book)
        return Reply(self.target.name, attempt, events=events, headers=feed.headers)

    # --- the books ----------------------------------------------------------------------------------------------

    def _book_stream(
        self, feed: Feed, key: UpstreamKey, attempt: Attempt, started: float, outcome: Outcome, error: Failed | None
    ) -> None:
        attempt.usage = feed.usage()
        attempt.nanodollars = self.price.cost(attempt.usage) if feed.nanodollars is None else feed.nanodollars
        self._end(attempt, outcome, started)
        if outcome == "ok":
            self._passed(key, attempt, started)
        elif error is None:
            self.breaker.left()
        else:
            attempt.error = error.message
            self._blame(error)

    def _book_failure(self, call: Call, attempt: Attempt, started: float, error: Failed) -> None:
        attempt.status, attempt.error = error.upstream_status or (200 if error.arrived else None), error.message
        if error.arrived:  # an answer came, though of no use: it may be billed
            attempt.usage = counting.estimate(self.source.bound(call.body)[0], call.body, error.arrived)
            attempt.nanodollars = self.price.cost(attempt.usage)
        outcomes: dict[str, Outcome] = {"timeout": "timeout", "cut": "cut"}
        self._end(attempt, outcomes.get(error.reason, "error"), started)
        self._blame(error)

    def _passed(self, key: UpstreamKey, attempt: Attempt, started: float) -> None:
        self.breaker.passed()
        if key.strikes:
            self.keys.passed(key)
        self.stats.passed(started + attempt.seconds, attempt.first_byte_seconds, attempt.seconds)

    def _blame(self, error: Failed) -> None:
        self.stats.failed(error.reason if error.upstream_status is None else str(error.upstream_status))
        if error.faulty:
            self.breaker.failed(monotonic())
        elif error.then in ("final", "larger"):  # it answered, as it should have
            self.breaker.passed()
        else:
            self.breaker.left()

    def _end(self, attempt: Attempt, outcome: Outcome, started: float) -> None:
        attempt.outcome = outcome
        attempt.seconds = monotonic() - started
        self.stats.running -= 1
        if self._retired:
            self.retire()

    # --- its end ------------------------------------------------------------------------------------------------

    def retire(self) -> None:
        """Closes its connections once the calls that run have ended."""
        self._retired = True
        if self.stats.running == 0 and self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self.source.close())

    async def close(self) -> None:
        """Closes its connections now."""
        await (self._closing or self.source.close())


def _as_failed(error: HomespunError) -> Failed:
    """An error of a model in this process: the machine, not the request, is at fault, and asking again won't help."""
    if isinstance(error, Failed):
        return error
    return Failed("refused", str(error), status=503, then="elsewhere")
