"""Prices against their published figures; ledger and budget against the laws of addition."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.errors import BudgetError, ConfigError
from homespun.records import Cost
from homespun.runs.cost import Budget, Ledger, LongRates, Price, Rates, canonical_name, cost, price, price_table

TOKENS = st.integers(0, 10**7)
DOLLARS = st.floats(0, 1e4, allow_nan=False)
COSTS = st.builds(Cost, input_tokens=TOKENS, output_tokens=TOKENS, dollars=DOLLARS, seconds=DOLLARS)
MIDDLE_OF_2023 = date(2023, 7, 1)


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("gpt-4", (30, 60)),
        ("gpt-3.5-turbo", (1.5, 2)),
        ("code-davinci-001", (20, 20)),
        ("code-davinci-002", (20, 20)),
        ("text-davinci-002", (20, 20)),
        ("text-davinci-003", (20, 20)),
    ],
)
def test_prices_of_2023_are_those_of_the_convention(model, rates):
    row = price(model, MIDDLE_OF_2023)
    assert (row.input, row.output) == rates


def test_a_price_holds_from_its_day_until_the_next():
    days = [date(2023, 3, 1), date(2023, 6, 12), date(2023, 6, 13), date(2024, 2, 15), date(2024, 2, 16)]
    assert [price("gpt-3.5-turbo", day).input for day in days] == [2, 2, 1.5, 1.5, 0.5]
    with pytest.raises(ConfigError, match="2023-03-01"):
        price("gpt-3.5-turbo", date(2023, 2, 28))


def test_cost_by_hand():
    spent = cost("gpt-4o", 1_000_000, 500_000, 400_000)  # 0.6 × $2.50 + 0.4 × $1.25 + 0.5 × $10
    assert spent.dollars == pytest.approx(7.0)
    assert (spent.input_tokens, spent.cached_tokens, spent.output_tokens) == (1_000_000, 400_000, 500_000)


@pytest.mark.parametrize(
    ("name", "stands_for"),
    [
        ("gpt-4-0613", "gpt-4"),
        ("openai:gpt-4", "gpt-4"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4-1106-preview", "gpt-4-turbo"),
        ("gpt-3.5-turbo-0613", "gpt-3.5-turbo-0613"),
        ("local:smollm2", "smollm2-135m-instruct"),
    ],
)
def test_other_names_of_a_model(name, stands_for):
    assert canonical_name(name) == stands_for


def test_an_unknown_model_names_close_ones():
    with pytest.raises(ConfigError, match="gpt-4o") as caught:
        price("gpt-4oo")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        price("")


def test_the_table_is_sound():
    table = price_table()
    assert len(table.rows) >= 60
    assert set(table.aliases.values()) <= set(table.rows)
    assert not set(table.aliases) & set(table.rows)
    for rows in table.rows.values():
        assert len({row.since for row in rows}) == len(rows)
        assert all(row.cached_input <= row.input and row.source for row in rows)


def test_long_prompts_pay_the_long_rates():
    long = LongRates(over=100, input=4, cached_input=2, output=6)
    row = Price(model="m", provider="p", since=None, input=2, cached_input=1, output=3, long=long, source="s")
    assert row.rates(100) is row
    assert row.rates(101) is long


@given(TOKENS, TOKENS, TOKENS, TOKENS)
def test_dollars_are_linear_and_a_cached_token_is_never_dearer(a, b, c, d):
    rates = Rates(input=2.5, cached_input=0.5, output=10)
    assert rates.dollars(a + b, c + d) == pytest.approx(rates.dollars(a, c) + rates.dollars(b, d))
    assert rates.dollars(a, c, cached_tokens=b) <= rates.dollars(a, c) + 1e-9
    assert rates.dollars(a, c, cached_tokens=a + b) == pytest.approx(rates.dollars(a, c, cached_tokens=a))


@given(st.lists(st.tuples(COSTS, st.sampled_from("ab"), st.sampled_from("xyz"))))
def test_a_ledger_adds_up_however_it_is_cut(entries):
    ledger = Ledger()
    for spent, model, stage in entries:
        ledger.add(spent, model=model, stage=stage)
    total = ledger.total
    assert total.input_tokens == sum(spent.input_tokens for spent, _, _ in entries)
    assert total.dollars == pytest.approx(sum(spent.dollars for spent, _, _ in entries))
    for groups in (ledger.by_model(), ledger.by_stage()):
        assert Cost.total(list(groups.values())).dollars == pytest.approx(total.dollars)
    assert sum(row["output_tokens"] for row in ledger.rows()) == total.output_tokens


@given(COSTS, COSTS, COSTS)
def test_costs_add_in_any_order(a, b, c):
    left, right = (a + b) + c, a + (b + c)
    assert left.model_dump(exclude={"dollars", "seconds"}) == right.model_dump(exclude={"dollars", "seconds"})
    assert left.dollars == pytest.approx(right.dollars)
    assert a + Cost() == a


@given(DOLLARS, st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1))))
def test_a_budget_is_never_exceeded(limit, calls):
    budget = Budget(limit)
    for most, share in calls:
        try:
            reservation = budget.reserve(most)
        except BudgetError:
            assert most > budget.left
            continue
        assert budget.spent + budget.reserved <= limit
        reservation.settle(most * share)
        reservation.settle(most)  # a second settlement changes nothing
        assert budget.reserved == 0
    assert budget.spent <= limit


def test_a_budget_holds_to_the_last_cent_without_drift():
    budget = Budget(1.0)
    for _ in range(8):
        with budget.reserve(0.125) as reservation:
            reservation.settle(0.125)
    assert (budget.spent, budget.left) == (1.0, 0.0)
    with pytest.raises(BudgetError):
        budget.reserve(1e-300)
    assert budget.reserve(0.0) is not None


def test_a_reservation_left_open_is_given_back():
    budget = Budget(1.0)
    with budget.reserve(0.75):
        assert budget.left == 0.25
    assert (budget.left, budget.spent) == (1.0, 0.0)


def test_a_budget_is_safe_across_threads():
    budget, start = Budget(1.0), threading.Barrier(8)

    def spend() -> int:
        start.wait()
        taken = 0
        for _ in range(100):
            try:
                budget.reserve(0.01).settle(0.01)
                taken += 1
            except BudgetError:
                pass
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = sum(future.result() for future in [pool.submit(spend) for _ in range(8)])
    assert taken in (99, 100)  # a hundred times the float 0.01 is a hair more than 1
    assert budget.spent <= 1.0
    assert budget.reserved == 0


@pytest.mark.parametrize("dollars", [-1.0, float("inf"), float("nan")])
def test_a_budget_that_is_none_is_refused(dollars):
    with pytest.raises(ConfigError):
        Budget(dollars)
