"""Every target of the settings, callable: retries, keys, breakers and fallbacks under one deadline and one budget.

Times are those of the loop, which is the monotonic clock: `asyncio.get_running_loop` asks the kernel for the process
id each time (until Python 3.12), and would be the dearest thing on this path.

Nothing is tried again once an event has been handed out. What a call may cost is checked before each attempt, so that
retries and dearer fallbacks stay within what was set aside for the whole.
"""

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import Any

from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.types import Attempt, Call, Reply, Usage
from homespun.serve.gateway.upstream import usage as counting
from homespun.serve.gateway.upstream.address import refuse_fields
from homespun.serve.gateway.upstream.capability import limit_field, objection
from homespun.serve.gateway.upstream.failure import Failed
from homespun.serve.gateway.upstream.keys import UpstreamKey
from homespun.serve.gateway.upstream.retry import cooling, pause
from homespun.serve.gateway.upstream.upstream import Upstream

Body = dict[str, Any]

MOST_TARGETS = 8
"""Targets that one call tries at most, fallbacks of fallbacks included."""


class Fleet:
    """All upstreams.

    Args:
        config: The settings.

    Raises:
        ConfigError: a target cannot be called: no price, no key, a refused address.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._upstreams = {t.name: Upstream(t, config.timeouts, config.retries) for t in config.target}

    async def call(self, target: str, call: Call, attempts: list[Attempt], *, fallbacks: bool = True) -> Reply:
        """Asks a target; when it fails, again, and then its fallbacks.

        Args:
            target: Its name.
            call: What to ask.
            attempts: Gets a row for every call of an upstream when it starts.
            fallbacks: Whether others may answer.

        Raises:
            UpstreamError: nobody answered; the last failure.
        """
        refuse_fields(call.body)
        upstream = self._upstreams.get(target)
        if upstream is None:  # it left the settings after the request came
            what = f"The model {target[:80]!r} is no longer served."
            raise Failed("refused", what, status=404, code="model_not_found", then="final", faulty=False)
        deadline = call.deadline or monotonic() + upstream.timeouts.total
        before = len(attempts)
        try:
            return await self._ask(upstream, call, deadline, attempts, before)
        except Failed as error:
            if not fallbacks or not upstream.target.fallbacks or error.then == "final":
                raise
            return await self._elsewhere(upstream, call, deadline, attempts, before, error)

    async def _elsewhere(
        self, failed: Upstream, call: Call, deadline: float, attempts: list[Attempt], before: int, error: Failed
    ) -> Reply:
        """Asks those that stand in, in order, each once."""
        largest = failed.target.context
        for upstream in self._stand_ins(failed):
            if error.then == "larger" and upstream.target.context <= largest:
                continue
            if objection(upstream.target, call.body) is not None:
                continue
            if monotonic() >= deadline:
                break
            try:
                return await self._ask(upstream, call, deadline, attempts, before)
            except Failed as again:
                if again.then == "final":
                    raise
                error, largest = again, max(largest, upstream.target.context)
        raise error

    def _stand_ins(self, upstream: Upstream) -> Iterator[Upstream]:
        """Fallbacks, then theirs, each target once."""
        seen, line = {upstream.target.name}, [upstream.target]
        while line:
            for name in line.pop(0).fallbacks:
                if name not in seen and name in self._upstreams and len(seen) < MOST_TARGETS:
                    seen.add(name)
                    line.append(self._upstreams[name].target)
                    yield self._upstreams[name]

    async def _ask(
        self, upstream: Upstream, call: Call, deadline: float, attempts: list[Attempt], before: int
    ) -> Reply:
        """Asks one target, again where that may help.

        Raises:
            Failed: it did not.
        """
        made, last = 0, None
        while True:
            key = upstream.keys.pick(monotonic())
            if not isinstance(key, UpstreamKey):
                key = await self._key(upstream, deadline, last)
            if call.budget is not None:
                call = self._within(upstream, call, attempts, before)
            if wait := upstream.breaker.enter(monotonic()):
                raise last or _open(upstream, wait)
            try:
                return await upstream.attempt(call, key, deadline, attempts)
            except Failed as error:
                last = error
                made += error.then != "key"
                await self._prepare(upstream, key, error, made, deadline)

    async def _key(self, upstream: Upstream, deadline: float, last: Failed | None) -> UpstreamKey:
        """A key that may be used, once there is one.

        Raises:
            Failed: none will be in time.
        """
        while not isinstance(key := upstream.keys.pick(now := monotonic()), UpstreamKey):
            if key >= deadline:
                raise last or _no_key(upstream, key - now)
            await asyncio.sleep(key - now)
        return key

    async def _prepare(self, upstream: Upstream, key: UpstreamKey, error: Failed, made: int, deadline: float) -> None:
        """Benches and cools keys, and waits until the next attempt makes sense.

        Raises:
            Failed: the error, if there should be none.
        """
        retries, keys, now = self._config.retries, upstream.keys, monotonic()
        if error.then == "key":
            keys.bench(key, now + retries.key_seconds)
            if len(keys.benched(now)) == len(keys.keys):
                error.then = "elsewhere"
                raise error
            return
        limited = error.upstream_status == 429
        if limited:
            keys.cool(key, now, now + cooling(retries, key.strikes, error.retry_after))
        if error.then != "again" or made >= retries.attempts:
            raise error
        if limited and isinstance(keys.pick(now), UpstreamKey):
            return  # another key is free: no need to wait
        seconds = pause(retries, made, error.retry_after)
        if now + seconds >= deadline:
            raise error
        await asyncio.sleep(seconds)

    def _within(self, upstream: Upstream, call: Call, attempts: list[Attempt], before: int) -> Call:
        """The call with a bound on its answer, if that fits in what is left of its budget.

        Raises:
            Failed: it does not; what was spent is on the books.
        """
        assert call.budget is not None
        if call.covers == upstream.target.name and len(attempts) == before:
            return call
        body = self.bounded(upstream.target.name, call.body)
        spent = sum(attempt.nanodollars for attempt in attempts[before:])
        if spent + upstream.source.bound(body)[1] > call.budget:
            what = f"What was set aside for this request does not cover another call, of {upstream.target.name}."
            raise Failed("budget", what, status=429, code="insufficient_quota", then="elsewhere", faulty=False)
        if body is call.body:
            return call
        return Call(call.path, body, call.stream, call.deadline, call.purpose, call.problem, call.budget)

    # --- what is known beforehand -------------------------------------------------------------------------------

    def bound(self, target: str, body: Body) -> tuple[int, int]:
        """The most (tokens, nanodollars) that one attempt can use."""
        most, nanodollars = self._upstreams[target].source.bound(body)
        return most.input + most.output, nanodollars

    def bounded(self, target: str, body: Body) -> Body:
        """The body with a limit on its answer: the client's, else the target's ``max_output``."""
        found = self._upstreams[target].target
        if counting.most_output(body) is not None or counting.embeds(found, body):
            return body
        return {**body, limit_field(found, body): found.max_output}

    def serves(self, target: str, body: Body) -> str | None:
        """Why a target cannot answer a request (capability, context); ``None`` if it can."""
        return objection(self._upstreams[target].target, body)

    def price(self, target: str, usage: Usage) -> int:
        """Nanodollars of these tokens at a target."""
        return self._upstreams[target].price.cost(usage)

    def strongest(self) -> str | None:
        """Target that savings are told against: the setting's, else the tier with the dearest tokens."""
        tiers, thousand = self._config.tiers(), Usage(input=1000, output=1000)
        if (name := self._config.auto.strongest) is not None or not tiers:
            return name
        return max(tiers, key=lambda tier: self.price(tier.name, thousand)).name

    # --- settings and state -------------------------------------------------------------------------------------

    async def update(self, config: GatewayConfig) -> None:
        """Takes new settings over; unchanged targets keep connections, breakers and benches, running calls end.

        Raises:
            ConfigError: they cannot be taken over; nothing has changed.
        """
        upstreams: dict[str, Upstream] = {}
        for target in config.target:
            old = self._upstreams.get(target.name)
            keep = old is not None and old.unchanged(target, config.timeouts)
            upstreams[target.name] = old if old and keep else Upstream(target, config.timeouts, config.retries)
        gone = [old for name, old in self._upstreams.items() if upstreams.get(name) is not old]
        self._config, self._upstreams = config, upstreams
        for upstream in upstreams.values():
            upstream.adopt(config.timeouts, config.retries)
        for upstream in gone:
            upstream.retire()

    def health(self) -> list[dict[str, Any]]:
        """For each target: breaker, calls, failures by reason, quantiles of seconds, variables of benched keys."""
        now = monotonic()
        return [_health(upstream, now) for upstream in self._upstreams.values()]

    async def close(self) -> None:
        """Closes all connections."""
        for upstream in self._upstreams.values():
            await upstream.close()


def _health(upstream: Upstream, now: float) -> dict[str, Any]:
    target: Target = upstream.target
    cool = upstream.keys.pick(now)
    return {
        "target": target.name,
        "kind": target.kind,
        "model": target.model,
        "breaker": upstream.breaker.state(now),
        "benched": upstream.keys.benched(now),
        "cooling_seconds": cool - now if isinstance(cool, float) and cool != float("inf") else 0.0,
        **upstream.stats.row(now),
    }


def _open(upstream: Upstream, wait: float) -> Failed:
    what = f"{upstream.target.name} has failed several times in a row and is left alone for {wait:.3g} s"
    return Failed("breaker", what, status=503, retry_after=wait, then="elsewhere", faulty=False)


def _no_key(upstream: Upstream, wait: float) -> Failed:
    if wait == float("inf"):
        what = f"{upstream.target.name} refused every key that the gateway has for it"
        return Failed("status", what, code="upstream_key", then="elsewhere", faulty=False)
    what = f"{upstream.target.name} asked for quiet for {wait:.3g} s"
    error = Failed("status", what, status=429, upstream_status=429, retry_after=wait, then="elsewhere", faulty=False)
    error.code = "rate_limit_exceeded"
    return error
