"""Programs are found by content, cleaned of chatter, and come with what their prompt promised."""

import pytest

from homespun.strategies import strategy

CODE = "eggs = 3\nanswer = eggs * 2\n"


@pytest.mark.parametrize(
    "completion",
    [
        CODE,
        CODE + "#DONE\n\n# Q: What next?\nanswer = 0",
        "\n" + CODE + "\n\n",
        "Here is the program:\n\n```python\n" + CODE + "```\nIt prints 6.",
        "This was asked before. The answer is:\n\n" + CODE + "\nI hope that this helps.",
        "of eggs?\n" + CODE,
    ],
)
def test_chatter_is_left_out(completion: str) -> None:
    found = strategy("pot").parse(completion, "gsm8k")
    assert found.language == "python"
    assert found.program is not None
    space: dict[str, object] = {}
    exec(found.program, space)
    assert space["answer"] == 6


def test_code_over_several_lines_stays_whole() -> None:
    source = "parts = [\n    1,\n    2,\n]\nif parts:\n    answer = sum(\n        parts\n    )\nelse:\n    answer = 0\n"
    assert strategy("fcot").parse(source, "gsm8k").program == source


@pytest.mark.parametrize("text", ["", "  \n", "I cannot tell.", "The answer is 12.", "Sorry, this lacks a year: 5"])
def test_no_program_has_a_reason(text: str) -> None:
    found = strategy("pot").parse(text, "gsm8k")
    assert (found.program, found.language) == (None, None)
    assert found.reason


def test_other_languages_are_told_apart() -> None:
    datalog = '.decl In(A:symbol, B:symbol)\nIn("a", "b").\n.decl Answer()\nAnswer() :- In("a", x).\n.output Answer'
    goal = "(:goal\n\t(and\n\t\t(visited table)\n\t)\n)"
    assert strategy("pot").parse(datalog, "strategyqa").language == "datalog"
    assert strategy("fcot").parse(goal, "saycan").language == "pddl"
    assert strategy("pot").parse("// 1. What is a?\n// It is b.", "strategyqa").language == "datalog"
    assert strategy("pot").parse("answer = 7 // 2  # half", "strategyqa").language == "python"


def test_prelude_goes_with_word_problems_only() -> None:
    plain = strategy("pot").parse("answer = ceil(2.5)", "gsm8k").prelude
    symbolic = strategy("pot").parse("x = Symbol('x')\nanswer = solve_it(Eq(2 * x, 6), x)[x]", "svamp")
    assert "from math import *" in plain
    assert "sympy" not in plain
    assert strategy("pot").parse("answer = 1", "date").prelude == ""
    space: dict[str, object] = {}
    exec(symbolic.prelude, space)
    exec(str(symbolic.program), space)
    assert space["answer"] == 3
    exec("none = solve_it(Eq(x, x + 1), x), solve_it([Eq(x, x + 1)], [x])", space)
    assert space["none"] == ({space["x"]: None}, {space["x"]: None})


def test_paper_mode_takes_the_completion_whole() -> None:
    found = strategy("pot").parse("chatter\n" + CODE + "##", "gsm8k", "paper")
    assert found.program == "chatter\n" + CODE
