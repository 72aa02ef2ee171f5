"""Fenced blocks: CommonMark's reader where the text is well formed, and what models get wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from homespun.sandbox.reply.fences import fenced_blocks
from homespun.sandbox.reply.tags import family_of, file_of, tag_of

WORDS = st.text("abc xyz=()#", max_size=12)
TAGS = st.sampled_from(["", "js", "c++", "rust title=x", "text"])


def blocks(text: str) -> list[tuple[str, str]]:
    return [(block.tag, block.code) for block in fenced_blocks(text)[0]]


@pytest.mark.slow
@given(st.lists(st.tuples(TAGS, st.sampled_from(["```", "````", "~~~"]), st.lists(WORDS, max_size=4)), max_size=5))
def test_well_formed_blocks_equal_commonmark(parts: list[tuple[str, str, list[str]]]) -> None:
    text = "\n\n".join("\n".join(["words", "", f"{run}{info}", *lines, run]) for info, run, lines in parts)
    expected = [(token.info, token.content) for token in MarkdownIt().parse(text) if token.type == "fence"]
    found = [(block.info, block.code + "\n" if block.code else "") for block in fenced_blocks(text)[0]]
    assert [(info, code.rstrip("\n")) for info, code in found] == [(i, c.rstrip("\n")) for i, c in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```js\na\n", [("js", "a\n")]),
        ("```js\na```\nbye", [("js", "a")]),
        ("```bash\na\n```js\nb\n```", [("bash", "a"), ("js", "b")]),
        ("- x\n\n      ```js\n      a\n        b\n      ```", [("js", "a\n  b")]),
        ("1. ```js\n   a\n   ```\nb", [("js", "a")]),
        ("> ```js\n> a\n> ```\nb", [("js", "a")]),
        ("> ```js\n> a\nb", [("js", "a")]),
        ("````md\n```js\na\n```\n````\n```c\nb\n```", [("js", "a"), ("c", "b")]),
        ("```md\nx\n```js\na\n```\ny\n```\n```c\nb\n```", [("js", "a"), ("c", "b")]),
        ("~~~js\n```\na\n```\n~~~", [("js", "```\na\n```")]),
        ('```py\n"""\n```\n"""\nx\n```\ny', [("py", '"""\n```\n"""\nx')]),
        ("```py\nx = 'it''s'''\n```\ny\n```js\nb\n```", [("py", "x = 'it''s'''"), ("js", "b")]),
        ("`` ` ``` not a fence", []),
        ("```js a``` is code in a line", []),
    ],
)
def test_what_models_write(text: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(text) == expected


def test_lines_and_closing_are_told() -> None:
    found, prose = fenced_blocks("a\n\n```js\nb\n```\nc\n```js\nd")
    assert [(block.line, block.closed) for block in found] == [(4, True), (8, False)]
    assert prose == ["a", "", "c"]


@pytest.mark.parametrize(
    ("info", "tag", "file"),
    [
        ("Python", "python", None),
        ("{.python .numberLines}", "python", None),
        ('python title="app.py"', "python", "app.py"),
        ("python:src/app.py", "python", "src/app.py"),
        ("app.py", "py", "app.py"),
        ("language-js", "js", None),
        ("c++", "c++", None),
        ("{python}", "python", None),
        ('title="x.js"', "", "x.js"),
        ("jsx{1,3}", "jsx", None),
        ("", "", None),
    ],
)
def test_info_strings(info: str, tag: str, file: str | None) -> None:
    assert (tag_of(info), file_of(info)) == (tag, file)


def test_families() -> None:
    assert [family_of(tag) for tag in ("py3", "python-repl", "reactjs", "nextjs", "vue3", "pwsh", "elm")] == [
        "python",
        "python",
        "javascript",
        "javascript",
        "vue",
        "shell",
        "unknown",
    ]
