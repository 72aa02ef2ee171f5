"""Every error is one line, and stands in the tree that heads its file."""

import builtins
import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun import errors
from homespun.errors import HomespunError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HomespunError)]
TEXT = st.text(max_size=40)


@given(what=TEXT, where=st.none() | TEXT, hint=st.none() | TEXT)
def test_any_error_is_one_line(what: str, where: str | None, hint: str | None) -> None:
    line = str(HomespunError(what, where, hint))
    assert len(line.splitlines()) <= 1
    assert line == line.strip()
    for part in (what, where, hint):
        assert all(word in line for word in (part or "").split())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not HomespunError], ids=lambda kind: kind.__name__)
def test_the_tree_says_parent_and_exit_code(kind: type[HomespunError]) -> None:
    tree = inspect.getdoc(errors) or ""
    found = re.search(rf"── {kind.__name__} +\((\w+)\) .* exit (\d)$", tree, re.MULTILINE)
    assert found, f"{kind.__name__} is missing in the tree on top of errors.py"
    assert issubclass(kind, getattr(builtins, found[1]))
    assert kind.exit_code == int(found[2])


def test_the_tree_names_no_error_that_is_gone() -> None:
    drawn = set(re.findall(r"── (\w+)", errors.__doc__ or ""))
    assert drawn == {kind.__name__ for kind in KINDS} - {"HomespunError"}


def test_bad_input_is_exit_2_a_failed_run_exit_1() -> None:
    codes = {kind.__name__: kind.exit_code for kind in KINDS}
    assert {name for name, code in codes.items() if code == 2} == {"ConfigError", "DataError"}
    assert set(codes.values()) == {1, 2}
