"""What needs no jail: the traceback, the tests that are left alone, the pictures that are let through."""

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.sandbox.environments import waiting
from homespun.sandbox.environments.python import program, pygame_keys, tests
from homespun.sandbox.environments.python_program import LARGEST_SIDE, MOST_BYTES, MOST_PICTURES, pictures
from homespun.sandbox.jail.types import Outcome


def png(width: int = 4, height: int = 3, tail: bytes = b"") -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0" + bytes(4) + tail
    )


def test_pictures_come_in_the_order_of_showing_and_once() -> None:
    files = {
        "a.png": png(tail=b"second"),
        ".pictures/00000000000000000002-b.png": png(tail=b"second"),
        ".pictures/00000000000000000001-figure-1.png": png(tail=b"first"),
        "z.png": png(tail=b"third"),
    }
    assert [picture.name for picture in pictures(files)] == ["figure-1.png", "b.png", "z.png"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a" + bytes(60),
        png()[:20],
        png(0, 5),
        png(5, LARGEST_SIDE + 1),
        png(tail=bytes(MOST_BYTES)),
        b"<svg onload=alert(1)>" + bytes(60),
    ],
)
def test_what_is_no_picture_is_left_out(content: bytes) -> None:
    assert pictures({"a.png": content}) == ()


@pytest.mark.slow
@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=8).map(lambda name: name + ".png"), st.binary(max_size=80), max_size=30))
def test_whatever_was_left_the_pictures_are_few_and_distinct(tails: dict[str, bytes]) -> None:
    shown = pictures({name: png(tail=tail) for name, tail in tails.items()})
    assert len({picture.png for picture in shown}) == len(shown) == min(MOST_PICTURES, len(set(tails.values())))


@pytest.mark.parametrize(
    ("stderr", "status"),
    [
        ("Traceback …\nMemoryError\n", "memory"),
        ("MemoryError: too much", "memory"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB", "memory"),
        ("ValueError: MemoryError", "failed"),
        ("", "failed"),
    ],
)
def test_memory_is_told_from_other_failures(stderr: str, status: str) -> None:
    assert waiting.status_of(Outcome(status="failed", exit_code=1, stderr=stderr)).status == status


def test_a_traceback_has_the_programs_own_lines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WORK", str(tmp_path))
    file = tmp_path / "app.py"
    file.write_text(
        "import json\ntry:\n    json.loads('{')\nexcept ValueError as error:\n    raise KeyError('x') from error\n"
    )
    with pytest.raises(KeyError) as caught:
        exec(program.load(str(file)), {})
    text = program.told(caught.value)
    assert 'File "app.py", line 3' in text
    assert 'File "app.py", line 5' in text
    assert text.endswith("KeyError: 'x'\n")
    assert "decoder.py" not in text
    assert "test_told.py" not in text


@pytest.mark.parametrize(
    ("source", "alone"),
    [
        ("def test_a(): pass\n", True),
        ("class TestA:\n    def test_x(self): pass\n", True),
        ("import unittest\nclass A(unittest.TestCase):\n    def test_x(self): pass\n", True),
        ("def test_a(): pass\ntest_a()\n", False),
        ("def test_a(): pass\nfor t in [test_a]:\n    t()\n", False),
        ("import unittest\nclass A(unittest.TestCase):\n    pass\nif 0: unittest.main()\n", False),
        ("def test_a(): pass\n[f for n, f in list(globals().items()) if n == 'x']\n", False),
        ("def test_with(fixture): pass\n", False),
        ("def check(): pass\n", False),
    ],
)
def test_tests_are_run_only_where_the_program_does_not(tmp_path: Path, source: str, alone: bool) -> None:
    file = tmp_path / "main.py"
    file.write_text(source)
    names = {"__name__": "__main__"}
    exec(compile(source, str(file), "exec"), names)
    assert tests.left_alone(str(file), names) is alone


class Numbers:
    """SDL's keycodes of a few keys (SDL_keycode.h)."""

    K_LEFT, K_RETURN, K_KP_5, K_SPACE = 1073741904, 13, 1073741917, 32


@pytest.mark.parametrize(
    ("code", "key", "keycode"),
    [
        ("ArrowLeft", "ArrowLeft", Numbers.K_LEFT),
        ("KeyA", "a", ord("a")),
        ("KeyA", "A", ord("a")),
        ("KeyQ", "a", ord("a")),  # a French keyboard: letters go by what is written
        ("Digit1", "!", ord("1")),  # Shift: digits go by place
        ("Semicolon", ":", ord(";")),
        ("Space", " ", Numbers.K_SPACE),
        ("", "x", ord("x")),  # a keyboard on the screen has no codes
        ("", "ArrowLeft", Numbers.K_LEFT),
        ("Enter", "Enter", Numbers.K_RETURN),
        ("Numpad5", "5", Numbers.K_KP_5),
        ("LaunchMail", "LaunchMail", 0),
        ("KeyA", "Dead", ord("a")),
    ],
)
def test_a_key_of_the_browser_is_one_of_sdl(code: str, key: str, keycode: int) -> None:
    assert pygame_keys.keycode(Numbers, code, key) == keycode


@pytest.mark.parametrize(
    ("code", "key", "control", "text"),
    [
        ("KeyA", "a", False, "a"),
        ("KeyA", "é", False, "é"),
        ("KeyC", "c", True, "\x03"),
        ("Enter", "Enter", False, "\r"),
        ("Backspace", "Backspace", False, "\b"),
        ("ShiftLeft", "Shift", False, ""),
    ],
)
def test_what_a_key_writes(code: str, key: str, control: bool, text: str) -> None:
    assert pygame_keys.written(code, key, control) == text


def test_input_asks_nobody(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "main.py"
    file.write_text("name = input('Who? ')\n")
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("builtins.input", input)
    assert program.run(str(file)) == 1
    shown = capsys.readouterr()
    assert shown.out == "Who? "
    assert "nobody can type here" in shown.err
