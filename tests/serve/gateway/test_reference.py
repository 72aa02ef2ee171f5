"""What savings are told against: the strongest target, at what it cost where that is known."""

from fractions import Fraction

import polars as pl
import pytest

from homespun.data import path
from homespun.models.recorded import recorded_cost
from homespun.serve.gateway.config import parse
from homespun.serve.gateway.gateway import Gateway
from homespun.serve.gateway.types import Attempt, Reply, Routed, Usage
from homespun.serve.gateway.upstream import Fleet

PLACE = {"url": "http://model.example/v1", "model": "m"}
TWO = [
    {"name": "small", "price": {"input": 1, "output": 2}, **PLACE},
    {"name": "large", "price": {"input": 10, "output": 20}, **PLACE},
]


def gateway(settings: dict[str, object]) -> Gateway:
    found = Gateway(parse(settings))
    found.fleet = Fleet(found.config)
    found._compare()
    return found


def routed(target: str, *, tiers: int = 1) -> Routed:
    attempt = Attempt(target, "answer", 0.0, usage=Usage(input=100, output=10))
    return Routed(Reply(target, attempt, body={}), "single", [target] * tiers)


def test_the_dearest_tier_is_the_strongest_unless_the_settings_say_otherwise():
    assert Fleet(parse({"target": TWO})).strongest() == "large"
    assert Fleet(parse({"target": TWO, "auto": {"strongest": "small"}})).strongest() == "small"
    assert Fleet(parse({"target": TWO, "auto": {"tiers": ["small"]}})).strongest() == "small"
    assert Fleet(parse({})).strongest() == "recorded:gpt-4/ltm"


def test_the_strongest_is_taken_to_read_and_write_as_much():
    assert gateway({"target": TWO}).reference(routed("small"), {}) == 100 * 10_000 + 10 * 20_000
    assert gateway({"target": TWO}).reference(routed("small", tiers=0), {}) is None  # a kept answer


@pytest.mark.slow
def test_of_a_recorded_question_the_real_cost_is_known():
    problem = pl.read_parquet(path("recorded/problems.parquet")).filter(pl.col("dataset") == "gsm8k").row(0, named=True)
    table = pl.scan_parquet(path("recorded/greedy.parquet"))
    wanted = {"dataset": "gsm8k", "id": problem["id"], "model": "gpt-4", "strategy": "ltm"}
    [answer] = table.filter(**wanted).collect()["completion"]
    body = {"messages": [{"role": "user", "content": problem["question"]}]}
    dollars = recorded_cost(problem["question"], answer, "gpt-4", "ltm").dollars
    found = gateway({}).reference(routed("recorded:gpt-4/cot"), body)
    assert found == round(Fraction(dollars) * 10**9)
    assert gateway({}).reference(routed("local:smollm2"), body) is None
