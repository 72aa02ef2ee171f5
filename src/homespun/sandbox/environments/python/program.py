"""Runs the program as ``__main__``, as ``python FILE`` would, and tells its faults in its own lines."""

import asyncio
import builtins
import inspect
import os
import sys
import traceback
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from types import CodeType, ModuleType
from typing import Any, NoReturn

WORK = "/work"
NO_INPUT = "the program asks for input, but nobody can type here: give it its values in the code"


def load(path: str) -> CodeType:
    """Compiles the file; ``await`` may stand outside of functions, as in a notebook.

    Raises:
        SyntaxError: it is not Python.
    """
    with open(path, "rb") as file:
        source = file.read()
    return compile(source, path, "exec", flags=PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def prepare(path: str) -> ModuleType:
    """Makes the module ``__main__`` of a program, with the import path and arguments that it would have."""
    module = ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=builtins)
    sys.modules["__main__"] = module
    sys.argv = [os.path.basename(path)]
    sys.path[:] = [os.path.dirname(path), *(place for place in sys.path if place != "/sandbox")]
    builtins.input = _no_input
    return module


def run(path: str) -> int:
    """Runs the program to its end; what it raises is printed to standard error.

    Returns:
        Its exit code: that of ``SystemExit``, 1 for anything else that it raised, 130 for an interrupt.
    """
    module = prepare(path)
    try:
        result = eval(load(path), module.__dict__)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    except SystemExit as stop:
        return _exit_code(stop)
    except BaseException as error:
        sys.stdout.flush()
        sys.stderr.write(told(error))
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def told(error: BaseException) -> str:
    """The error's traceback, with the frames of the program's own files alone."""
    shown = traceback.TracebackException.from_exception(error)
    if isinstance(error, SyntaxError) and not _own_frames(shown):
        return "".join(shown.format_exception_only()).replace(f"{WORK}/", "")
    _keep_own(shown, set())
    return "".join(shown.format()).replace(f'"{WORK}/', '"')


def _own_frames(shown: traceback.TracebackException) -> list[traceback.FrameSummary]:
    return [frame for frame in shown.stack if frame.filename.startswith(f"{WORK}/")]


def _keep_own(shown: traceback.TracebackException, seen: set[int]) -> None:
    if id(shown) in seen:
        return
    seen.add(id(shown))
    shown.stack[:] = _own_frames(shown)
    for other in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if other is not None:
            _keep_own(other, seen)


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code & 255
    sys.stdout.flush()
    sys.stderr.write(f"{stop.code}\n")
    return 1


def _no_input(prompt: Any = "", /) -> NoReturn:
    sys.stdout.write(str(prompt))
    raise EOFError(NO_INPUT)
