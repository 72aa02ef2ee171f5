"""Straight-line arithmetic without a fork: what most programs of word problems are.

The worker tries this first. It reads a program as a tree and walks it itself: assignments of numbers, quoted words,
+ - * / // %, comparisons, and int, float, round, abs, min, max of numbers. There is no loop, no attribute, no power, no
call of anything else, numbers stay below `BITS` bits, so it ends, and soon. Whatever else a program holds, and every
error, makes it give up (None), and the program runs in a process of its own, as if this had never been tried: the
answer is the same either way, which a property test checks.
"""

import ast
import operator
from collections.abc import Callable
from typing import Any

SOURCE_CHARACTERS = 20_000
BITS = 2048
"""Largest whole number; below the 4,300 digits that `str` refuses to write."""

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
CALLS: dict[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "round": round,
    "abs": abs,
    "min": min,
    "max": max,
}


class _Beyond(Exception):
    """The program holds something that is not straight-line arithmetic."""


def evaluate(source: str) -> dict[str, Any] | None:
    """Final values of a program's variables, or None if it has to be executed to know them.

    Args:
        source: A Python program, not trusted.
    """
    if len(source) > SOURCE_CHARACTERS:
        return None
    values: dict[str, Any] = {}
    try:
        for statement in ast.parse(source).body:
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                return None
            target = statement.targets[0]
            if not isinstance(target, ast.Name):
                return None
            values[target.id] = _value(statement.value, values)
    except Exception:  # whatever it is, running the program tells it properly
        return None
    return values


def _value(node: ast.expr, values: dict[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return _bounded(node.value) if not isinstance(node.value, str) else node.value
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in values:
        return values[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        left, right = _number(node.left, values), _number(node.right, values)
        return _bounded(BINARY[type(node.op)](left, right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _number(node.operand, values)
        return -value if isinstance(node.op, ast.USub) else +value
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        left, right = _value(node.left, values), _value(node.comparators[0], values)
        return COMPARISONS[type(node.ops[0])](left, right)
    if isinstance(node, ast.Call) and not node.keywords:
        return _call(node, values)
    raise _Beyond


def _call(node: ast.Call, values: dict[str, Any]) -> Any:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in CALLS or name in values or len(node.args) > 8:
        raise _Beyond
    return _bounded(CALLS[name](*(_number(item, values) for item in node.args)))


def _number(node: ast.expr, values: dict[str, Any]) -> Any:
    value = _value(node, values)
    if type(value) not in (int, float, bool):
        raise _Beyond
    return value


def _bounded(value: Any) -> Any:
    if type(value) is int and value.bit_length() < BITS:
        return value
    if type(value) in (float, bool):
        return value
    raise _Beyond
