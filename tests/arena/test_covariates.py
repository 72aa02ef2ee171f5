"""What may sway a voter: comment lines by language, lines, and the language of a prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.arena.covariates import comment_lines, natural_language, of_program


@pytest.mark.parametrize(
    ("code", "language", "lines"),
    [
        ("# a\nx = 1  # b\n", "python", 2),
        ("x = '# no'\ny = \"#\"\n", "python", 0),
        ('"""# no\n# no\n"""\n# yes\n', "python", 1),
        ("#!/usr/bin/env python\n# yes\n", "python", 1),
        ("// a\nlet x = 1; // b\n/* c\nd */\n", "javascript", 4),
        ("let u = 'http://example.org'; const v = `// no`;\n", "typescript", 0),
        ('#include <stdio.h>\nint main() { puts("/* no */"); } // yes\n', "c", 1),
        ("/** doc\n * of it\n */\nclass Main {}\n", "java", 3),
        ("<!-- a\nb -->\n<a href='http://x'>y</a>\n", "html", 2),
        ("%% a\ngraph TD\n A-->B\n", "markdown", 1),
        ("", "rust", 0),
    ],
)
def test_comment_lines(code: str, language: str, lines: int) -> None:
    assert comment_lines(code, language) == lines


@given(st.text(max_size=200), st.sampled_from(["python", "javascript", "html", "markdown", "c++"]))
def test_no_more_comments_than_lines(code: str, language: str) -> None:
    assert 0 <= comment_lines(code, language) <= code.count("\n") + 1


def test_lines_that_are_not_empty() -> None:
    assert of_program("a\n\n  \nb # c\n", "python") == {"lines": 2.0, "comments": 1.0}


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("Write a snake game in pygame", "en"),
        ("Schreibe ein Snake-Spiel mit Punkten", "de"),
        ("写一个贪吃蛇游戏", "zh"),
        ("Crea un juego de serpiente en HTML", "es"),
        ("Напиши игру в змейку", "ru"),
        ("Erkläre mir das:\n```python\nprint('the quick brown fox jumps over the lazy dog')\n```", "de"),
        ("```\ncode only\n```", None),
        ("x", None),
        ("", None),
        ("123 + 456", None),
    ],
)
def test_the_language_of_a_prompt(prompt: str, language: str | None) -> None:
    assert natural_language(prompt) == language
