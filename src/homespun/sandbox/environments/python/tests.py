"""Runs a program's own tests where the program only defines them."""

import ast
import importlib.util
import inspect
import os
import sys
import unittest
from collections.abc import Mapping
from typing import Any


def left_alone(path: str, names: Mapping[str, Any]) -> bool:
    """Whether the program defines tests, but nothing in it names them again or starts a test runner."""
    defined = {name for name, value in names.items() if _is_test(name, value)}
    if not defined:
        return False
    with open(path, "rb") as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in defined or name in ("globals", "locals", "dir"):
                return False
            case ast.Attribute(value=ast.Name(id="unittest" | "pytest"), attr="main" | "TextTestRunner"):
                return False
            case _:
                pass
    return True


def run(path: str, names: Mapping[str, Any]) -> int:
    """Runs them: with pytest where it is installed, else by unittest.

    Returns:
        0 if all passed, 1 otherwise.
    """
    sys.stdout.flush()
    if importlib.util.find_spec("pytest") is not None:
        pytest: Any = importlib.import_module("pytest")
        return int(pytest.main([path, "-q", "-p", "no:cacheprovider", "--rootdir", os.path.dirname(path)]) != 0)
    suite = unittest.TestSuite()
    for name, value in names.items():
        if not _is_test(name, value):
            continue
        if not isinstance(value, type):
            suite.addTest(unittest.FunctionTestCase(value, description=name))
        elif issubclass(value, unittest.TestCase):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(value))
        else:
            for method in (method for method in vars(value) if method.startswith("test")):
                suite.addTest(unittest.FunctionTestCase(getattr(value(), method), description=f"{name}.{method}"))
    return int(not unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite).wasSuccessful())


def _is_test(name: str, value: Any) -> bool:
    if inspect.isfunction(value):
        return name.startswith("test_") and not inspect.signature(value).parameters
    if not isinstance(value, type) or value.__module__ != "__main__":
        return False
    return issubclass(value, unittest.TestCase) or (
        name.startswith("Test") and any(n.startswith("test") for n in vars(value))
    )
