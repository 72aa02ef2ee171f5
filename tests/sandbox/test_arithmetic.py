"""The short cut for arithmetic gives what Python gives, or gives up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.sandbox.arithmetic import evaluate

NAMES = ("a", "b", "rate", "total")
leaf = st.one_of(
    st.integers(0, 10**9).map(str),
    st.floats(0, 1e6, allow_nan=False).map(repr),
    st.sampled_from(NAMES),
    st.sampled_from(["'soccer'", "True", "'x'"]),
)
expression = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "==", "<", ">=", "!="]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        inner.map(lambda part: f"-({part})"),
        st.tuples(st.sampled_from(["int", "round", "abs", "float"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})"
        ),
    ),
    max_leaves=6,
)
programs = st.lists(st.tuples(st.sampled_from(NAMES), expression), min_size=1, max_size=6).map(
    lambda lines: "\n".join(f"{name} = {value}  # {name}" for name, value in lines)
)


@settings(max_examples=150, deadline=None)
@given(programs)
def test_law_same_as_python_or_nothing(source: str) -> None:
    ours = evaluate(source)
    theirs: dict[str, object] = {}
    try:
        exec(source, {}, theirs)
    except Exception:
        assert ours is None
        return
    if ours is not None:
        assert {name: repr(value) for name, value in ours.items()} == {n: repr(v) for n, v in theirs.items()}


def test_what_word_problems_look_like() -> None:
    source = '# 1. How many? (independent, support: ["3 boxes"])\nboxes = 3\neach = 4.5\nanswer = int(boxes * each) - 1'
    assert evaluate(source) == {"boxes": 3, "each": 4.5, "answer": 12}


@pytest.mark.parametrize(
    "source",
    [
        "answer = 10 ** 10 ** 10",
        "x = 9\n" + "x = x * x\n" * 60 + "answer = x",
        "answer = 'a' * 10**9",
        "answer = 'a' * 5",
        "answer = (1).__class__",
        "answer = __import__('os')",
        "import os\nanswer = 1",
        "answer = open('/etc/passwd')",
        "answer = eval('1')",
        "int = 3\nanswer = int(4)",
        "answer = undefined",
        "answer = 1 / 0",
        "a, b = 1, 2",
        "a = b = 1",
        "while True: pass",
        "answer = [1]",
        "answer = 1 << 40",
        "answer = int('9' * 9)",
        "answer = 1j",
        "answer = b'x'",
        "print(1)",
        "answer = " + "(" * 500 + "1" + ")" * 500,
        "answer = " + "-" * 19_000 + "1",
        "answer = \0",
        "x" * 30_000,
    ],
)
def test_gives_up_on_all_else(source: str) -> None:
    assert evaluate(source) is None
