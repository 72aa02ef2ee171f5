"""Price, limits and budget as wrappers: by hand, and by the law that a budget is never exceeded."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.errors import BudgetError, ConfigError
from homespun.models.base import Model, most_input_tokens, reply
from homespun.models.openai import OpenAI
from homespun.models.scripted import Rule, Scripted
from homespun.models.wrap import Budgeted, Limited, Priced
from homespun.records import Cost, Message, Prompt, Sample, Sampling
from homespun.runs.cost import Budget, Ledger, Price, Rates

PRICE = Price(model="m", provider="p", since=None, input=10, cached_input=5, output=20, source="test")


class Metered:
    """A model that uses the tokens that it is told to, and counts how many of its calls overlap."""

    def __init__(self, cost: Cost | None = None, seconds: float = 0.0, *, broken: bool = False) -> None:
        self.name, self.cost, self.seconds, self.broken = "metered", cost or Cost(), seconds, broken
        self.running = self.most = self.calls = 0
        self.starts: list[float] = []

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        self.calls += 1
        self.running += 1
        self.most = max(self.most, self.running)
        self.starts.append(anyio.current_time())
        await anyio.sleep(self.seconds)
        self.running -= 1
        if self.broken:
            raise OSError("broken")
        return [reply(prompt, self.name, index, "x", cost=self.cost) for index in range(n)]


@pytest.mark.anyio
async def test_tokens_become_dollars(ask):
    used = Cost(input_tokens=1000, cached_tokens=400, output_tokens=100, seconds=2)
    [row] = await Priced(Metered(used), PRICE).sample(ask())
    assert row.cost.dollars == pytest.approx((600 * 10 + 400 * 5 + 100 * 20) / 1e6)
    assert row.cost.seconds == 2


@pytest.mark.anyio
async def test_a_model_is_priced_by_its_name_in_the_table():
    assert Priced(OpenAI("gpt-4o", base_url="http://127.0.0.1:9/v1", api_key="")).price.model == "gpt-4o"
    assert Priced(OpenAI("gpt-4-0613", base_url="https://api.openai.com/v1", api_key="")).price.model == "gpt-4"
    with pytest.raises(ConfigError, match="no price"):
        Priced(Metered())


@pytest.mark.anyio
async def test_what_came_from_a_cache_is_not_priced(ask):
    class Replay(Metered):
        async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
            rows = await super().sample(prompt, n)
            return [row.model_copy(update={"from_cache": True}) for row in rows]

    [row] = await Priced(Replay(Cost(input_tokens=50)), PRICE).sample(ask())
    assert row.cost.dollars == 0


@given(st.text(max_size=200), st.integers(1, 5000), st.integers(1, 5), st.floats(0, 1), st.floats(0, 1))
def test_no_call_within_its_limits_costs_more_than_the_worst_case(text, most, n, share_in, share_out):
    messages = (Message(role="user", content=text),)
    prompt = Prompt(id="p", problem_id="p", strategy="s", messages=messages, sampling=Sampling(max_tokens=most))
    used = Cost(input_tokens=int(share_in * most_input_tokens(prompt)), output_tokens=int(share_out * most))
    model = Priced(Metered(used), PRICE)
    rows = anyio.run(model.sample, prompt, n)
    assert sum(row.cost.dollars for row in rows) <= model.worst_case(prompt, n) * (1 + 1e-12)


@pytest.mark.anyio
async def test_so_many_calls_at_once_and_no_more(ask):
    inner = Metered(seconds=0.002)
    model = Limited(inner, concurrency=3)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(model.sample, ask())
    assert (inner.most, inner.calls) == (3, 20)


@pytest.mark.anyio
async def test_so_many_calls_a_second_and_no_more(ask):
    inner = Metered()
    model = Limited(inner, concurrency=50, per_second=200)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(model.sample, ask())
    starts = sorted(inner.starts)
    assert starts[-1] - starts[0] >= 9 / 200 - 0.002


@pytest.mark.parametrize("limits", [{"concurrency": 0}, {"per_second": 0.0}])
def test_limits_that_let_nothing_through_are_refused(limits):
    with pytest.raises(ConfigError):
        Limited(Metered(), **limits)


@pytest.mark.anyio
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
async def test_two_hundred_calls_at_once_never_exceed_the_budget(ask, share):
    prompt = ask(max_tokens=1000)
    used = Cost(input_tokens=10, output_tokens=int(1000 * share))
    inner = Metered(used, seconds=0.001)
    budget, ledger, refused = Budget(0.5), Ledger(), 0
    model = Budgeted(Priced(inner, PRICE), budget, ledger=ledger, stage="test")

    async def call() -> None:
        nonlocal refused
        try:
            await model.sample(prompt)
        except BudgetError:
            refused += 1
        assert budget.spent + budget.reserved <= budget.dollars

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(call)
    assert inner.calls + refused == 200
    assert refused > 0
    assert budget.spent == pytest.approx(inner.calls * (10 * 10 + 1000 * share * 20) / 1e6)
    assert budget.spent <= 0.5
    assert budget.reserved == 0
    assert ledger.by_stage()["test"].dollars == pytest.approx(budget.spent)


@pytest.mark.anyio
async def test_the_call_that_would_pass_the_limit_is_not_made(ask):
    inner = Metered(Cost(output_tokens=1))
    model = Budgeted(Priced(inner, PRICE), Budget(0.01))
    with pytest.raises(BudgetError, match="budget"):
        await model.sample(ask(max_tokens=1000))
    assert inner.calls == 0
    await model.sample(ask("x", max_tokens=10))
    assert inner.calls == 1


@pytest.mark.anyio
async def test_a_call_that_breaks_or_is_cancelled_counts_as_the_worst_case(ask):
    budget = Budget(1.0)
    broken = Budgeted(Priced(Metered(broken=True), PRICE), budget)
    with pytest.raises(OSError, match="broken"):
        await broken.sample(ask(max_tokens=10))
    assert budget.spent == pytest.approx(broken.worst_case(ask(max_tokens=10)))
    slow = Budgeted(Priced(Metered(seconds=5), PRICE), budget)
    with anyio.move_on_after(0.01):
        await slow.sample(ask(max_tokens=10))
    assert budget.spent == pytest.approx(2 * broken.worst_case(ask(max_tokens=10)))
    assert budget.reserved == 0


@pytest.mark.anyio
async def test_a_failed_call_costs_nothing(ask):
    budget = Budget(1.0)
    [row] = await Budgeted(Scripted([Rule(status=500)]), budget).sample(ask())
    assert (row.finish, budget.spent, budget.left) == ("error", 0.0, 1.0)


def test_a_budget_needs_a_price():
    with pytest.raises(ConfigError, match="Priced"):
        Budgeted(Limited(Metered()), Budget(1.0))
    with pytest.raises(ConfigError, match="Priced"):
        Budgeted(Metered(), Budget(1.0))


@pytest.mark.anyio
async def test_a_wrapper_has_the_shape_and_the_name_of_what_it_wraps_and_closes_it():
    class Closable(Scripted):
        closed = False

        async def close(self) -> None:
            self.closed = True

    inner = Closable([Rule()], rates=Rates(input=1, cached_input=1, output=1))
    async with Limited(Budgeted(inner, Budget(1))) as model:
        assert isinstance(model, Model)
        assert model.name == inner.name
    assert inner.closed
