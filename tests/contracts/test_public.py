"""What a user can name is documented: every public thing has a docstring, and every module its first line."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "homespun").rglob("*.py"))


def public(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """The module, its public classes and functions, and the public methods of those classes."""
    module = ast.parse(path.read_text())
    if path.name != "__init__.py" or path.read_text().strip():
        yield path.name, module
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT / "src").as_posix())
def test_everything_public_has_a_docstring(path: Path) -> None:
    bare = [
        name
        for name, node in public(path)
        if ast.get_docstring(node) is None and not _overrides(node)  # type: ignore[arg-type]
    ]
    assert bare == []


def _overrides(node: ast.AST) -> bool:
    """What says so (``@override``, ``@overload``) is documented elsewhere: where it was first named, or written out."""
    return any(ast.unparse(mark).endswith(("override", "overload")) for mark in getattr(node, "decorator_list", ()))


def test_every_public_name_has_its_own_docstring() -> None:
    import homespun

    for name in homespun.__all__:
        text = getattr(homespun, name).__doc__
        assert text, name
        assert len(text.split()) >= 3, name
    assert 15 <= len(homespun.__all__) <= 25


def test_reference_pages_name_modules_that_exist() -> None:
    named = {
        name
        for page in (ROOT / "docs" / "reference").glob("*.md")
        for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE)
    }
    there = {
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__") for path in SOURCES
    }
    assert named - there == set()
    assert {"homespun.records", "homespun.errors"} <= named


def test_every_page_is_in_the_navigation() -> None:
    navigation = set(re.findall(r"[\w/.-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert navigation == pages


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number} {what}"
        for path in SOURCES
        for number, what in [*unfinished_comments(path), *stubs(path)]
    ]
    assert found == []


def unfinished_comments(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type == tokenize.COMMENT and re.search(r"\b(TODO|FIXME|XXX|HACK)\b", token.string):
                yield token.start[0], token.string


def stubs(path: Path) -> Iterator[tuple[int, str]]:
    """Functions that only say they are not there yet."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and node.id == "NotImplementedError":
            yield node.lineno, node.id


def test_what_is_unfinished_would_be_found(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text('x = "TODO"\n# TODO: finish\ndef f() -> None:\n    raise NotImplementedError("later")\n')
    assert [number for number, _ in unfinished_comments(file)] == [2]
    assert [number for number, _ in stubs(file)] == [4]
