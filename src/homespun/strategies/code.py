"""Finds the program in a completion: what language it is in, where it begins and ends.

Python is recognised line by line, never compiled here: what a model wrote is only ever parsed inside the sandbox.
Strict mode takes a fenced block where there is one, leaves out chatter before and after the code and stops at the mark
"#DONE" or where the model goes on to invent a next question. Paper mode takes the completion as the release did:
whole, only trailing "#" removed.
"""

import re

from homespun.strategies.base import Mode, Parsed
from homespun.strategies.kinds import kind_of

FENCE = re.compile(r"```[ \t]*(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
DATALOG = re.compile(r"^[ \t]*(?:\.(?:decl|output|input)\b|// )", re.MULTILINE)
PDDL = re.compile(r"\(\s{0,20}:goal\b|\(\s{0,20}define\b", re.IGNORECASE)
STOP = re.compile(r"^[ \t]*#[ \t]*(?:DONE\b|Q:)", re.MULTILINE)
_NAME = r"[A-Za-z_][\w.]*(?:\[[^\]\n]{0,80}\])?"
_ASSIGNMENT = (
    rf"[ \t]*{_NAME}(?:[ \t]*,[ \t]*{_NAME}){{0,20}}[ \t]*(?::[ \t]*\w+[ \t]*)?(?:[-+*/%|&^]|//|\*\*|<<|>>)?=(?!=)"
)
CODE_LINE = re.compile(
    r"[ \t]*(?:#|(?:from|import) [A-Za-z_]|(?:def|class|for|while|if|elif|with)\b.*:|(?:try|else|finally)[ \t]*:"
    r"|except\b|@[A-Za-z_]|(?:return|pass|break|continue|raise|del|global|assert)\b|[A-Za-z_][\w.]*\()"
    rf"|{_ASSIGNMENT}"
)
STATEMENT = re.compile(rf"^(?:{_ASSIGNMENT}|[ \t]*print[ \t]*\()", re.MULTILINE)

SYMBOLIC = re.compile(r"\b(?:Symbol|Eq|simplify|solve|solve_it)\b")
MATHS = "import math\nfrom math import *\n"
EQUATIONS = '''from sympy import Eq, Symbol, simplify, solve
def solve_it(equation, unknown):
    """First solution as {symbol: value}; None for every unknown where there is none."""
    found = solve(equation, unknown, dict=True)
    return found[0] if found else dict.fromkeys(unknown if isinstance(unknown, list) else [unknown])
'''
"""What the released solver for word problems defines before a program runs (its solver/MWP/prefix.txt): the functions
of `math` by their bare names, four names of SymPy, and `solve_it`."""


def program(completion: str, task: str, mode: Mode) -> Parsed:
    """The program in a completion, or the reason why there is none."""
    if PDDL.search(completion):
        return Parsed.code(completion.strip(), "pddl")
    if DATALOG.search(completion):
        return Parsed.code(completion.strip(), "datalog")
    if not completion.strip():
        return Parsed.nothing("the completion is empty")
    source = completion.rstrip("#") if mode == "paper" else _clean(completion)
    if not STATEMENT.search(source):
        return Parsed.nothing("no program in the completion")
    return Parsed.code(source, "python", prelude(source, task))


def prelude(source: str, task: str) -> str:
    """What is defined before a program of a data set runs."""
    if kind_of(task) != "number":
        return ""
    return MATHS + (EQUATIONS if SYMBOLIC.search(source) else "")


def _clean(completion: str) -> str:
    fenced = FENCE.findall(completion)
    if fenced:
        return "\n".join(block.rstrip() for block in fenced) + "\n"
    begun = STATEMENT.search(completion)
    stop = STOP.search(completion, begun.end()) if begun else None
    lines = completion[: stop.start() if stop else None].split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip() and CODE_LINE.match(line)), 0)
    last = len(lines)
    while last > first and not _ends_code(lines[last - 1]):
        last -= 1
    return "\n".join(lines[first:last]) + "\n"


def _ends_code(line: str) -> bool:
    """Whether a program can end in this line: code, or the rest of a statement that began above."""
    return bool(line.strip()) and (bool(CODE_LINE.match(line)) or line[0] in " \t)]}'\"")
