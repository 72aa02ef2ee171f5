"""From a reply to a program: choices, forced environments, both variants, source files, and the laws."""

import json
import sys
from importlib import resources

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.errors import ConfigError
from homespun.sandbox.reply import (
    MAX_CHARACTERS,
    Found,
    NoProgram,
    fill_placeholders,
    placeholder,
    read_reply,
    read_source,
)
from homespun.sandbox.reply.compiled import java_class
from homespun.sandbox.reply.python_source import _imports, _tolerant_imports, parse_python

TEXT = resources.files("homespun.data").joinpath("replies/replies.jsonl").read_text(encoding="utf-8")
REPLIES = [json.loads(line) for line in TEXT.split("\n") if line]
READ = {reply["id"]: read_reply(reply["text"]) for reply in REPLIES}
OURS = {name: program for name, program in READ.items() if isinstance(program, Found)}
PIECES = [
    "```", "````", "~~~", "```python\n", "```js\n", "```tsx\n", "```vue\n", "```html\n", "```mermaid\n", "```c\n",
    "```java\n",
    "```bash\n", "```md\n", "\n", "\r\n", "> ", "import a", "import React from 'react'", "from x import y",
    "<template>",
    "<script setup>", "</script>", "<div v-if='x'>", "<!DOCTYPE html>", "<svg>", "pip install a", "npm i b",
    "!pip install c",
    "graph TD", "#include <x>", "public class A {", "package main",
    "fn main()", "def f():\n    pass", "'''", '"""',
    "/*",
    "export default {", "data() {", "}", "(", "const a: number = 1", "console.log(1)", "print(1)",
    "<think>",
    "</think>", "x",
]  # fmt: skip
MESSY = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=14).map("".join)
QUIET = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


def found(text: str, **options: str) -> Found:
    read = read_reply(text, **options)  # type: ignore[arg-type]
    assert isinstance(read, Found), read
    return read


def needs(program: Found) -> list[str]:
    return [each.name + each.version for each in program.dependencies]


def test_what_was_taken_and_dropped() -> None:
    program = found(
        "Hi\n```js\nlet a = 1;\n```\n```python\nprint('a longer one')\n```\n```json\n{}\n```\n```ruby\nputs 1\n```"
    )
    assert (program.taken.index, program.taken.line, program.taken.tag) == (2, 6, "python")
    assert [(each.what, each.why) for each in program.dropped] == [
        ("block 1 (js, 1 line)", "a shorter program block"),
        ("block 3 (json, 1 line)", "data or text, no program"),
        ("block 4 (ruby, 1 line)", "a language that can't be run here"),
    ]


def test_why_there_is_none() -> None:
    reasons = [
        read_reply(text).reason for text in ("hello", "```bash\nls\n```", "```ruby\nx\n```", "x" * (MAX_CHARACTERS + 1))
    ]  # type: ignore[union-attr]
    assert reasons[0] == "no fenced block, and the text as a whole is no program"
    assert reasons[1] == "1 block, none of them a program: bash"
    assert "at most" in reasons[3]


@pytest.mark.parametrize(
    ("environment", "index"),
    [("react", 2), ("vue", 3), ("core_web", 4), ("streamlit", 1), ("mermaid", 5), ("interpreter", 2)],
)
def test_an_environment_that_was_asked_for(environment: str, index: int) -> None:
    text = (
        "```python\nimport streamlit as st\n```\n"
        "```jsx\nexport default () => <main>{'a long one indeed'.repeat(9)}</main>\n```\n"
        "```vue\n<template>\n<p v-if='1'>this is by far the longest of them all, to be sure of it</p>\n</template>\n"
        "<!-- and with even more text -->\n```\n```html\n<p>x</p>\n```\n```mermaid\ngraph TD\nA-->B\n```"
    )
    program = found(text, environment=environment)
    assert program.taken.index == index
    assert program.environment == environment
    assert program.reasons["environment"] == f"{environment}: asked for"


def test_an_environment_that_cannot_run_it() -> None:
    read = read_reply("```python\nprint(1)\n```", environment="react")
    assert isinstance(read, NoProgram)
    assert read.reason == "no block that react can run"


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError):
        read_reply("", environment="flash")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        read_reply("", variant="v3")  # type: ignore[arg-type]


def test_the_two_variants() -> None:
    text = "```python\nimport numpy, pygame\n```\n```bash\npip install numpy==1.26.4 extra\n```"
    assert needs(found(text)) == ["extralatest", "numpy==1.26.4", "pygamelatest"]
    second = found(text, variant="install")
    assert needs(second) == ["extralatest", "numpy==1.26.4"]
    assert second.environment == "pygame"
    assert needs(found("```\nimport numpy\nprint(numpy.pi)\n```", variant="install")) == ["numpylatest"]


@pytest.mark.parametrize(
    ("name", "text", "language", "environment", "filename"),
    [
        ("a.py", "import gradio", "python", "gradio", "main.py"),
        ("a.tsx", "export default () => <b/>", "typescript", "react", "App.tsx"),
        ("a.vue", "<template>\n<p>x</p>\n</template>", "javascript", "vue", "App.vue"),
        ("a.c", "#include <iostream>\nint main() {}", "c++", "interpreter", "main.cpp"),
        ("dir/A.JAVA", "class B {\n  public static void main(String[] a) {}\n}", "java", "interpreter", "B.java"),
        ("a.md", "graph LR\nA-->B", "markdown", "mermaid", "diagram.mmd"),
        ("a.txt", "Hi\n```go\npackage main\n```", "go", "interpreter", "main.go"),
        ("reply", "```rust\nfn main() {}\n```", "rust", "interpreter", "main.rs"),
        ("a.js", "<!doctype html><p>x", "html", "core_web", "index.html"),
        ("a.ts", "let a = 1", "typescript", "interpreter", "main.ts"),
    ],
)
def test_source_files(name: str, text: str, language: str, environment: str, filename: str) -> None:
    read = read_source(name, text)
    assert isinstance(read, Found)
    assert (read.language, read.environment, read.filename) == (language, environment, filename)


def test_source_files_without_a_program() -> None:
    assert isinstance(read_source("a.py", "  \n"), NoProgram)
    assert isinstance(read_source("a.json", "{}"), NoProgram)
    assert isinstance(read_source("a.py", "print(1)", environment="vue"), NoProgram)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("// public class A\npublic class B {}", "B"),
        ('class C { String s = "public class D {"; public static void main(String[] a) {} }', "C"),
        ("public sealed interface Shape {}", "Shape"),
        ("public record P(int x) {}", "P"),
        ("/* public class X", "Main"),
        ("void main() {}", "Main"),
    ],
)
def test_java_class(code: str, name: str) -> None:
    assert java_class(code) == name


def test_java_files_of_the_corpus() -> None:
    names = [program.filename for program in OURS.values() if program.language == "java"]
    assert names == ["Brackets.java", "Fizz.java", "Demo.java", "Main.java", "Faktoriyel.java"]


@pytest.mark.parametrize(
    ("address", "size"),
    [
        ("/api/placeholder/400/300", (400, 300)),
        ("/api/placeholder/0/-5", (1, 1)),
        ("/api/placeholder/10000/10001", (10_000, 1_000)),
        ("/api/placeholder/" + "9" * 5000 + "/-" + "9" * 5000, (1_000, 1)),
        ("/api/placeholder/007/0000000000012", (7, 12)),
        ("/api/placeholder/40/30?text=Hi+there", (40, 30)),
    ],
)
def test_placeholders(address: str, size: tuple[int, int]) -> None:
    assert fill_placeholders(f'<img src="{address}">') == f'<img src="{placeholder(*size)}">'


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/api/placeholder/400/300",
        "/api/placeholder/${w}/${h}",
        "/api/placeholder/400",
        "/api/placeholder/400/300/more",
        "/api/placeholder/400/300.png",
    ],
)
def test_addresses_that_are_no_placeholder(text: str) -> None:
    assert fill_placeholders(text) == text


def test_a_placeholder_stands_unharmed_in_any_string() -> None:
    assert not set(placeholder(3, 4)) & set("\"'`<>(){}\\ \n$")


def test_the_tolerant_reader_sees_what_ast_sees() -> None:
    checked = 0
    for program in OURS.values():
        tree = parse_python(program.code) if program.language == "python" else None
        if tree is not None:
            assert set(_tolerant_imports(program.code)) == set(_imports(tree))
            checked += 1
    assert checked > 40


@pytest.mark.slow
@QUIET
@given(MESSY, st.sampled_from(["auto", "react", "vue", "core_web", "pygame", "mermaid", "interpreter"]))
def test_any_text_gives_an_answer_and_reading_it_again_the_same(text: str, environment: str) -> None:
    read = read_reply(text, environment=environment)  # type: ignore[arg-type]
    assert isinstance(read, (Found, NoProgram))
    if isinstance(read, Found):
        check_again(read, environment)


@pytest.mark.slow
def test_reading_a_program_again_gives_the_same() -> None:
    for program in OURS.values():
        check_again(program, "auto")


def check_again(program: Found, environment: str) -> None:
    longest = max(
        (len(line) - len(line.lstrip("`")) for line in program.code.replace("`", "\n`").split("\n")), default=0
    )
    fence = "`" * (3 + program.code.count("`")) if longest else "```"
    again = read_reply(f"{fence}{program.language}\n{program.code}{fence}\n", environment=environment)  # type: ignore[arg-type]
    assert isinstance(again, Found), (program, again)
    assert (again.language, again.environment) == (program.language, program.environment)
    assert again.code == program.code


@pytest.mark.slow
@QUIET
@given(st.text())
def test_any_source_file_gives_an_answer(text: str) -> None:
    for name in ("a.py", "a.tsx", "a.vue", "a.html", "a.java", "a.md", "a"):
        assert isinstance(read_source(name, text), (Found, NoProgram))


def test_text_that_no_encoding_carries() -> None:
    assert isinstance(read_reply("```python\nprint('\ud800\0')\n```"), Found)


@given(
    st.permutations(
        ["pip install a==1 b", "pip install b==2", "pip3 install c", "pip install a==2 'b[x]'", "pip install C==3"]
    )
)
def test_the_order_of_install_lines_does_not_matter(lines: list[str]) -> None:
    text = "```python\nimport a, d\n```\n```bash\n" + "\n".join(lines) + "\n```"
    program = found(text)
    assert needs(program) == ["a==2", "b==2", "c==3", "dlatest"]
    assert program.dependencies[1].extras == ("x",)


CALLS = {
    "fences": "```python\nx\n```\n",
    "open fences": "```js\n",
    "nested": "```md\n```a\n",
    "strings": '```python\n"""\n```\n',
    "quotations": "> ```\n",
    "installs": "`pip install a` ",
    "untagged": "```\nword\n```\n",
    "prose": "word `code` word\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("unit", CALLS.values(), ids=CALLS)
def test_work_grows_in_step_with_the_text(unit: str) -> None:
    short, long = calls(unit * 300), calls(unit * 1200)
    assert long < 5 * short


def calls(text: str) -> int:
    """How many functions were called, of Python and of C: a measure that no clock disturbs."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    read_reply(text)
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        read_reply(text)
    finally:
        sys.setprofile(before)
    return count
