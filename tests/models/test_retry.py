"""What is tried again, how long it waits, and that one deadline holds over all attempts."""

import anyio
import pytest

from homespun.errors import ConfigError
from homespun.models import retry
from homespun.models.base import failure, reply
from homespun.models.retry import Retried, RetryConfig
from homespun.models.scripted import Rule, Scripted
from homespun.models.wrap import Budgeted, Limited
from homespun.records import Cost, Prompt, Sample
from homespun.runs.cost import Budget, Rates

pytestmark = pytest.mark.anyio
QUICK = RetryConfig(base=0.001, cap=0.002, seed=0)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
async def test_what_may_pass_is_tried_again(ask, status):
    inner = Scripted([Rule(status=status, times=2), Rule(replies=("done",))])
    [row] = await Retried(inner, QUICK).sample(ask())
    assert (row.text, inner.calls) == ("done", 3)


@pytest.mark.parametrize("rule", [Rule(status=400), Rule(status=401), Rule(status=404), Rule(error="bad JSON")])
async def test_what_will_not_pass_is_not_tried_again(ask, rule):
    inner = Scripted([rule])
    [row] = await Retried(inner, QUICK).sample(ask())
    assert (row.finish, inner.calls) == ("error", 1)


async def test_attempts_run_out_with_the_last_reason(ask):
    inner = Scripted([Rule(status=503, error="overloaded")])
    rows = await Retried(inner, QUICK).sample(ask(), 2)
    assert [row.error for row in rows] == ["overloaded"] * 2
    assert inner.calls == QUICK.attempts


@pytest.fixture
def pauses(monkeypatch):
    """Sleeps are noted instead of slept."""
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(retry.anyio, "sleep", note)
    return slept


async def test_retry_after_is_honoured(ask, pauses):
    inner = Scripted([Rule(status=429, retry_after=7, times=1), Rule(replies=("done",))])
    [row] = await Retried(inner, QUICK).sample(ask())
    assert (row.text, pauses) == ("done", [7])


async def test_pauses_grow_with_jitter_up_to_their_cap(ask, pauses):
    config = RetryConfig(attempts=9, base=1, cap=20, seed=1)
    await Retried(Scripted([Rule(status=500)]), config).sample(ask())
    longest = [1, 2, 4, 8, 16, 20, 20, 20]
    assert len(pauses) == 8
    assert all(0 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert len(set(pauses)) == 8
    pauses.clear()
    await Retried(Scripted([Rule(status=500)]), RetryConfig(attempts=3, base=1, seed=2)).sample(ask())
    other = list(pauses)
    pauses.clear()
    await Retried(Scripted([Rule(status=500)]), RetryConfig(attempts=3, base=1, seed=2)).sample(ask())
    assert pauses == other


async def test_a_wait_beyond_the_deadline_is_not_begun(ask, pauses):
    inner = Scripted([Rule(status=429, error="slow down", retry_after=3600)])
    [row] = await Retried(inner, RetryConfig(deadline=10)).sample(ask())
    assert (row.error, row.retry_after, pauses, inner.calls) == ("slow down", 3600, [], 1)


async def test_one_deadline_holds_over_all_attempts(ask):
    inner = Scripted([Rule(status=500, times=1), Rule(delay=5)])
    with anyio.fail_after(2):
        rows = await Retried(inner, RetryConfig(base=0, deadline=0.05)).sample(ask(), 2)
    assert [row.error for row in rows] == ["no answer within the deadline of 0.05 s; status 500"] * 2
    with anyio.fail_after(2):
        rows = await Retried(Scripted([Rule(delay=5)]), RetryConfig(deadline=0.05)).sample(ask(), 2)
    assert [row.finish for row in rows] == ["error"] * 2


class Partly:
    """Fails for the second sample on the first call; tells the seed that it was asked with."""

    name = "partly"

    def __init__(self) -> None:
        self.asked: list[tuple[int | None, int]] = []

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        self.asked.append((prompt.sampling.seed, n))
        cost = Cost(input_tokens=5)
        rows: list[Sample] = [reply(prompt, self.name, index, f"{index}", cost=cost) for index in range(n)]
        if len(self.asked) == 1:
            rows[1] = failure(prompt, self.name, 1, "lost", status=500, retryable=True, cost=cost)
        return rows


async def test_only_the_rows_that_failed_are_asked_for_again_with_their_own_seed(ask):
    inner = Partly()
    rows = await Retried(inner, QUICK).sample(ask(seed=40), 3)
    assert inner.asked == [(40, 3), (41, 1)]
    assert [row.index for row in rows] == [0, 1, 2]
    assert [row.id for row in rows] == ["p@partly#0", "p@partly#1", "p@partly#2"]
    assert [row.cost.input_tokens for row in rows] == [5, 10, 5]  # every attempt is counted


async def test_rows_that_were_paid_for_are_kept_when_the_budget_ends(ask):
    class Once(Partly):
        def worst_case(self, prompt: Prompt, n: int = 1) -> float:
            return 1.0

        async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
            rows = await super().sample(prompt, n)
            return [row.model_copy(update={"cost": Cost(dollars=1.0 / n)}) for row in rows]

    inner = Once()
    rows = await Retried(Budgeted(inner, Budget(1.5)), QUICK).sample(ask(), 2)
    assert [row.finish for row in rows] == ["stop", "error"]
    assert len(inner.asked) == 1


async def test_the_worst_case_is_that_of_every_attempt(ask):
    inner = Scripted([Rule(replies=("abcd",))], rates=Rates(input=1, cached_input=1, output=1))
    model = Retried(Limited(inner), RetryConfig(attempts=4))
    assert model.worst_case(ask(), 2) == pytest.approx(4 * inner.worst_case(ask(), 2))


async def test_patience_of_no_sense_is_refused():
    for config in (RetryConfig(attempts=0), RetryConfig(base=-1)):
        with pytest.raises(ConfigError):
            Retried(Scripted([Rule()]), config)
