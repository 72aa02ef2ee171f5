"""Records are frozen, finite and survive a trip through JSON; costs add like numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from homespun import records
from homespun.records import Cost, Message, Prompt, Record, Sample, Sampling, Verdict

KINDS = [kind for kind in vars(records).values() if isinstance(kind, type) and issubclass(kind, Record)]
COUNT, AMOUNT = st.integers(0, 10**9), st.floats(0, 1e6)
COSTS = st.builds(
    Cost,
    input_tokens=COUNT,
    cached_tokens=COUNT,
    output_tokens=COUNT,
    dollars=AMOUNT,
    seconds=AMOUNT,
    gpu_seconds=AMOUNT,
)


def near(left: Cost, right: Cost) -> bool:
    return left.model_dump() == pytest.approx(right.model_dump(), rel=1e-12)


@given(left=COSTS, middle=COSTS, right=COSTS)
def test_costs_add_in_any_order_and_grouping(left: Cost, middle: Cost, right: Cost) -> None:
    assert left + right == right + left
    assert near((left + middle) + right, left + (middle + right))
    assert left + Cost() == left
    assert near(Cost.total([left, middle, right]), left + middle + right)


def test_the_total_of_nothing_is_nothing() -> None:
    assert Cost.total([]) == Cost() == Cost(dollars=0)


@given(cost=COSTS, text=st.text(), logprobs=st.none() | st.lists(st.floats(-50, 0)).map(tuple))
def test_a_sample_survives_json(cost: Cost, text: str, logprobs: tuple[float, ...] | None) -> None:
    sample = Sample(id="s", prompt_id="p", index=0, model="m", text=text, logprobs=logprobs, cost=cost)
    assert Sample.model_validate_json(sample.model_dump_json()) == sample


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_record_is_frozen_strict_about_fields_and_documented(kind: type[Record]) -> None:
    assert kind.__doc__
    assert kind.model_config.get("frozen") is True
    assert kind.model_config.get("extra") == "forbid"
    with pytest.raises(ValidationError, match="surprise"):
        kind.model_validate({"surprise": 1})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_verdict_is_a_fraction_or_unknown(bad: float) -> None:
    with pytest.raises(ValidationError):
        Verdict(subject_id="s", grader="g", grader_version="1", value=bad)
    assert Verdict(subject_id="s", grader="g", grader_version="1", value=None).value is None


@pytest.mark.parametrize(
    ("field", "bad"), [("dollars", -1), ("dollars", float("nan")), ("input_tokens", -1), ("input_tokens", 1.5)]
)
def test_costs_are_never_negative_nor_unknown(field: str, bad: float) -> None:
    with pytest.raises(ValidationError):
        Cost.model_validate({field: bad})


def test_records_cannot_be_changed() -> None:
    prompt = Prompt(id="p", problem_id="x", strategy="cot", messages=(Message(role="user", content="hi"),))
    with pytest.raises(ValidationError, match="frozen"):
        prompt.id = "q"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("bad", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"max_tokens": 0}])
def test_sampling_is_checked(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Sampling.model_validate(bad)
