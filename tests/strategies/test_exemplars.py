"""Every exemplar is right, in every form that it takes."""

from collections.abc import Iterator

import pytest

from homespun.records import Problem
from homespun.sandbox import Pool, Program
from homespun.strategies import names, strategy
from homespun.strategies.exemplars import exemplars
from homespun.tasks import grader_for

DATASETS = ("gsm8k", "strategyqa", "sports", "date", "saycan")
KINDS = {"gsm8k": "number", "strategyqa": "boolean", "sports": "plausibility", "date": "date", "saycan": "plan"}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(workers=1) as ours:
        yield ours


def shown(name: str, dataset: str) -> list[str]:
    messages = strategy(name).messages(Problem(id="1", task=dataset, question="What now?"))
    return [message.content for message in messages if message.role == "assistant"]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", names())
def test_each_shown_solution_is_read_and_right(pool: Pool, name: str, dataset: str) -> None:
    solutions = shown(name, dataset)
    assert len(solutions) == len(exemplars(KINDS[dataset])) >= 2
    grader = grader_for(dataset)
    for solution, exemplar in zip(solutions, exemplars(KINDS[dataset]), strict=True):
        gold = grader.gold(Problem(id="1", task=dataset, question="", answer=exemplar.answer))
        found = strategy(name).parse(solution, dataset)
        text = found.text
        if name in ("pot", "fcot"):
            assert found.language == "python"
            text = pool.run(Program(id="1", source=str(found.program), prelude=found.prelude)).value
        assert grader.check(text, gold)[0] == 1.0, (solution, text)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dataset", [*DATASETS, "somebody's own"])
def test_a_prompt_is_a_chat_that_ends_in_the_question(name: str, dataset: str) -> None:
    messages = strategy(name).messages(Problem(id="1", task=dataset, question="What now?"))
    roles = [message.role for message in messages]
    assert roles == ["system", *["user", "assistant"] * ((len(roles) - 2) // 2), "user"]
    assert messages[-1].content.endswith("What now?")
    assert "{" not in messages[0].content


def test_faithful_form_names_dependencies_and_support() -> None:
    text = shown("fcot", "gsm8k")[0]
    assert (
        '# 1. How many rolls does the baker make? (independent, support: ["fills 6 trays with 8 rolls each"])' in text
    )
    assert "(depends on 1, support: [" in text


def test_steps_depend_on_earlier_steps_only() -> None:
    for kind in KINDS.values():
        for exemplar in exemplars(kind):
            for number, step in enumerate(exemplar.steps, 1):
                assert all(1 <= earlier < number for earlier in step.after)
