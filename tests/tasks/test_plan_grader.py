"""Plans: equal to any accepted one after dropping find(initial) and renumbering; the released fault in paper mode."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.records import Problem
from homespun.tasks import grader
from homespun.tasks.graders.plan import MALFORMED

COKE = "1. find(coke)\n2. pick(coke)\n3. find(user)\n4. put(coke)\n5. done().\n"
BROKEN = "1. find(coke)\n2. pick("
PROBLEM = Problem(id="0", task="saycan", question="Bring me a coke.", answer=json.dumps([BROKEN, COKE]))

PLANS = {
    "1. find(coke), 2. pick(coke), 3. find(user), 4. put(coke), 5. done().": 1.0,
    "1. find(initial), 2. find(coke), 3. pick(coke), 4. find(user), 5. put(coke), 6. done().": 1.0,
    "Plan: find( Coke ), pick(coke), find(user), put(coke), done()": 1.0,
    COKE.replace("done()", "done"): 1.0,
    "1. find(coke), 2. pick(coke), 3. find(table), 4. put(coke), 5. done().": 0.0,
    "1. find(coke), 2. pick(coke), 3. find(user), 4. put(coke)": 0.0,
    "1. pick(coke), 2. find(coke), 3. find(user), 4. put(coke), 5. done().": 0.0,
    "I'm sorry, I don't understand.": 0.0,
    "[error]": 0.0,
    BROKEN: 0.0,
}


@pytest.mark.parametrize(("plan", "value"), PLANS.items())
def test_strict(plan: str, value: float) -> None:
    assert grader("plan").grade(PROBLEM, plan).value == value


def test_paper_counts_a_refusal_as_right_and_strict_does_not() -> None:
    refusal = "I'm sorry, I don't understand."
    verdict = grader("plan", "paper").grade(PROBLEM, refusal)
    assert (verdict.value, verdict.answer) == (1.0, MALFORMED)
    assert grader("plan").grade(PROBLEM, refusal).value == 0.0


def test_paper_compares_text() -> None:
    paper = grader("plan", "paper")
    assert paper.grade(PROBLEM, COKE).value == 1.0
    assert paper.grade(PROBLEM, COKE.replace("\n", "\\n")).value == 1.0
    assert paper.grade(PROBLEM, COKE.replace("coke", "Coke")).value == 0.0
    assert paper.grade(PROBLEM, "[invalid]").value == 0.0


def test_a_python_list_and_a_single_plan_are_gold_too() -> None:
    strict = grader("plan")
    assert strict.read_gold(str([COKE])).answer == strict.read_gold(COKE).answer == strict.gold(PROBLEM)
    assert strict.read_gold('[1, "').answer is None
    assert strict.read_gold("{}").answer is None


STEPS = st.lists(st.sampled_from(["find(coke)", "pick(coke)", "put(lime soda)", "find(user)"]), min_size=1, max_size=8)


@given(STEPS, st.lists(st.integers(0, 7), max_size=3), st.sampled_from([", ", "\n", " ; "]))
def test_numbering_and_going_home_do_not_matter(steps: list[str], homes: list[int], between: str) -> None:
    strict = grader("plan")
    whole = [*steps, "done()"]
    plain = strict.read(", ".join(whole)).answer
    for position in homes:
        whole.insert(min(position, len(whole) - 1), "find(initial)")
    assert strict.read(between.join(f"{n}. {step}" for n, step in enumerate(whole, 3))).answer == plain
    assert strict.read(", ".join([*steps, "find(moon)", "done()"])).answer != plain
